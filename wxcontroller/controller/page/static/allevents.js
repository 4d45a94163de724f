// Events of all accounts: recent ones of the most recently active accounts, then new ones as they occur.

import { $, h, setText } from "./dom.js";
import { eventList, eventsBefore } from "./events.js";
import { inWords } from "./failures.js";
import { followed } from "./following.js";
import { t } from "./i18n.js";
import { path, placeOf } from "./paths.js";
import { isUp } from "./states.js";
import { accounts } from "./store.js";

// How many accounts are asked for earlier events, and for how many.
const MOST_ACCOUNTS = 20;
const HISTORY = 20;
let ending = null;
let list = null;

const nameOf = ({ account }) => [h("a", { className: "of", href: placeOf(account) }, account)];

function show(...events) {
  list.add(...events);
  const wanted = $("all-events-search").value.trim().toLowerCase();
  for (const item of $("all-events").children) {
    item.hidden = wanted && (!item.dataset.at || !item.textContent.toLowerCase().includes(wanted));
  }
}

async function history(signal) {
  const last = ({ activity }) => activity?.last_message ?? 0;
  const active = [...accounts.values()].filter(isUp).sort((one, other) => last(other) - last(one));
  const asked = active.slice(0, MOST_ACCOUNTS).map(({ name }) => eventsBefore(name, HISTORY, signal));
  for (const answer of await Promise.allSettled(asked)) {
    if (answer.status === "fulfilled" && !signal.aborted) show(...answer.value);
  }
  if (!signal.aborted) setText($("all-events-note"), list.isEmpty() ? t("Nothing has happened yet.") : "");
}

export const eventsView = {
  open() {
    ending = new AbortController();
    const { signal } = ending;
    list = eventList($("all-events"), nameOf);
    setText($("all-events-note"), t("Loading…"));
    $("all-events-search").addEventListener("input", () => show(), { signal });
    const texts = $("all-events-texts");
    const toggle = () => $("all-events").classList.toggle("open", texts.checked);
    texts.addEventListener("change", toggle, { signal });
    let isNew = true;
    followed(path`v1/events`, {
      signal,
      // After the stream is open, so that no event is missed in between.
      opened() {
        if (isNew) history(signal);
        isNew = false;
      },
      take({ type, data }) {
        if (type === "heartbeat") return;
        show(data);
        setText($("all-events-note"), "");
      },
      explain: (problem) => setText($("all-events-note"), inWords(problem)),
    });
    return t("Events");
  },
  close: () => ending.abort(),
};
