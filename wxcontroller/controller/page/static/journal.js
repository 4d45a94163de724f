// The end of an account's journal, as systemd keeps it.

import { call, pathOf } from "./api.js";
import { $, h, setText } from "./dom.js";
import { t } from "./i18n.js";
import { untilVisible } from "./store.js";
import { exactly, moment, wordsOf } from "./words.js";

const LINES = 200;
const PAUSE_SECONDS = 3;
// syslog's: 3 and below are errors, 4 warnings.
const TONES = { 0: "bad", 1: "bad", 2: "bad", 3: "bad", 4: "attention" };

export function journalTab(name) {
  const ending = new AbortController();
  const { signal } = ending;
  let last = "";

  async function follow() {
    while (!signal.aborted) {
      await untilVisible();
      try {
        const { lines } = await call("GET", pathOf(name, `journal?lines=${LINES}`), { signal });
        show(lines);
      } catch (problem) {
        if (signal.aborted) return;
        const { headline, remedy, details } = wordsOf(problem);
        setText($("journal-note"), [headline, remedy, details].filter(Boolean).join(" "));
      }
      await new Promise((done) => setTimeout(done, PAUSE_SECONDS * 1000));
    }
  }

  // Only what is new is added, at the end; who reads further up is left where he is.
  function show(lines) {
    const place = $("journal");
    setText($("journal-note"), lines.length ? t("The last {n} lines.", { n: lines.length }) : t("The journal has no line of this account."));
    const known = lines.findLastIndex((line) => line.cursor === last);
    if (known < 0) place.replaceChildren();
    const atEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
    place.append(...lines.slice(known + 1).map(item));
    while (place.children.length > LINES) place.firstElementChild.remove();
    if (atEnd) place.scrollTop = place.scrollHeight;
    last = lines.at(-1)?.cursor ?? "";
  }

  $("journal").replaceChildren();
  setText($("journal-note"), t("Loading…"));
  follow();
  return () => ending.abort();
}

function item({ time, priority, message }) {
  return h("li", { className: TONES[priority] ?? "" }, h("time", { title: exactly(time) }, moment(time)), " ", message);
}
