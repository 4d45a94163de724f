// People and groups of an account with a search, and sending to one of them.

import { call, Problem } from "./api.js";
import { $, h, setHidden, setText } from "./dom.js";
import { t } from "./i18n.js";
import { explain } from "./notices.js";
import { once } from "./store.js";
import { inWords } from "./words.js";

const MOST = 100;
const openwx = (name, endpoint) => `openwx/${endpoint}?client=${encodeURIComponent(name)}`;

const KINDS = {
  好友: () => t("friend"),
  公众号: () => t("official account"),
  系统帐号: () => t("WeChat's own"),
  group: () => t("group"),
};

export function peopleTab(name) {
  const ending = new AbortController();
  const { signal } = ending;
  let entries = [];
  let chosen = null;

  async function load() {
    setText($("people-note"), t("Loading…"));
    try {
      const [friends, groups] = await Promise.all([
        call("GET", openwx(name, "get_friend_info"), { signal }),
        call("GET", openwx(name, "get_group_basic_info"), { signal }),
      ]);
      for (const each of [friends, groups]) if (!Array.isArray(each)) throw new Problem("not-logged-in", each.status ?? "");
      entries = [...friends.map((each) => entryOf(each, each.category)), ...groups.map((each) => entryOf(each, "group"))];
      show();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      setText($("people-note"), inWords(problem));
    }
  }

  function show() {
    const wanted = $("people-search").value.trim().toLowerCase();
    const found = entries.filter((entry) => entry.key.includes(wanted));
    const left = found.length - MOST;
    setText(
      $("people-note"),
      left > 0 ? t("{n} found, the first {most} are shown.", { n: found.length, most: MOST }) : t("{n} found", { n: found.length }),
    );
    $("people").replaceChildren(...found.slice(0, MOST).map(item));
  }

  function item(entry) {
    const kind = (KINDS[entry.kind] ?? (() => entry.kind))();
    const button = h("button", { type: "button" }, h("span", {}, entry.label), h("small", {}, [kind, entry.more].filter(Boolean).join(" · ")));
    button.setAttribute("aria-pressed", String(entry === chosen));
    button.addEventListener("click", () => {
      chosen = entry;
      for (const each of $("people").querySelectorAll("button")) each.setAttribute("aria-pressed", String(each === button));
      setText($("send-to"), t("To {who} ({kind})", { who: entry.label, kind }));
      explain($("send-result"), null);
      enable(true);
      $("send").elements.content.focus();
    });
    return h("li", {}, button);
  }

  function enable(on) {
    for (const each of $("send").querySelectorAll("textarea, button")) each.disabled = !on;
  }

  async function send(event) {
    event.preventDefault();
    const content = $("send").elements.content.value;
    if (!chosen || !content.trim()) return;
    enable(false);
    $("send-result").className = "faint";
    setText($("send-result"), t("Sending…"));
    setHidden($("send-result"), false);
    try {
      // In the body: what is in an address may be logged on its way. The key makes a repeated request harmless.
      const endpoint = chosen.kind === "group" ? "send_group_message" : "send_friend_message";
      const headers = { "Idempotency-Key": randomKey() };
      const answer = await call("POST", openwx(name, endpoint), { form: { id: chosen.id, content }, headers, signal });
      if (answer.code !== 0) throw unsent(answer);
      $("send").reset();
      $("send-result").className = "good";
      setText($("send-result"), t("Sent to {who}.", { who: chosen.label }));
    } catch (problem) {
      if (problem.name === "AbortError") return;
      $("send-result").className = "bad";
      explain($("send-result"), problem);
    } finally {
      if (!signal.aborted) {
        enable(true);
        $("send").elements.content.focus();
      }
    }
  }

  $("people-search").value = "";
  $("people").replaceChildren();
  $("send").reset();
  setText($("send-to"), t("Choose somebody from the list."));
  explain($("send-result"), null);
  enable(false);
  $("people-search").addEventListener("input", show, { signal });
  $("send").addEventListener("submit", send, { signal });
  setText($("people-note"), t("People and groups are known once the account runs."));
  const stop = once(name, ({ login_state: state }) => state === "running" || state === "offline", load);
  return () => {
    ending.abort();
    stop();
  };
}

// What became of a send that is not known to be done: the numbers and words of the contract.
const STILL_QUEUED = -7;
const NOBODY_KNOWS = "unknown data";

function unsent({ code, status = "", reason }) {
  const what = code === STILL_QUEUED ? "queued" : status === NOBODY_KNOWS ? "unsure" : "not-sent";
  return new Problem(what, reason || status);
}

function entryOf({ id, displayname, name, markname, account }, kind) {
  const more = [...new Set([name, markname, account])].filter((each) => each && each !== displayname).join(" · ");
  return { id, kind, label: displayname || id, more, key: `${displayname}\n${more}`.toLowerCase() };
}

// crypto.randomUUID is there in secure contexts only, which http on another address is not.
const randomKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
