// The left side of Conversations: chats with their last messages, then all other contacts, with a search.

import { call } from "./api.js";
import { $, h, redraw, setText } from "./dom.js";
import { entryParts } from "./face.js";
import { inWords } from "./failures.js";
import { t } from "./i18n.js";
import { path } from "./paths.js";
import { can } from "./routes.js";
import { DOWN, isThere } from "./states.js";
import { accounts, listen } from "./store.js";
import { chatOf } from "./chat.js";
import { previewOf } from "./messagewords.js";
import { shortly } from "./times.js";

const MOST = 100;
const PAGE = 1000;
const MOST_PAGES = 10;
const PAUSE = 1000;
const PAUSE_AFTER_FAILURE = 5000;

const KINDS = {
  friend: () => t("friend"),
  official: () => t("official account"),
  system: () => t("WeChat's own"),
  group: () => t("group"),
};

// Kinds that are seldom written to come last.
const LAST = ["official", "system"];

// `wanted` is the id of the chat to open, "" for none.
export function peopleTab(name, wanted = "") {
  const ending = new AbortController();
  const { signal } = ending;
  const chat = chatOf(name, signal, () => {
    roster = "unknown";
    follow();
  });
  let chats = [];
  let people = [];
  let chosen = null;
  let before = wanted ? { id: wanted } : null; // who is to be chosen once the account is there
  let roster; // the version of the contacts that is shown; undefined: none
  let news; // the version of the messages that is shown
  let loading = false;
  let overdue; // a timer until the account's activity is; then true

  // The stream only signals a change; the contacts are fetched, one request at a time.
  async function follow() {
    const account = accounts.get(name) ?? DOWN;
    if (!isThere(account)) return forget();
    const { activity } = account;
    if (roster === undefined) setText($("people-note"), t("Loading…"));
    if (!activity && overdue !== true) {
      // It says what the route can do. Older programs have none.
      overdue ??= setTimeout(() => {
        overdue = true;
        if (!signal.aborted) follow();
      }, PAUSE);
      return;
    }
    const nowRoster = activity ? `${activity.people} ${can(account, "groups")}` : null;
    const { last_message: last, queued, held, undelivered, dead, media_since: refused } = activity ?? {};
    const nowNews = activity ? [last, queued, held, undelivered, dead, refused, account.pid].join() : null;
    if (loading || (nowRoster === roster && nowNews === news)) return;
    loading = true;
    let pause = PAUSE;
    const changed = nowRoster !== roster;
    [roster, news] = [nowRoster, nowNews];
    try {
      await Promise.all([changed && loadPeople(account), loadChats()]);
      // Meanwhile the account may have stopped.
      if (roster !== undefined) {
        keepChoice();
        show();
        chat.refresh();
      }
    } catch (problem) {
      if (problem.name === "AbortError") return;
      pause = PAUSE_AFTER_FAILURE;
      if (roster !== undefined) {
        roster = "unknown"; // try again
        setText($("people-note"), inWords(problem));
      }
    }
    await new Promise((done) => setTimeout(done, pause));
    loading = false;
    if (!signal.aborted) follow();
  }

  function forget() {
    [chats, people, roster, news] = [[], [], undefined, undefined];
    $("people").replaceChildren();
    before = chosen ?? before;
    setText($("people-note"), t("People and groups are shown once the account runs."));
    choose(null);
  }

  async function loadChats() {
    const { chats: found } = await call("GET", path`v1/accounts/${name}/chats`.query({ limit: 200 }), { signal });
    chats = found.map((chat) => entryOf(chat.id, chat.name, chat.is_group ? "group" : "friend", [], chat));
  }

  async function loadPeople(account) {
    const groups = can(account, "groups") ? await listed("groups") : [];
    const contacts = await listed("contacts");
    people = [
      ...contacts.map((one) => ({
        ...entryOf(one.id, one.name, one.kind, [one.nickname, one.remark, one.wechat_id]),
        remark: one.remark,
        isContact: true,
      })),
      ...groups.map((one) => entryOf(one.id, one.name, "group", [])),
    ];
  }

  async function listed(what) {
    const found = [];
    for (let page = 0, after; page < MOST_PAGES; page++) {
      const target = path`v1/accounts/${name}/${what}`.query({ limit: PAGE, after });
      const answer = await call("GET", target, { signal });
      found.push(...answer[what]);
      if (!answer.more || !answer[what].length) break;
      after = answer[what].at(-1).id;
    }
    return found;
  }

  // Each contact once: chats first, the latest on top, then the others.
  function entries() {
    const known = new Map(people.map((one) => [one.id, one]));
    const withMessages = chats.map((one) => ({ ...known.get(one.id), ...one, key: known.get(one.id)?.key ?? one.key }));
    const ids = new Set(chats.map(({ id }) => id));
    const others = people.filter(({ id }) => !ids.has(id));
    return [...withMessages, ...others.sort((one, other) => LAST.indexOf(one.kind) - LAST.indexOf(other.kind))];
  }

  // The contact may have been renamed or removed, and the account restarted.
  function keepChoice() {
    const kept = chosen ?? before;
    before = null;
    if (kept) choose(entries().find(({ id }) => id === kept.id) ?? null);
  }

  function choose(entry) {
    chosen = entry;
    chat.choose(entry);
    $("panel-chats").classList.toggle("open", Boolean(entry));
    for (const each of $("people").querySelectorAll("button")) {
      each.setAttribute("aria-pressed", String(each.dataset.id === entry?.id));
    }
  }

  function show() {
    const search = $("people-search").value.trim().toLowerCase();
    const found = entries().filter((entry) => entry.key.includes(search));
    const n = found.length;
    const shown = n > MOST ? t("{n} found, the first {most} are shown.", { n, most: MOST }) : "";
    const none = n ? "" : t("Nothing found.");
    const some = t("On this route, people appear after their first message.");
    const limits = can(accounts.get(name), "contacts") ? "" : some;
    setText($("people-note"), [shown || none, limits].filter(Boolean).join(" · "));
    redraw($("people"), found.slice(0, MOST).map(item));
  }

  function item(entry) {
    const last = entry.last ? previewOf(entry.last) : [kindOf(entry), entry.more].filter(Boolean).join(" · ");
    const when = entry.last ? shortly(entry.last.time) : "";
    const button = h("button", { type: "button", className: "entry", "data-id": entry.id });
    button.append(...entryParts(entry.label, last, when));
    button.setAttribute("aria-pressed", String(entry.id === chosen?.id));
    button.addEventListener("click", () => {
      choose(entry);
      chat.focus();
    });
    return h("li", {}, button);
  }

  $("people-search").value = "";
  $("people-search").addEventListener("input", show, { signal });
  $("chat-back").addEventListener("click", () => choose(null), { signal });
  forget();
  const stop = listen(({ names, gone, all }) => {
    if (all || names.has(name) || gone.includes(name)) follow();
  });
  follow();
  return () => {
    ending.abort();
    chat.end();
    stop();
  };
}

export const kindOf = (entry) => (KINDS[entry.kind] ?? (() => entry.kind))();

// `called` names the person or group within a sentence: some routes know only an id.
function entryOf(id, label, kind, others, chat) {
  const called = label && label !== id ? label : kind === "group" ? t("this group") : t("this person");
  const more = [...new Set(others)].filter((each) => each && each !== label).join(" · ");
  return { id, kind, label: label || id, called, more, last: chat?.last, key: `${label}\n${more}`.toLowerCase() };
}
