// Tabs following the ARIA practices: arrow keys, Home and End select.

import { $ } from "./dom.js";

// Calls chosen(id) when a tab is selected; the id is without "tab-".
export function setUpTabs(list, chosen) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  function choose(tab, focus) {
    for (const each of tabs) {
      const on = each === tab;
      each.setAttribute("aria-selected", String(on));
      each.tabIndex = on ? 0 : -1;
      $(each.getAttribute("aria-controls")).hidden = !on;
    }
    if (focus) tab.focus();
    tab.scrollIntoView({ block: "nearest", inline: "nearest" }); // narrow screens do not fit all tabs
    chosen(tab.id.slice("tab-".length));
  }
  list.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) choose(tab, false);
  });
  list.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    choose(tabs[(to + tabs.length) % tabs.length], true);
  });
  return (id) => choose($(`tab-${id}`), false);
}
