// Drives realm-web while an administrator ends its sessions; prints what it saw as one line of JSON.
// Arguments: the folder of the installed packages, the server's URL, the URL of the admin API's users, a token for it.

const { code, sent, show } = require("./common.js");
const [, , packages, baseUrl, users, admin] = process.argv;
const Realm = require(`${packages}/realm-web`);

async function ask(method, place) {
  const headers = { Authorization: `Bearer ${admin}` };
  const answer = await fetch(`${users}/${place}`, { method, headers });
  if (answer.status !== 204) throw new Error(`${place}: ${answer.status}`);
}

show(async () => {
  const app = new Realm.App({ id: "test", baseUrl });
  const elsewhere = new Realm.App({ id: "test", baseUrl });
  const seen = {};
  await app.emailPasswordAuth.registerUser({ email: "ann@example.com", password: "correct horse" });
  const named = Realm.Credentials.emailPassword("ann@example.com", "correct horse");
  let user = await app.logIn(named);
  const second = await elsewhere.logIn(named);
  seen.before = await user.functions.who();
  await ask("PUT", `${user.id}/logout`);
  const earlier = sent.refreshes;
  seen.revoked = await code(user.functions.who());
  seen.refreshes = sent.refreshes - earlier;
  seen.state = user.state;
  seen.second = await code(second.functions.who());
  user = await app.logIn(named);
  seen.again = await user.functions.who();
  await ask("PUT", `${user.id}/disable`);
  seen.disabled = [await code(user.functions.who()), await code(app.logIn(named))];
  await ask("PUT", `${user.id}/enable`);
  user = await app.logIn(named);
  const third = await elsewhere.logIn(named, false);
  await user.logOut();
  seen.ownLogOut = [user.state, await code(third.functions.who())];
  user = await app.logIn(named);
  await app.deleteUser(user);
  seen.deleted = [await code(third.functions.who()), await code(app.logIn(named))];
  seen.same = [seen.before, seen.again].every((id) => id === user.id);
  delete seen.before;
  delete seen.again;
  return seen;
});
