// People and groups of an account with a search, as they are now; sending.js sends to the one that is chosen.

import { call } from "./api.js";
import { $, h, setText } from "./dom.js";
import { inWords } from "./failures.js";
import { t } from "./i18n.js";
import { can } from "./routes.js";
import { refusal, sendForm } from "./sending.js";
import { DOWN, isThere } from "./states.js";
import { accounts, listen } from "./store.js";

const MOST = 100;
const PAUSE = 1000;

const KINDS = {
  好友: () => t("friend"),
  公众号: () => t("official account"),
  系统帐号: () => t("WeChat's own"),
  group: () => t("group"),
};

export function peopleTab(name) {
  const ending = new AbortController();
  const { signal } = ending;
  const form = sendForm(name, signal);
  let entries = [];
  let chosen = null;
  let known; // which state of its people is shown; undefined for none
  let loading = false;

  // The stream tells that there are others; who they are is asked for, one time after the other.
  async function follow() {
    const account = accounts.get(name) ?? DOWN;
    if (!isThere(account)) return forget();
    const { activity } = account;
    const now = activity ? `${activity.people} ${can(account, "groups")}` : null;
    if (loading || now === known) return;
    loading = true;
    const first = known === undefined;
    known = now;
    try {
      await load(first);
      await new Promise((done) => setTimeout(done, PAUSE));
    } finally {
      loading = false;
    }
    if (!signal.aborted) follow();
  }

  function forget() {
    [entries, chosen, known] = [[], null, undefined];
    $("people").replaceChildren();
    setText($("people-note"), t("People and groups are shown once the account runs."));
    form.choose(null);
  }

  async function load(first) {
    if (first) setText($("people-note"), t("Loading…"));
    try {
      const hasGroups = can(accounts.get(name), "groups");
      const [friends, groups] = await Promise.all([
        listed("get_friend_info"),
        hasGroups ? listed("get_group_basic_info") : [],
      ]);
      if (known === undefined) return; // it has ended meanwhile
      const people = friends.map((each) => entryOf(each, each.category));
      entries = [...people, ...groups.map((each) => entryOf(each, "group"))];
      keepChoice();
      show();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      known = "unknown"; // the next news of the account tries again
      setText($("people-note"), inWords(problem));
    }
  }

  async function listed(endpoint) {
    const answer = await call("GET", `openwx/${endpoint}?client=${encodeURIComponent(name)}`, { signal });
    if (!Array.isArray(answer)) throw refusal(answer);
    return answer;
  }

  // Somebody may have another name now, or be gone.
  function keepChoice() {
    if (!chosen) return;
    chosen = entries.find(({ id }) => id === chosen.id) ?? null;
    form.choose(chosen, kindOf(chosen));
  }

  function show() {
    const wanted = $("people-search").value.trim().toLowerCase();
    const found = entries.filter((entry) => entry.key.includes(wanted));
    const n = found.length;
    const few = n <= MOST;
    const count = few ? t("{n} found", { n }) : t("{n} found, the first {most} are shown.", { n, most: MOST });
    const limits = can(accounts.get(name), "contacts")
      ? ""
      : t("On this route, people appear after their first message.");
    setText($("people-note"), [count, limits].filter(Boolean).join(" · "));
    const focused = document.activeElement?.closest("#people button")?.dataset.id;
    $("people").replaceChildren(...found.slice(0, MOST).map(item));
    if (focused) $("people").querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
  }

  function item(entry) {
    const more = h("small", {}, [kindOf(entry), entry.more].filter(Boolean).join(" · "));
    const button = h("button", { type: "button", "data-id": entry.id }, h("span", {}, entry.label), more);
    button.setAttribute("aria-pressed", String(entry === chosen));
    button.addEventListener("click", () => {
      chosen = entry;
      for (const each of $("people").querySelectorAll("button")) {
        each.setAttribute("aria-pressed", String(each === button));
      }
      form.choose(entry, kindOf(entry));
      form.focus();
    });
    return h("li", {}, button);
  }

  $("people-search").value = "";
  $("people-search").addEventListener("input", show, { signal });
  forget();
  const stop = listen(({ names, gone, all }) => {
    if (all || names.has(name) || gone.includes(name)) follow();
  });
  follow();
  return () => {
    ending.abort();
    stop();
  };
}

const kindOf = (entry) => (entry ? (KINDS[entry.kind] ?? (() => entry.kind))() : "");

function entryOf({ id, displayname, name, markname, account }, kind) {
  const more = [...new Set([name, markname, account])].filter((each) => each && each !== displayname).join(" · ");
  return { id, kind, label: displayname || id, more, key: `${displayname}\n${more}`.toLowerCase() };
}
