// What the programs that drive clients of App Services share. Load it before a client: it counts what the client sends.

const http = require("http");

// How often a client has asked for a new access token: realm-web by fetch, the Stitch client by node-fetch.
const sent = { refreshes: 0 };

function count(method, path) {
  if (method === "POST" && path.endsWith("/auth/session")) sent.refreshes += 1;
}

const { fetch } = globalThis;
globalThis.fetch = (url, options = {}) => {
  count(options.method, String(url));
  return fetch(url, options);
};

const { request } = http;
http.request = (options, ...rest) => {
  count(options.method, options.path ?? options.pathname ?? "");
  return request(options, ...rest);
};

// The status and code that realm-web tells of a call, or "none".
async function code(promise) {
  try {
    await promise;
    return "none";
  } catch (error) {
    return `${error.statusCode} ${error.errorCode}`;
  }
}

// What the Stitch client tells of a call: the name of the code if it knows it, else the server's text, or "none".
function stitchCode(stitch) {
  return async (promise) => {
    try {
      await promise;
      return "none";
    } catch (error) {
      const name = stitch.StitchServiceErrorCode[error.errorCode];
      return name === undefined || name === "Unknown" ? error.message : name;
    }
  };
}

// Wait until a condition holds, for ten seconds at most.
async function until(condition) {
  const end = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error("it did not come");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// Wait until an access token, whose life is seconds here, has certainly ended: its exp is whole seconds.
async function expired(token) {
  const { exp } = JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
  await until(() => Date.now() > (exp + 1) * 1000);
}

// Run a program, and print what it saw as one line of JSON.
function show(main) {
  main().then(
    (seen) => {
      console.log(JSON.stringify(seen));
      process.exit(0);
    },
    (error) => {
      console.error(error.stack || String(error));
      process.exit(1);
    },
  );
}

module.exports = { code, expired, sent, show, stitchCode, until };
