// The end of an account's journal, and new lines as they are written.

import { $, h, setText } from "./dom.js";
import { inWords } from "./failures.js";
import { followed } from "./following.js";
import { t } from "./i18n.js";
import { path } from "./paths.js";
import { moment } from "./times.js";
import { exactly } from "./words.js";

const LINES = 200;
const NEAR = 40;
// syslog priorities: 3 and below are errors, 4 are warnings.
const TONES = { 0: "bad", 1: "bad", 2: "bad", 3: "bad", 4: "attention" };

export function journalTab(name) {
  const ending = new AbortController();
  const { signal } = ending;
  const place = $("journal");
  let fresh = [];

  function take({ type, data }) {
    if (type !== "line") return;
    if (!fresh.length) requestAnimationFrame(show); // the first lines arrive together
    fresh.push(data);
  }

  // New lines are appended. The scroll position only changes if it was at the end.
  function show() {
    if (signal.aborted) return;
    const atEnd = place.scrollHeight - place.scrollTop - place.clientHeight < NEAR;
    place.append(...fresh.slice(-LINES).map(item));
    fresh = [];
    while (place.children.length > LINES) place.firstElementChild.remove();
    if (atEnd) place.scrollTop = place.scrollHeight;
    note();
  }

  function note() {
    const n = place.children.length;
    setText(
      $("journal-note"),
      n
        ? t("The last {n} lines; new ones appear as they are written.", { n })
        : t("The journal has no line of this account."),
    );
  }

  function explain(problem) {
    setText($("journal-note"), inWords(problem));
  }

  place.replaceChildren();
  setText($("journal-note"), t("Loading…"));
  const target = path`v1/accounts/${name}/journal`.query({ lines: LINES });
  followed(target, { signal, opened: () => fresh.length || note(), take, explain });
  return () => ending.abort();
}

function item({ time, priority, message }) {
  const when = h("time", { title: exactly(time) }, moment(time));
  return h("li", { className: TONES[priority] ?? "" }, when, " ", message);
}
