// Drives realm-web against a server below a path, and prints what it saw as one line of JSON.
// Arguments: the folder of the installed packages, the server's URL, the payload of a custom login as JSON.

const { code, show } = require("./common.js");
const [, , packages, baseUrl, payload] = process.argv;
const Realm = require(`${packages}/realm-web`);

async function main() {
  const { Credentials } = Realm;
  const app = new Realm.App({ id: "test", baseUrl });
  const seen = {};
  await app.emailPasswordAuth.registerUser({ email: "web@example.com", password: "correct horse" });
  const named = Credentials.emailPassword("web@example.com", "correct horse");
  const user = await app.logIn(named);
  seen.location = await app.locationUrl;
  await user.refreshAccessToken();
  seen.provider = user.providerType;
  await user.logOut();
  seen.again = (await app.logIn(named)).id === user.id;
  const own = Credentials.function(JSON.parse(payload));
  seen.own = await code(app.logIn(own));
  return seen;
}

show(main);
