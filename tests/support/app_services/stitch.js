// Drives the older Stitch client against a server and prints what it saw as one line of JSON.
// Arguments: the folder of the installed packages, the server's URL, a folder for its tokens.

const [, , packages, baseUrl, folder] = process.argv;
const stitch = require(`${packages}/mongodb-stitch-server-sdk`);

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
  await new Promise((resolve) => setTimeout(resolve, 3100));
  seen.afterExpiry = await client.callFunction("sum", [1, 2]);
  await auth.logout();
  seen.loggedIn = auth.isLoggedIn;
  const again = await auth.loginWithCredential(new stitch.UserApiKeyCredential(key.key));
  seen.sameByKey = again.id === user.id;
  console.log(JSON.stringify(seen));
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error.stack || String(error));
    process.exit(1);
  },
);
