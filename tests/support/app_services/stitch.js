// Drives the older Stitch client against a server and prints what it saw as one line of JSON.
// Arguments: the folder of the installed packages, the server's URL, a folder for its tokens.

const { expired, sent, show, stitchCode } = require("./common.js");
const [, , packages, baseUrl, folder] = process.argv;
const stitch = require(`${packages}/mongodb-stitch-server-sdk`);
const code = stitchCode(stitch);

async function main() {
  const settings = new stitch.StitchAppClientConfiguration.Builder()
    .withBaseUrl(baseUrl)
    .withDataDirectory(folder)
    .build();
  const client = stitch.Stitch.initializeAppClient("field-notes", settings);
  const { auth } = client;
  const seen = {};
  const emails = auth.getProviderClient(stitch.UserPasswordAuthProviderClient.factory);
  const user = await auth.loginWithCredential(new stitch.AnonymousCredential());
  await emails.registerWithEmail("cid@example.com", "correct horse");
  const named = new stitch.UserPasswordCredential("cid@example.com", "correct horse");
  const linked = await user.linkWithCredential(named);
  seen.sameAfterLink = linked.id === user.id;
  seen.sum = await client.callFunction("sum", [40, 2]);
  const keys = auth.getProviderClient(stitch.UserApiKeyAuthProviderClient.factory);
  const key = await keys.createApiKey("backup");
  seen.keys = (await keys.fetchApiKeys()).length;
  seen.oneKey = (await keys.fetchApiKey(key.id)).name;
  await keys.disableApiKey(key.id);
  const credential = new stitch.UserApiKeyCredential(key.key);
  seen.disabledKey = await code(auth.loginWithCredential(credential));
  await keys.enableApiKey(key.id);
  await auth.refreshCustomData(); // this client has none before its first refresh
  const before = auth.user.customData.count;
  await auth.refreshCustomData();
  seen.customDataChanged = auth.user.customData.count > before;
  await expired(auth.authInfo.accessToken);
  const earlier = sent.refreshes;
  const calls = [1, 2, 3].map((each) => client.callFunction("sum", [each, each]));
  seen.afterExpiry = await Promise.all(calls);
  seen.refreshed = sent.refreshes > earlier;
  seen.unknownFunction = await code(client.callFunction("nothing", []));
  const wrong = new stitch.UserPasswordCredential("cid@example.com", "wrong");
  seen.wrongPassword = await code(auth.loginWithCredential(wrong));
  await auth.logout();
  seen.loggedIn = auth.isLoggedIn;
  const again = await auth.loginWithCredential(credential);
  seen.sameByKey = again.id === user.id;
  await keys.deleteApiKey(key.id);
  seen.withoutKey = await code(client.callFunction("sum", [40, 2]));
  const byFunction = new stitch.FunctionCredential({ ticket: "dan" });
  seen.byFunction = (await auth.loginWithCredential(byFunction)).loggedInProviderType;
  return seen;
}

show(main);
