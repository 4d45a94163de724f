// What a program written against the generated types does: `node use.js ADDRESS` prints what it has seen.
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

declare const process: { argv: [string, string, string] };
const api = createClient<paths>({ baseUrl: process.argv[2] });
const alice = { path: { name: "alice" } };
const client = { query: { client: "alice" } };

async function use() {
  const { data: all, error } = await api.GET("/v1/accounts");
  if (!all) throw new Error("error" in error ? error.error.remedy : error.status);
  const accounts = all.accounts.map((account) => account.name);
  const { data: one } = await api.GET("/v1/accounts/{name}", { params: alice });
  const { error: no } = await api.GET("/v1/accounts/{name}", { params: { path: { name: "nobody" } } });
  const refused = no && "error" in no ? no.error.code : "";
  const { data: started } = await api.POST("/v1/accounts/{name}/start", { params: alice, body: { options: { send_interval: 0 } } });
  const { data: friends } = await api.GET("/openwx/get_friend_info", { params: client });
  const friend = Array.isArray(friends) ? friends.find(({ id }) => id.startsWith("@")) : undefined;
  const body = { id: friend?.id ?? "", content: "from TypeScript" };
  const { data: sent } = await api.POST("/openwx/send_friend_message", {
    params: client,
    body,
    bodySerializer: (fields) => {
      const form = new FormData();
      for (const [name, value] of Object.entries(fields ?? {})) form.append(name, String(value));
      return form;
    },
  });
  const { data: stuck } = await api.POST("/openwx/stick", { params: client, body: { id: body.id, op: "0" } });
  const { data: page } = await api.GET("/v1/accounts/{name}/events", { params: { ...alice, query: { limit: 200 } } });
  const { data: end } = await api.GET("/v1/accounts/{name}/journal", { params: alice });
  const lines: string[] = end?.lines.map((line) => line.message) ?? [];
  const { data: code } = await api.GET("/v1/accounts/{name}/qr", { params: { path: { name: "waiting" } } });
  return {
    accounts,
    unit: one?.unit,
    refused,
    started: started?.result,
    sent: sent?.code,
    stuck: stuck?.status,
    events: page?.events.map((event) => event.type) ?? [],
    lines: lines.length,
    code: code?.link !== undefined,
  };
}

console.log(JSON.stringify(await use()));
