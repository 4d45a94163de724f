// How to fix an account in trouble: the button in its row, and headline and remedy below the row.

import { isBusy, possible } from "./actions.js";
import { adviceOf, lineOf, settingOf } from "./advice.js";
import { consentButton } from "./consent.js";
import { h, setText, settle } from "./dom.js";
import { beatsBar } from "./graphics.js";
import { t } from "./i18n.js";
import { iconOf, perform, wordOf } from "./menu.js";
import { placeOf } from "./paths.js";

// Actions for the button, the most useful first. Without one, the button leads to details.
const AT_ONCE = ["scan", "digits", "allow", "start"];
const WORDS = { allow: () => t("Allow…") };
const PLACES = {
  deliveries: () => t("Deliveries"),
  journal: () => t("Journal"),
};

function wayOf(account) {
  const can = possible(account);
  const setting = settingOf(account);
  if (setting) return { tab: "options", word: setting };
  const action = AT_ONCE.find((each) => can[each]);
  if (action) return { action, word: (WORDS[action] ?? (() => wordOf(action)))() };
  const { tab } = adviceOf(account);
  const word = (PLACES[tab] ?? (() => t("Details")))();
  return { tab, word };
}

// Update the cell with that button.
export function fixOf(account, place) {
  const { action, tab, word } = wayOf(account);
  const key = action ?? `/${tab}`;
  if (place.dataset.way === key) return setText(place.firstElementChild, word);
  place.dataset.way = key;
  const had = place.contains(document.activeElement);
  const made = action
    ? h("button", { type: "button", "data-action": action }, word)
    : h("a", { className: "button", href: placeOf(account.name, tab) }, word);
  made.setAttribute("aria-label", `${word}: ${account.name}`);
  if (action) {
    made.disabled = isBusy(account.name);
    made.addEventListener("click", () => perform(account.name, action));
  }
  place.replaceChildren(made);
  if (place.matches(":hover")) settle(made);
  if (had) made.focus();
}

// Return headline, remedy and last minutes.
export function detailOf(account) {
  const { text, remedy } = adviceOf(account);
  const bar = beatsBar();
  bar.show(account.heartbeats ?? "");
  const way = possible(account).restart ? [again(account.name)] : [];
  return [
    h("p", {}, text || lineOf(account)),
    remedy && h("p", { className: "faint" }, remedy),
    account.heartbeats && h("p", { className: "recent" }, h("small", {}, t("Last 50 minutes")), bar.element),
    consentButton(account),
    h("p", {}, ...way, h("a", { className: "button", href: placeOf(account.name) }, t("Details"))),
  ].filter(Boolean);
}

function again(name) {
  const made = h("button", { type: "button" }, iconOf("restart"), wordOf("restart"));
  made.addEventListener("click", () => perform(name, "restart"));
  return made;
}
