// Calls and streams to the controller. Failures are Problems; the sign-in is shown if a token is required.

import { parsed, t, textOf } from "./i18n.js";
import { fetched, path } from "./paths.js";

// The token is kept in this tab's storage and never in a URL. A cookie would also be sent to other ports of this
// host, to programs that must not have the token.
const TOKEN = "wxcontroller-token";
let token = sessionStorage.getItem(TOKEN);
let askForToken = null;
// Where no token is needed, the page itself says what the reader may do: one request less before the first accounts.
let scope = document.documentElement.dataset.scope ?? null;
let admitted = scope !== null;
let bound = false;
let entering = null;

export class Problem extends Error {
  constructor(code, message, remedy = "", status = 0, values = {}) {
    super(message);
    this.code = code;
    this.remedy = remedy;
    this.status = status;
    this.values = values;
  }
}

// ask(refused) shows the sign-in and resolves to a token.
export function onTokenNeeded(ask) {
  askForToken = ask;
}

// Whether the reader signed in with a token, and so can sign out.
export const signedIn = () => token !== null;

// Each scope includes those before it.
const SCOPES = ["read", "send", "control", "admin"];

// Whether the reader's token has this scope; known after the first call.
export const may = (wanted) => SCOPES.indexOf(scope) >= SCOPES.indexOf(wanted);

// Whether the token is bound to some accounts: requests about the host as a whole are then refused.
export const isBound = () => bound;

export function signOut() {
  token = null;
  sessionStorage.removeItem(TOKEN);
  location.reload();
}

// target: what paths.js made. options: json or form (an object) as the body, or a body as fetch takes it; headers, signal.
export async function call(method, target, options = {}) {
  return answerOf(await request(method, target, options));
}

// A body that breaks off is a failure. One that is no JSON is read as an empty object.
async function answerOf(response) {
  const body = await response.text().catch((problem) => { throw failureOf(problem); });
  return parsed(body).catch(() => ({}));
}

export async function picture(target, signal) {
  return (await request("GET", target, { signal })).blob();
}

// Yield { type, data, id } of a stream until it ends. `opened` is the promise of a response requested earlier. An
// EventSource sends no headers, so no token.
export async function* stream(target, { signal, lastId, opened } = {}) {
  const headers = { Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) };
  const early = await opened;
  const response = early?.ok ? early : await request("GET", target, { headers, signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (buffer + value).split("\n\n");
    buffer = parts.pop();
    for (const part of parts) {
      const event = { type: "message", data: "", id: "" };
      for (const line of part.split("\n")) {
        const colon = line.indexOf(":");
        const [name, content] = [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
        if (name === "event") event.type = content;
        else if (name === "data") event.data += content;
        else if (name === "id") event.id = content;
      }
      if (event.data) yield { ...event, data: await parsed(event.data) };
    }
  }
}

async function request(method, target, options) {
  const response = await exchange(method, target, options);
  if (!response.ok) throw await problemOf(response);
  return response;
}

// Returns the response, whatever its status.
export async function exchange(method, target, { headers = {}, ...options } = {}) {
  for (let refused = null; ; ) {
    // Several calls may find that a token is needed; only one of them asks for it.
    if (!admitted) await (entering ??= enter().finally(() => (entering = null)));
    const sent = token;
    const response = await send(method, target, { headers, ...options }, sent);
    // The token may have been revoked since. One that /v1/access accepts and the call refuses is not tried a third
    // time.
    if (response.status === 401 && askForToken && refused !== (sent ?? "")) {
      refused = sent ?? "";
      if (sent === token) admitted = false;
      continue;
    }
    return response;
  }
}

// Ask whether a token is required and this one valid. Trying the call instead would log a failure to the browser's
// console.
async function enter() {
  while (!admitted) {
    const response = await send("GET", path`v1/access`, {}, token);
    if (!response.ok) throw await problemOf(response);
    const answer = await response.json();
    const { accepted } = answer;
    ({ scope, bound } = answer);
    if (accepted || !askForToken) admitted = true;
    else await ask(token !== null);
  }
}

async function send(method, target, { json, form, body: plain, headers, signal }, sent) {
  const body = json ? JSON.stringify(json) : form ? new URLSearchParams(form) : plain;
  const kind = json ? { "Content-Type": "application/json" } : {};
  const who = sent ? { "X-Auth-Token": sent } : {}; // a reverse proxy may use Authorization
  try {
    return await fetched(target, { method, body, signal, headers: { ...kind, ...headers, ...who } });
  } catch (problem) {
    throw failureOf(problem);
  }
}

// Return what to throw for a request that broke off: the reader may have left the view, which is no failure.
function failureOf(problem) {
  if (problem.name === "AbortError") return problem;
  if (problem instanceof RangeError) return new Problem("bad-path", t("This name or id cannot be requested."));
  const remedy = t("Is it running? systemctl status wxcontroller");
  return new Problem("unreachable", t("The controller does not respond."), remedy);
}

async function ask(refused) {
  token = await askForToken(refused);
  sessionStorage.setItem(TOKEN, token);
}

async function problemOf(response) {
  const answer = await answerOf(response);
  const error = answer.error ?? {};
  const { status } = response;
  const message = textOf(error, "message") || (answer.status ?? t("The controller returned {status}.", { status }));
  return new Problem(error.code ?? "", message, textOf(error, "remedy"), status, error.values);
}
