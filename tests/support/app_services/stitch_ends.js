// Drives the older Stitch client while an administrator ends its sessions; prints what it saw as one line of JSON.
// Arguments: the packages' folder, the server's URL, the URL of the admin API's users, a token for it, a folder.

const { sent, show, stitchCode } = require("./common.js");
const [, , packages, baseUrl, users, admin, folder] = process.argv;
const stitch = require(`${packages}/mongodb-stitch-server-sdk`);
const code = stitchCode(stitch);

async function ask(method, place) {
  const headers = { Authorization: `Bearer ${admin}` };
  const answer = await fetch(`${users}/${place}`, { method, headers });
  if (answer.status !== 204) throw new Error(`${place}: ${answer.status}`);
}

show(async () => {
  const settings = new stitch.StitchAppClientConfiguration.Builder()
    .withBaseUrl(baseUrl)
    .withDataDirectory(folder)
    .build();
  const client = stitch.Stitch.initializeAppClient("test", settings);
  const { auth } = client;
  const seen = {};
  const emails = auth.getProviderClient(stitch.UserPasswordAuthProviderClient.factory);
  await emails.registerWithEmail("cid@example.com", "correct horse");
  const named = new stitch.UserPasswordCredential("cid@example.com", "correct horse");
  const user = await auth.loginWithCredential(named);
  seen.before = (await client.callFunction("who", [])) === user.id;
  await ask("PUT", `${user.id}/logout`);
  const earlier = sent.refreshes;
  seen.revoked = await code(client.callFunction("who", []));
  seen.refreshes = sent.refreshes - earlier;
  seen.loggedIn = auth.isLoggedIn;
  await auth.loginWithCredential(named);
  seen.again = (await client.callFunction("who", [])) === user.id;
  await ask("PUT", `${user.id}/disable`);
  seen.disabled = [await code(client.callFunction("who", [])), await code(auth.loginWithCredential(named))];
  await ask("PUT", `${user.id}/enable`);
  await auth.loginWithCredential(named);
  await ask("DELETE", user.id);
  seen.deleted = [await code(client.callFunction("who", [])), await code(auth.loginWithCredential(named))];
  return seen;
});
