// The reader's language and colours, remembered in cookies: the page then comes right from the start.

import { $ } from "./dom.js";

const YEAR = 365 * 24 * 3600;
const THEMES = ["auto", "light", "dark"];

function remember(name, value) {
  document.cookie = `${name}=${value}; Max-Age=${YEAR}; Path=${location.pathname}; SameSite=Strict`;
}

export function setUpSwitches() {
  $("language").addEventListener("click", () => {
    remember("wx-language", $("language").dataset.to);
    location.reload();
  });
  $("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const next = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
    remember("wx-theme", next);
    root.dataset.theme = next;
    $("theme-name").textContent = $("theme-name").dataset[next];
  });
}
