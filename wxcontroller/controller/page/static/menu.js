// The menu behind "⋯", shared by all rows and filled when opened.

import { act, isBusy, possible } from "./actions.js";
import { $, h, icon } from "./dom.js";
import { t } from "./i18n.js";
import { lazily } from "./lazy.js";
import { complain } from "./notices.js";
import { placeOf } from "./paths.js";
import { accounts, listen } from "./store.js";

const ENTRIES = {
  scan: ["code", () => t("Show code")],
  digits: ["code", () => t("Enter digits")],
  start: ["start", () => t("Start")],
  stop: ["stop", () => t("Stop")],
  restart: ["restart", () => t("Restart")],
  logout: ["out", () => t("Log out")],
  remove: ["remove", () => t("Remove")],
};
const MARGIN = 4;
const login = lazily(() => import("./login-view.js"));
let opener = null;

// Run the action of a menu entry or of a button in a row.
export async function perform(name, action) {
  if (action === "scan" || action === "digits") return login().then(({ openScan }) => openScan(name), complain);
  const isShown = () => location.hash.startsWith(placeOf(name));
  if ((await act(name, action)) && action === "remove" && isShown()) location.hash = "#/";
}

export const wordOf = (action) => ENTRIES[action][1]();
export const iconOf = (action) => icon(ENTRIES[action][0]);

export function openMenu(button, name) {
  const menu = $("menu");
  const account = accounts.get(name);
  if (!account || menu.matches(":popover-open")) return;
  opener = button;
  const offered = Object.keys(ENTRIES).filter((action) => isPossible(name, action));
  const open = h("a", { role: "menuitem", tabIndex: -1, href: placeOf(name) }, icon("open"), t("Open"));
  const title = h("small", { "aria-hidden": "true" }, name);
  menu.replaceChildren(title, open, ...offered.map((action) => entry(name, action)));
  menu.setAttribute("aria-label", name);
  menu.showPopover();
  place(menu, button.getBoundingClientRect());
  open.focus();
  const stop = listen(() => mark(name));
  menu.addEventListener("beforetoggle", stop, { once: true });
}

const isPossible = (name, action) => accounts.has(name) && possible(accounts.get(name))[action] && !isBusy(name);

// The account may change while the menu is open. The entries stay where they are.
function mark(name) {
  for (const each of $("menu").querySelectorAll("[data-action]")) {
    each.setAttribute("aria-disabled", String(!isPossible(name, each.dataset.action)));
  }
}

function entry(name, action) {
  const className = action === "remove" ? "danger" : "";
  const made = h("button", { type: "button", role: "menuitem", tabIndex: -1, className, "data-action": action });
  made.append(iconOf(action), wordOf(action));
  made.addEventListener("click", () => {
    if (!isPossible(name, action)) return;
    close();
    perform(name, action);
  });
  return made;
}

// Place the menu next to its button, where there is room. On phones the style sheet puts it at the bottom.
function place(menu, { right, top, bottom }) {
  const { offsetWidth: width, offsetHeight: height } = menu;
  const below = bottom + MARGIN + height < window.innerHeight;
  menu.style.left = `${Math.max(MARGIN, right - width)}px`;
  menu.style.top = `${below ? bottom + MARGIN : Math.max(MARGIN, top - MARGIN - height)}px`;
}

function close() {
  $("menu").hidePopover();
  opener?.focus({ preventScroll: true });
}

export function setUpMenu() {
  $("menu").addEventListener("keydown", (event) => {
    const entries = [...$("menu").querySelectorAll("[role=menuitem]")];
    const at = entries.indexOf(document.activeElement);
    const last = entries.length - 1;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 + entries.length, Home: 0, End: last }[event.key];
    if (to !== undefined) entries[to % entries.length].focus();
    else if (event.key === "Tab" || event.key === "Escape") close();
    else return;
    event.preventDefault();
  });
  $("menu").addEventListener("click", (event) => event.target.closest("a") && close());
  window.addEventListener("scroll", () => $("menu").matches(":popover-open") && $("menu").hidePopover(), true);
}
