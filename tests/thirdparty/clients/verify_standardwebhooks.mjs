// Verifies deliveries with the reference library, unmodified: JSON {secret, headers, body} on standard input, one a line.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(`${process.argv[2]}/`);
const { Webhook } = require("standardwebhooks");
for await (const line of createInterface({ input: process.stdin })) {
  const { secret, headers, body } = JSON.parse(line);
  try {
    new Webhook(secret).verify(body, headers);
    console.log("verified");
  } catch (problem) {
    console.log(problem.message);
  }
}
