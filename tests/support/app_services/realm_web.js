// Drives realm-web against a server and prints what it saw as one line of JSON.
// Arguments: the folder of the installed packages, the server's URL, a token of another issuer.

const { code, expired, sent, show } = require("./common.js");
const [, , packages, baseUrl, foreign] = process.argv;
const Realm = require(`${packages}/realm-web`);

function storage(values = new Map(), prefix = "") {
  return {
    get: (key) => values.get(prefix + key) ?? null,
    set: (key, value) => values.set(prefix + key, value),
    remove: (key) => values.delete(prefix + key),
    prefix: (part) => storage(values, `${prefix}${part}:`),
    clear: () => values.clear(),
    addListener: () => {},
    removeListener: () => {},
  };
}

async function main() {
  const { Credentials } = Realm;
  const app = new Realm.App({ id: "field-notes", baseUrl, storage: storage() });
  const seen = {};
  const user = await app.logIn(Credentials.anonymous());
  await app.emailPasswordAuth.registerUser({ email: "ann@example.com", password: "correct horse" });
  const named = Credentials.emailPassword("ann@example.com", "correct horse");
  await user.linkCredentials(named);
  seen.linked = user.identities.map((identity) => identity.providerType).sort();
  seen.sum = await user.functions.sum(40, 2);
  seen.echo = await user.functions.echo({ text: "ünlimited", list: [1.5, null, true] });
  const before = user.customData.count;
  await user.refreshCustomData();
  seen.customDataChanged = user.customData.count > before;
  const key = await user.apiKeys.create("backup");
  seen.keys = (await user.apiKeys.fetchAll()).map((each) => [each.name, each.disabled]);
  await user.apiKeys.disable(key._id);
  seen.disabledKey = await code(app.logIn(Credentials.apiKey(key.key)));
  await user.apiKeys.enable(key._id);
  const byKey = await app.logIn(Credentials.apiKey(key.key), false);
  seen.sameByKey = byKey.id === user.id;
  // Not the key of above: whoever logged in with it would be logged out.
  const spare = await user.apiKeys.create("spare");
  seen.oneKey = (await user.apiKeys.fetch(spare._id)).name;
  await user.apiKeys.delete(spare._id);
  seen.removedKey = await code(user.apiKeys.fetch(spare._id));
  const byToken = await app.logIn(Credentials.jwt(foreign), false);
  await byToken.refreshProfile();
  seen.byToken = byToken.profile.email;
  // Three calls at once meet a 401 each; this client sends a refresh for each of them, and keeps its refresh token.
  const { refreshToken } = user;
  await expired(user.accessToken);
  const earlier = sent.refreshes;
  seen.afterExpiry = await Promise.all([1, 2, 3].map((each) => user.functions.sum(each, each)));
  seen.refreshes = sent.refreshes - earlier;
  seen.sameRefreshToken = user.refreshToken === refreshToken;
  await expired(user.accessToken);
  seen.keysAfterExpiry = (await user.apiKeys.fetchAll()).length;
  const parts = [];
  for await (const part of await user.functions.callFunctionStreaming("count", 3)) {
    parts.push(Buffer.from(part).toString());
  }
  seen.stream = parts.join("").match(/data: .*/g);
  seen.unknownFunction = await code(user.functions.nothing());
  const other = await app.logIn(Credentials.function({ ticket: "bob" }), false);
  seen.takenLink = await code(other.linkCredentials(named));
  seen.wrongPassword = await code(app.logIn(Credentials.emailPassword("ann@example.com", "wrong")));
  await other.logOut();
  seen.state = other.state;
  app.switchUser(user); // deleteUser sends the token of the current one, whomever it is given
  await app.deleteUser(user);
  seen.deleted = await code(app.logIn(named));
  return seen;
}

show(main);
