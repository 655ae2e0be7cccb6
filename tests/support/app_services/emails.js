// Confirms an address and resets a password with either client; prints what it saw as one line of JSON.
// Arguments: the folder of the installed packages, the server's URL, the file to which the mails go, a folder for tokens.

const fs = require("fs");
const { code, show, stitchCode, until } = require("./common.js");
const [, , packages, baseUrl, mails, folder] = process.argv;
const Realm = require(`${packages}/realm-web`);
const stitch = require(`${packages}/mongodb-stitch-server-sdk`);

let read = 0;

function texts() {
  return fs.existsSync(mails) ? fs.readFileSync(mails, "utf-8").split("\n").slice(0, -1) : [];
}

// The token and tokenId of the next mail.
async function next() {
  await until(() => texts().length > read);
  const text = JSON.parse(texts()[read++]);
  const { searchParams } = new URL(text.match(/https:\S+/)[0]);
  return { token: searchParams.get("token"), tokenId: searchParams.get("tokenId") };
}

async function byRealmWeb() {
  const app = new Realm.App({ id: "field-notes", baseUrl });
  const emails = app.emailPasswordAuth;
  const email = "ann@example.com";
  const logIn = (password) => app.logIn(Realm.Credentials.emailPassword(email, password));
  const seen = {};
  await emails.registerUser({ email, password: "correct horse" });
  const replaced = await next();
  seen.before = await code(logIn("correct horse"));
  await emails.resendConfirmationEmail({ email });
  const confirmation = await next();
  seen.replaced = await code(emails.confirmUser(replaced));
  await emails.confirmUser(confirmation);
  await logIn("correct horse");
  await emails.sendResetPasswordEmail({ email });
  await emails.resetPassword({ password: "battery staple", ...(await next()) });
  seen.old = await code(logIn("correct horse"));
  await logIn("battery staple");
  seen.byCall = await code(emails.callResetPasswordFunction({ email, password: "third one" }, 1));
  seen.retry = await code(emails.retryCustomConfirmation({ email }));
  return seen;
}

async function byStitch() {
  const settings = new stitch.StitchAppClientConfiguration.Builder()
    .withBaseUrl(baseUrl)
    .withDataDirectory(folder)
    .build();
  const { auth } = stitch.Stitch.initializeAppClient("field-notes", settings);
  const emails = auth.getProviderClient(stitch.UserPasswordAuthProviderClient.factory);
  const email = "cid@example.com";
  const codeOf = stitchCode(stitch);
  const logIn = (word) => auth.loginWithCredential(new stitch.UserPasswordCredential(email, word));
  const seen = {};
  await emails.registerWithEmail(email, "correct horse");
  await next();
  seen.before = await codeOf(logIn("correct horse"));
  await emails.resendConfirmationEmail(email);
  const confirmation = await next();
  await emails.confirmUser(confirmation.token, confirmation.tokenId);
  await logIn("correct horse");
  await emails.sendResetPasswordEmail(email);
  const reset = await next();
  await emails.resetPassword(reset.token, reset.tokenId, "battery staple");
  seen.old = await codeOf(logIn("correct horse"));
  await logIn("battery staple");
  seen.byCall = await codeOf(emails.callResetPasswordFunction(email, "third one", [1]));
  return seen;
}

show(async () => ({ realmWeb: await byRealmWeb(), stitch: await byStitch() }));
