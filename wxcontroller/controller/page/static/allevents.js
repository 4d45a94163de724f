// What happens to all accounts, as it happens; the newest first.

import { $, h, setText } from "./dom.js";
import { line } from "./events.js";
import { inWords } from "./failures.js";
import { followed } from "./following.js";
import { t } from "./i18n.js";

const MOST = 200;
let ending = null;

function take({ type, data }) {
  if (type === "heartbeat") return;
  const item = line(data);
  const name = data.account;
  item.prepend(h("a", { className: "of", href: `#/a/${encodeURIComponent(name)}` }, name));
  $("all-events").prepend(item);
  while ($("all-events").children.length > MOST) $("all-events").lastElementChild.remove();
  filter();
}

function filter() {
  const wanted = $("all-events-search").value.trim().toLowerCase();
  for (const item of $("all-events").children) item.hidden = !item.textContent.toLowerCase().includes(wanted);
  const any = $("all-events").children.length > 0;
  setText($("all-events-note"), any ? "" : t("New events appear here. Earlier ones are on each account's page."));
}

export const eventsView = {
  open() {
    ending = new AbortController();
    const { signal } = ending;
    filter();
    $("all-events-search").addEventListener("input", filter, { signal });
    const texts = $("all-events-texts");
    const toggle = () => $("all-events").classList.toggle("open", texts.checked);
    texts.addEventListener("change", toggle, { signal });
    const explain = (problem) => setText($("all-events-note"), inWords(problem));
    followed("v1/events", { signal, take, explain });
    return t("Events");
  },
  close: () => ending.abort(),
};
