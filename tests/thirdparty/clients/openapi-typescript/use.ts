// What a program written against the generated types does; it is compiled, not run.
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

const api = createClient<paths>({ baseUrl: "http://127.0.0.1:2000" });
const alice = { path: { name: "alice" } };

export async function use(): Promise<string[]> {
  const seen: string[] = [];
  const { data: all, error } = await api.GET("/v1/accounts");
  if (!all) return ["error" in error ? error.error.remedy : error.status];
  for (const account of all.accounts) seen.push(account.name);
  const { data: one } = await api.GET("/v1/accounts/{name}", { params: alice });
  if (one) seen.push(one.unit, String(one.memory));
  const { data: started } = await api.POST("/v1/accounts/{name}/start", { params: alice, body: { send_interval: 3 } });
  if (started?.result) seen.push(started.result);
  const { data: page } = await api.GET("/v1/accounts/{name}/events", { params: { ...alice, query: { limit: 10 } } });
  for (const event of page?.events ?? []) seen.push(event.id);
  const { data: end } = await api.GET("/v1/accounts/{name}/journal", { params: alice });
  for (const line of end?.lines ?? []) seen.push(line.message);
  const { data: code } = await api.GET("/v1/accounts/{name}/qr", { params: alice });
  if (code?.link) seen.push(code.link);
  const client = { query: { client: "alice" } };
  const { data: friends } = await api.GET("/openwx/get_friend_info", { params: client });
  if (Array.isArray(friends)) for (const friend of friends) seen.push(friend.displayname);
  const { data: sent } = await api.POST("/openwx/send_friend_message", { params: client, body: { id: "a", content: "b" } });
  if (sent) seen.push(sent.status);
  const { data: stuck } = await api.POST("/openwx/stick", { params: client, body: { id: "a", op: "0" } });
  if (stuck) seen.push(stuck.status);
  return seen;
}
