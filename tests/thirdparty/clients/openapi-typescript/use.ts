// What a program written against openapi-typescript's types does: it prints the names of the accounts.
import createClient from "openapi-fetch";
import type { paths } from "./made";

declare const process: { argv: string[] };

const client = createClient<paths>({ baseUrl: process.argv[2], headers: { Authorization: `Bearer ${process.argv[3]}` } });
client.GET("/v1/accounts").then(({ data }) => {
  if (data === undefined) throw new Error("refused");
  console.log(JSON.stringify(data.accounts.map((account) => account.name)));
});
