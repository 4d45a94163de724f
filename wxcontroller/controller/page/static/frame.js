// What stands around the views: navigation with its numbers and switches, the document's title, and how old what is
// shown is.

import { may } from "./api.js";
import { $, setHidden, setText } from "./dom.js";
import { inWords } from "./failures.js";
import { t } from "./i18n.js";
import { groupsOf, oldCodeOf } from "./states.js";
import { accounts, listen } from "./store.js";
import { lasted } from "./words.js";

// What a view needs beyond the scope read.
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
    event.preventDefault(); // the address says which view is shown
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

// Keeps the reader's choice in a cookie: the page then comes right from the start.
function remember(name, value) {
  document.cookie = `${name}=${value}; Max-Age=${YEAR}; Path=${location.pathname}; SameSite=Strict`;
}

// The rest of the navigation, where the screen has room for some of it only.
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

// The document's title, with the number of accounts in trouble before it.
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

// Says quietly who runs an older version than is installed: accounts, and after an upgrade this page itself.
function news(old) {
  const older = t("{n} account runs an older version", { n: old.length }, "{n} accounts run an older version");
  setText($("older"), older);
  setHidden($("older"), !old.length);
  const version = old[0]?.values.installed ?? $("version").textContent;
  setText($("reload"), t("Load the page of version {version}", { version }));
  setHidden($("reload"), version === $("version").textContent);
}

// Says that what is shown is no longer up to date, and how old it is; null when it is.
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
