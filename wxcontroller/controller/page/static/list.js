// The list of all accounts: rows come, change and go one by one; nothing is drawn anew as a whole.

import { onBusy } from "./actions.js";
import { may } from "./api.js";
import { $, setHidden, setText } from "./dom.js";
import { language, t } from "./i18n.js";
import { rowOf } from "./row.js";
import { accounts, listen } from "./store.js";

const TICK_SECONDS = 15;
const rows = new Map();
const { compare } = new Intl.Collator(language, { numeric: true });
let shown = "all";

export function setUpList(openAdd) {
  listen(({ names, gone, all }) => {
    for (const name of gone) drop(name);
    for (const name of names) rows.get(name)?.update(accounts.get(name));
    insert([...names].filter((name) => !rows.has(name)));
    if (all || gone.length || names.size) refresh();
  });
  onBusy((name) => rows.get(name)?.touch());
  setInterval(() => rows.forEach((row) => row.tick()), TICK_SECONDS * 1000);
  $("search").addEventListener("input", refresh);
  $("chips").addEventListener("click", (event) => {
    const chip = event.target.closest("[data-show]");
    if (!chip) return;
    shown = chip.dataset.show;
    for (const each of $("chips").children) each.setAttribute("aria-pressed", String(each === chip));
    refresh();
  });
  $("open-add").addEventListener("click", openAdd);
  $("empty-add").addEventListener("click", openAdd);
}

function drop(name) {
  rows.get(name)?.element.remove();
  rows.delete(name);
}

// New rows where they belong; the list is in the order of names.
function insert(names) {
  const fresh = names.sort(compare).map((name) => rowOf(accounts.get(name)));
  let next = $("rows").firstElementChild;
  for (const row of fresh) {
    while (next && compare(next.dataset.account, row.account.name) < 0) next = next.nextElementSibling;
    $("rows").insertBefore(row.element, next);
    rows.set(row.account.name, row);
  }
}

// Who is shown, and how many of each kind there are.
function refresh() {
  const wanted = $("search").value.trim().toLowerCase();
  const counts = { all: 0, good: 0, attention: 0, off: 0, busy: 0 };
  let visible = 0;
  for (const row of rows.values()) {
    counts.all++;
    for (const group of row.groups) counts[group]++;
    const fits = (shown === "all" || row.groups.has(shown)) && row.key.includes(wanted);
    setHidden(row.element, !fits);
    if (fits) visible++;
  }
  for (const chip of $("chips").children) setText(chip.querySelector("b"), String(counts[chip.dataset.show]));
  setHidden($("empty"), counts.all > 0);
  setHidden($("table"), counts.all === 0);
  setHidden($("filters"), counts.all === 0);
  setHidden($("open-add"), counts.all === 0 || !may("control"));
  setHidden($("empty-add"), !may("control"));
  setHidden($("no-match"), counts.all === 0 || visible > 0);
  const { all, good, attention } = counts;
  let summary = t("{good} of {all} running", { good, all });
  if (attention) summary += ` · ${t("{n} waiting for you", { n: attention })}`;
  if (!performance.getEntriesByName("accounts").length) performance.mark("accounts");
  setText($("summary"), all ? summary : t("No account yet"));
}
