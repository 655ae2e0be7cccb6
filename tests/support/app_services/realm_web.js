// Drives realm-web against a server and prints what it saw as one line of JSON.
// Arguments: the folder of the installed packages, the server's URL.

const [, , packages, baseUrl] = process.argv;
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

async function code(promise) {
  try {
    await promise;
    return "none";
  } catch (error) {
    return `${error.statusCode} ${error.errorCode}`;
  }
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
  // The access token lives for two seconds: three calls at once meet a 401 each.
  await new Promise((resolve) => setTimeout(resolve, 3100));
  seen.afterExpiry = await Promise.all([1, 2, 3].map((each) => user.functions.sum(each, each)));
  seen.unknownFunction = await code(user.functions.nothing());
  const other = await app.logIn(Credentials.function({ ticket: "bob" }), false);
  seen.takenLink = await code(other.linkCredentials(named));
  seen.wrongPassword = await code(app.logIn(Credentials.emailPassword("ann@example.com", "wrong")));
  await other.logOut();
  seen.state = other.state;
  await app.deleteUser(user);
  seen.deleted = await code(app.logIn(named));
  console.log(JSON.stringify(seen));
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error.stack);
    process.exit(1);
  },
);
