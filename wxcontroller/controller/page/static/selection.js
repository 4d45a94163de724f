// What is selected in the list, and the bar of what can be done to all of it.

import { possible } from "./actions.js";
import { $, setHidden, setText } from "./dom.js";
import { t } from "./i18n.js";
import { lazily } from "./lazy.js";
import { complain } from "./notices.js";
import { accounts } from "./store.js";

export const selected = new Set();
const bulk = lazily(() => import("./bulk.js"), (part) => part.setUpBulk());
let changed = () => {};

// changed() when something other than a click on a row has changed what is selected.
export function setUpSelection(whenChanged) {
  changed = whenChanged;
  $("bulk").addEventListener("click", ({ target }) => {
    const action = target.closest("button")?.dataset.action;
    if (action === "clear") select([]);
    else if (action) bulk().then(({ perform }) => perform(action)).catch(complain);
  });
}

export function select(names) {
  selected.clear();
  for (const name of names) selected.add(name);
  changed();
  showBulk();
}

// Brings the bar up to date: only what can be done to one of them at least is offered.
export function showBulk() {
  for (const name of selected) if (!accounts.has(name)) selected.delete(name);
  setHidden($("bulk"), !selected.size);
  document.body.classList.toggle("selecting", selected.size > 0);
  if (!selected.size) return;
  bulk().then(({ offerMove }) => offerMove(), () => {}); // who clicks on one of its buttons hears of it
  setText($("bulk-count"), t("{n} selected", { n: selected.size }));
  for (const action of ["start", "stop", "restart"]) {
    setHidden($("bulk").querySelector(`[data-action=${action}]`), !able(action).length);
  }
}

// Those of the selected to which an action can be done.
export const able = (action) => [...selected].filter((name) => possible(accounts.get(name))[action]);
