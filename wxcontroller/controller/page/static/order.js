// The order of the list: as the reader chose; accounts in trouble by severity, then newest first.

import { h, icon } from "./dom.js";
import { language } from "./i18n.js";

const { compare } = new Intl.Collator(language, { numeric: true });
const SEVERITIES = { error: 2, warning: 1 };
const VALUES = {
  name: () => 0,
  messages: ({ account }) => -(account.hourly_messages ?? []).reduce((one, other) => one + other, 0),
  last: ({ account }) => -(account.activity?.last_message ?? 0),
};
let chosen = "name";
let turned = false;

const names = (one, other) => compare(one.account.name, other.account.name);

// Return the sort key of a row in trouble.
export function orderOf({ account }) {
  return (SEVERITIES[account.severity] ?? 0) * 1e10 + (account.advice?.since ?? account.since ?? 0);
}

export function comparing(section) {
  if (section === "attention") return (one, other) => orderOf(other) - orderOf(one) || names(one, other);
  const way = turned ? -1 : 1;
  return (one, other) => way * (VALUES[chosen](one) - VALUES[chosen](other) || names(one, other));
}

// Whether the order depends on values that change all the time.
export const keepSorted = () => chosen !== "name";

// Make the column heads sort the list; sorted() is called when another order is chosen.
export function setUpSorting(sorted) {
  const heads = [...document.querySelectorAll("#rows [data-sort]")];
  for (const head of heads) {
    const button = h("button", { type: "button", className: "plain" }, head.textContent, icon("down"));
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      turned = chosen === head.dataset.sort && !turned;
      chosen = head.dataset.sort;
      mark(heads);
      sorted();
    });
  }
  mark(heads);
}

function mark(heads) {
  for (const head of heads) {
    const { sort } = head.dataset;
    const down = (sort === "name") === turned;
    if (sort === chosen) head.setAttribute("aria-sort", down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
}
