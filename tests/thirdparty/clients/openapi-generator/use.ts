// What a program written against openapi-generator's client for fetch does: it prints the names of the accounts.
import { Configuration, V1Api } from "./typescript-fetch";

declare const process: { argv: string[] };

const api = new V1Api(new Configuration({ basePath: process.argv[2], accessToken: process.argv[3] }));
api.getV1Accounts().then((found) => console.log(JSON.stringify(found.accounts.map((account) => account.name))));
