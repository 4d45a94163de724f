// Messages that wait to be sent or are held, and the reply windows of routes that have them.

import { call, may, pathOf } from "./api.js";
import { $, h, setHidden, setText } from "./dom.js";
import { inWords } from "./failures.js";
import { t, textOf } from "./i18n.js";
import { complain, tell } from "./notices.js";
import { isUp } from "./states.js";
import { accounts, listen } from "./store.js";
import { exactly, moment } from "./words.js";

const STATES = {
  waiting: () => ["busy", t("waits")],
  sending: () => ["busy", t("is being sent")],
  held: () => ["attention", t("held")],
};
const HOLDS = {
  "no-context": () => t("the person has not written since the login"),
  window: () => t("the reply window is closed"),
  budget: () => t("the sends of this window are used up"),
  throttled: () => t("WeChat limits the bot"),
  restricted: () => t("WeChat accepts messages for this person and does not show them"),
  confirming: () => t("it is being checked whether the session is over"),
  offline: () => t("the account is not logged in"),
};
const WINDOWS = {
  open: () => ["good", t("open")],
  low: () => ["attention", t("few sends left")],
  spent: () => ["attention", t("sends used up")],
  closed: () => ["off", t("closed")],
  throttled: () => ["attention", t("throttled")],
  never: () => ["off", t("has not written yet")],
};
const KINDS = {
  text: () => t("text"),
  image: () => t("picture"),
  video: () => t("video"),
  voice: () => t("voice"),
  file: () => t("file"),
};

const wordOf = (table, key) => table[key]?.() ?? key;
const toneOf = (table, key) => table[key]?.() ?? ["off", key];

export function sendsTab(name) {
  const ending = new AbortController();
  const { signal } = ending;
  let seen;

  async function load() {
    try {
      const [account, { sends }] = await Promise.all([
        call("GET", pathOf(name), { signal }),
        call("GET", pathOf(name, "sends"), { signal }),
      ]);
      show(account, sends);
    } catch (problem) {
      if (problem.name !== "AbortError") clear(inWords(problem));
    }
  }

  function show({ windows, sending, queue }, sends) {
    const error = queue ? textOf(queue, "last_error") : "";
    const throttled = sending?.throttled_until;
    const notes = [
      sends.length
        ? t("{n} message waits.", { n: sends.length }, "{n} messages wait.")
        : t("No messages are waiting."),
      throttled && t("WeChat limits the bot; nothing is sent before {when}.", { when: moment(throttled) }),
      sending?.limit_24h &&
        t("{sent} of {limit} sends in 24 hours.", { sent: sending.sent_24h, limit: sending.limit_24h }),
      sending?.media_since &&
        t("WeChat has not let this account send media since {when}.", { when: moment(sending.media_since) }),
      error && sends.length && t("Last failure: {error}", { error }),
    ];
    setText($("sends-note"), notes.filter(Boolean).join(" "));
    setHidden($("windows-title"), !windows?.length);
    $("windows").replaceChildren(...(windows ?? []).map(windowItem));
    $("sends").replaceChildren(...sends.map(sendItem));
  }

  function sendItem({ id, state, reason, peer, kind, interim, queued_at: queued, held_until: until }) {
    const [tone, word] = toneOf(STATES, state);
    const cancel = h("button", { type: "button", "data-action": "cancel", hidden: !may("send") }, t("Cancel send"));
    cancel.addEventListener("click", () => giveUp(id, cancel));
    const more = [
      wordOf(KINDS, kind),
      interim && t("progress"),
      reason && wordOf(HOLDS, reason),
      until && t("held until {when}", { when: moment(until) }),
    ];
    return h(
      "li",
      { "data-send": id },
      h("time", { title: exactly(queued) }, moment(queued)),
      h("span", { className: "what" }, "→ ", peer, " ", h("span", { className: `state ${tone}` }, word)),
      state === "sending" ? h("span") : cancel,
      h("small", {}, more.filter(Boolean).join(" · ")),
    );
  }

  async function giveUp(id, button) {
    button.disabled = true;
    try {
      await call("DELETE", pathOf(name, `sends/${encodeURIComponent(id)}`), { signal });
      tell(t("The send is cancelled."));
    } catch (problem) {
      if (problem.name !== "AbortError") complain(problem);
    }
    if (!signal.aborted) await load();
  }

  function clear(note) {
    $("sends").replaceChildren();
    $("windows").replaceChildren();
    setHidden($("windows-title"), true);
    setText($("sends-note"), note);
  }

  // The stream tells that there is something new; what it is is asked for.
  function follow() {
    const account = accounts.get(name);
    const up = account && isUp(account);
    const { queued, held, last_message: last } = account?.activity ?? {};
    const now = up ? `${account.pid} ${queued} ${held} ${last}` : "";
    if (now === seen) return;
    seen = now;
    if (up) load();
    else clear(t("Sends are listed while the account runs."));
  }

  clear(t("Loading…"));
  const stop = listen(({ names, gone, all }) => (all || names.has(name) || gone.includes(name)) && follow());
  follow();
  return () => {
    ending.abort();
    stop();
  };
}

function windowItem({ peer, state, left, limit, closes, held, restricted }) {
  const [tone, word] = toneOf(WINDOWS, state);
  const isOpen = state === "open" || state === "low";
  const more = [
    isOpen && limit && t("{left} of {limit} sends left", { left, limit }),
    closes && state !== "closed" && t("closes {when}", { when: moment(closes) }),
    held && t("{n} message held", { n: held }, "{n} messages held"),
    restricted && wordOf(HOLDS, "restricted"),
  ];
  return h(
    "li",
    { "data-peer": peer },
    h("span", { className: "what" }, peer, " ", h("span", { className: `state ${tone}` }, word)),
    h("small", {}, more.filter(Boolean).join(" · ")),
  );
}
