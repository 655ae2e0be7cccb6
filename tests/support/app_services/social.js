// Drives the Google, Apple and Facebook logins of realm-web and prints what it saw as one line of JSON.
// Arguments: the folder of the installed packages, the server's URL, a token of each, and another one of Apple.

const { code, show } = require("./common.js");
const [, , packages, baseUrl, google, apple, facebook, otherApple] = process.argv;
const Realm = require(`${packages}/realm-web`);

const values = new Map();

function storage(prefix = "") {
  return {
    get: (key) => values.get(prefix + key) ?? null,
    set: (key, value) => values.set(prefix + key, value),
    remove: (key) => values.delete(prefix + key),
    prefix: (part) => storage(`${prefix}${part}:`),
    clear: () => values.clear(),
    addListener: () => {},
    removeListener: () => {},
  };
}

async function main() {
  const { Credentials } = Realm;
  const app = new Realm.App({ id: "field-notes", baseUrl, storage: storage() });
  const seen = { providers: [] };
  const credentials = [
    Credentials.google({ idToken: google }),
    Credentials.apple(apple),
    Credentials.facebook(facebook),
  ];
  const ids = new Set();
  for (const each of credentials) {
    const user = await app.logIn(each);
    ids.add(user.id);
    seen.providers.push([user.identities[0].providerType, user.profile.email]);
  }
  seen.users = ids.size;
  const again = await app.logIn(credentials[0], false);
  seen.same = ids.has(again.id);
  await again.refreshAccessToken();
  const guest = await app.logIn(Credentials.anonymous());
  await guest.linkCredentials(Credentials.apple(otherApple));
  seen.linked = guest.identities.map((identity) => identity.providerType).sort();
  const other = await app.logIn(Credentials.apple(otherApple), false);
  seen.sameAfterLink = other.id === guest.id;
  seen.takenLink = await code(guest.linkCredentials(credentials[0]));
  seen.byCode = await code(app.logIn(Credentials.google({ authCode: "4/code" }), false));
  seen.opaque = await code(app.logIn(Credentials.facebook("EAAB0opaque"), false));
  await again.logOut();
  seen.state = again.state;
  return seen;
}

show(main);
