// The frame around the views: navigation with counts and switches, the document's title, and the banner that tells
// how old the values are.

import { may } from "./api.js";
import { $, setHidden, setText } from "./dom.js";
import { inWords } from "./failures.js";
import { t } from "./i18n.js";
import { groupsOf, oldCodeOf } from "./states.js";
import { accounts, listen } from "./store.js";
import { lasted } from "./words.js";

// Scopes that views need, other than read.
const SCOPES = { access: "control" };
const AGE_SECONDS = 5;
const YEAR = 365 * 24 * 3600;
const THEMES = ["auto", "light", "dark"];
let title = "";
let trouble = 0;
let broken = null;
let heard = Date.now();

export function setUpFrame() {
  listen(count);
  $("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the fragment of the URL selects the view
    $("main").focus();
  });
  $("more").addEventListener("click", () => unfold(!$("side").classList.contains("open")));
  $("side").addEventListener("click", (event) => event.target.closest("a") && unfold(false));
  document.addEventListener("click", (event) => $("side").contains(event.target) || unfold(false));
  $("reload").addEventListener("click", () => location.reload());
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
  $("side").addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !$("side").classList.contains("open")) return;
    unfold(false);
    $("more").focus();
  });
  setInterval(() => broken && showConnection(broken), AGE_SECONDS * 1000);
}

// Keep the reader's choice in a cookie, so that the controller renders the page with it.
function remember(name, value) {
  document.cookie = `${name}=${value}; Max-Age=${YEAR}; Path=${location.pathname}; SameSite=Strict`;
}

// Show or hide the rest of the navigation on narrow screens.
function unfold(open) {
  $("side").classList.toggle("open", open);
  $("more").setAttribute("aria-expanded", String(open));
}

export function markView(name) {
  for (const place of $("side").querySelectorAll("[data-view]")) {
    const { view } = place.dataset;
    setHidden(place, !may(SCOPES[view] ?? "read"));
    if (view === name || (view === "list" && name === "account")) place.setAttribute("aria-current", "page");
    else place.removeAttribute("aria-current");
  }
}

// Set the document's title, prefixed with the number of accounts in trouble.
export function titled(text) {
  title = text;
  const whole = title ? `${title} – wxcontroller` : "wxcontroller";
  document.title = trouble ? `(${trouble}) ${whole}` : whole;
}

function count() {
  const rows = [...accounts.values()];
  trouble = rows.filter((account) => groupsOf(account).has("attention")).length;
  const undelivered = rows.reduce((sum, { activity }) => sum + (activity?.undelivered ?? 0), 0);
  for (const [view, number] of Object.entries({ list: rows.length, deliveries: undelivered, health: trouble })) {
    setText($(`${view}-count`), String(number));
    setHidden($(`${view}-count`), !number);
  }
  titled(title);
  news(rows.filter(({ host }) => !host).map(oldCodeOf).filter(Boolean));
}

// Show how many accounts run an older version than is installed, and whether this page does after an upgrade.
function news(old) {
  const older = t("{n} account runs an older version", { n: old.length }, "{n} accounts run an older version");
  setText($("older"), older);
  setHidden($("older"), !old.length);
  const version = old[0]?.values.installed ?? $("version").textContent;
  setText($("reload"), t("Load the page of version {version}", { version }));
  setHidden($("reload"), version === $("version").textContent);
}

// Show that the values are outdated, and how old they are; null: they are up to date.
export function showConnection(problem) {
  if (!problem) heard = Date.now();
  broken = problem;
  setHidden($("connection"), !problem);
  document.body.classList.toggle("stale", Boolean(problem));
  if (!problem) return;
  const known = accounts.size > 0;
  const age = t("Showing values from {age} ago; retrying…", { age: lasted((Date.now() - heard) / 1000) });
  setText($("connection"), [inWords(problem), known ? age : t("Retrying…")].filter(Boolean).join(" "));
}
