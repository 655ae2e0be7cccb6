// Verifies one access token, given on the standard input, with jose and the published keys of a server.
// Arguments: where jose is, where the keys are, and the id by which the app's tokens name it.

import { readFileSync } from "node:fs";

const [library, keys, domain] = process.argv.slice(2);
const { createRemoteJWKSet, jwtVerify } = await import(library);
try {
  const token = readFileSync(0, "utf8").trim();
  const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(keys)), {
    algorithms: ["ES256"],
    requiredClaims: ["sub", "exp"],
  });
  if (payload.typ !== "access" || payload.baas_domain_id !== domain) {
    throw new Error("no access token of this app");
  }
  console.log(JSON.stringify(payload));
} catch (error) {
  console.error(error.code ?? error.message);
  process.exitCode = 1;
}
