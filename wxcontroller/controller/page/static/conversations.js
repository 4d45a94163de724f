// The view Conversations: the conversations of all accounts, the latest first.
//
// An account's conversations are fetched when it has news: of the accounts whose last message is the latest, so that
// hundreds of accounts cost no more than a screenful. More accounts follow on demand.

import { call } from "./api.js";
import { $, h, redraw, setHidden, setText } from "./dom.js";
import { entryParts } from "./face.js";
import { inWords } from "./failures.js";
import { t } from "./i18n.js";
import { previewOf } from "./messagewords.js";
import { path, placeOf } from "./paths.js";
import { isThere } from "./states.js";
import { accounts, listen } from "./store.js";
import { shortly } from "./times.js";

const ACCOUNTS = 20;
const CHATS = 20; // of one account
const AT_ONCE = 4;
const PAUSE = 1000;

let stop = () => {};
let ending = new AbortController();
let most = ACCOUNTS;
let loading = false;
const found = new Map(); // account → { news, chats }: its conversations, and the news that they include
let failure = "";

const lastOf = ({ activity }) => activity?.last_message ?? 0;
const newsOf = ({ pid, activity }) => [pid, activity?.last_message, activity?.queued, activity?.people].join();

function latest() {
  const there = [...accounts.values()].filter(isThere);
  return there.sort((one, other) => lastOf(other) - lastOf(one));
}

async function load() {
  if (loading) return;
  loading = true;
  const { signal } = ending;
  const left = latest().slice(0, most).filter((one) => found.get(one.name)?.news !== newsOf(one));
  const some = async () => {
    while (left.length) await loadOne(left.shift(), signal);
  };
  failure = "";
  if (left.length) {
    await Promise.all(Array.from({ length: AT_ONCE }, some));
    await new Promise((done) => setTimeout(done, found.size ? 0 : PAUSE));
  }
  loading = false;
  if (!signal.aborted) show();
}

async function loadOne(account, signal) {
  const news = newsOf(account);
  try {
    const answer = await call("GET", path`v1/accounts/${account.name}/chats`.query({ limit: CHATS }), { signal });
    found.set(account.name, { news, chats: answer.chats.filter(({ last }) => last) });
  } catch (problem) {
    if (problem.name === "AbortError") return;
    found.set(account.name, { news, chats: [] }); // until its next news
    failure = `${account.name}: ${inWords(problem)}`;
  }
}

function show() {
  const there = latest();
  const listed = there.slice(0, most).flatMap(({ name }) => (found.get(name)?.chats ?? []).map((chat) => [name, chat]));
  listed.sort(([, one], [, other]) => other.last.time - one.last.time);
  redraw($("all-chats"), listed.map(item));
  setHidden($("all-chats"), !listed.length);
  setHidden($("more-chats"), there.length <= most);
  const none = loading ? t("Loading…") : t("No messages yet.");
  const empty = there.length ? none : t("Conversations are shown once an account runs.");
  setText($("conversations-note"), failure || (listed.length ? "" : empty));
}

function item([account, { id, name, last }]) {
  const preview = [account, previewOf(last)].filter(Boolean).join(" · ");
  const link = h("a", { className: "entry", href: placeOf(account, "chats", id) });
  link.append(...entryParts(name || id, preview, shortly(last.time)));
  return h("li", { "data-account": account }, link);
}

export function setUpConversations() {
  $("more-chats").addEventListener("click", () => {
    most += ACCOUNTS;
    load();
  });
}

export const conversationsView = {
  open() {
    ending = new AbortController();
    stop = listen(load);
    load();
    show();
    return t("Conversations");
  },
  close() {
    ending.abort();
    stop();
  },
};
