// The selection in the list, and the bar with its actions.

import { possible } from "./actions.js";
import { $, setHidden, setText } from "./dom.js";
import { t } from "./i18n.js";
import { lazily } from "./lazy.js";
import { complain } from "./notices.js";
import { accounts } from "./store.js";

export const selected = new Set();
const bulk = lazily(() => import("./bulk.js"), (part) => part.setUpBulk());
let changed = () => {};
let left = null; // the box from which the keyboard entered the bar

// Call whenChanged() after each change of the selection.
export function setUpSelection(whenChanged) {
  changed = whenChanged;
  $("bulk").addEventListener("click", ({ target }) => {
    const action = target.closest("button")?.dataset.action;
    if (action === "clear") select([]);
    else if (action) bulk().then(({ perform }) => perform(action)).catch(complain);
  });
  $("bulk").addEventListener("keydown", ({ key }) => key === "Escape" && left?.focus());
}

// The bar stands behind all rows: hundreds of stops for the Tab key.
export function enterBulk(box) {
  left = box;
  $("bulk").querySelector("button:not([hidden])")?.focus();
}

export function select(names) {
  selected.clear();
  for (const name of names) selected.add(name);
  changed();
  showBulk();
}

// Update the bar. It offers actions that are possible for at least one selected account.
export function showBulk() {
  for (const name of selected) if (!accounts.has(name)) selected.delete(name);
  const held = $("bulk").contains(document.activeElement);
  setHidden($("bulk"), !selected.size);
  if (held && !selected.size) document.querySelector("#rows section:not([hidden]) [data-all]")?.focus();
  document.body.classList.toggle("selecting", selected.size > 0);
  if (!selected.size) return;
  bulk().then(({ offerMove }) => offerMove(), () => {}); // a click on a button reports the failure
  setText($("bulk-count"), t("{n} selected", { n: selected.size }));
  for (const action of ["start", "stop", "restart"]) {
    setHidden($("bulk").querySelector(`[data-action=${action}]`), !able(action).length);
  }
}

// Return the selected accounts for which an action is possible.
export const able = (action) => [...selected].filter((name) => possible(accounts.get(name))[action]);
