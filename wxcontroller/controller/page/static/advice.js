// What is wrong with an account and what to do about it, as the controller assesses it (core/condition): on its page,
// in the list, and while it logs in. Nothing is judged here.

import { may } from "./api.js";
import { nickname } from "./face.js";
import { hasPart, sentence, t, textOf } from "./i18n.js";
import { isExpected, isUp, stateOf, TROUBLE } from "./states.js";

// Where more of an issue is shown.
const TABS = {
  "unit-down": "journal",
  "unit-failed": "journal",
  "unit-restarting": "journal",
  "crash-loop": "journal",
  "no-state": "journal",
  "state-unreadable": "journal",
  "webhook-failing": "deliveries",
  "reports-late": "deliveries",
  "dead-letters": "deliveries",
  "reports-lost": "deliveries",
};
// The badge and the code to scan say as much; what is left is why a login is tried again.
const SHOWN_BY_BADGE = new Set(["needs-scan", "needs-confirmation"]);
const NOTHING = { text: "", tab: "", remedy: "" };
// What WeChat's refusal of a login is called (drivers.base.EndReason).
const REFUSED = "WeChat refuses this account on this route";
// Why an account is in trouble, in one word, where its settings can change that, and what to change.
const CAUSES = [
  { fits: ({ template }) => template === REFUSED, word: () => t("Refused"), change: () => t("Change route") },
  { fits: ({ values }) => "proxy" in values, word: () => t("Proxy failing"), change: () => t("Edit proxy") },
];

const causeOf = (account) => CAUSES.find(({ fits }) => hasPart(account.reason_text, fits));

// What to change in its settings, in words, "" where that is no help or not allowed.
export const settingOf = (account) => (may("control") && causeOf(account)?.change()) || "";

// What is wrong with an account that has a process, where its login is not: in the place of the login's state.
const WRONG = {
  "webhook-failing": () => t("Webhook failing"),
  "dead-letters": () => t("Dead letters"),
  "reports-late": () => t("Deliveries late"),
  "reports-lost": () => t("Reports lost"),
  "cannot-store": () => t("Cannot store"),
  "log-damaged": () => t("Log damaged"),
  "person-restricted": () => t("Messages hidden"),
  "crash-loop": () => t("Keeps failing"),
  "login-stuck": () => t("Login stuck"),
};

// Conditions that say less than their cause.
const ENDED = new Set(["offline", "parked"]);

// An account's state for a list, where the worst that is wrong stands in its place.
export function shownState(account) {
  const { advice, severity, condition } = account;
  const word = (ENDED.has(condition) && causeOf(account)?.word) || WRONG[advice?.code];
  return word && severity in TROUBLE && isUp(account) ? { tone: TROUBLE[severity], word: word() } : stateOf(account);
}

// { text, tab, remedy } in the reader's words, each "" when there is none.
export function adviceOf(account) {
  const { advice } = account;
  if (!advice || isExpected(account)) return NOTHING;
  if (SHOWN_BY_BADGE.has(advice.code)) return { ...NOTHING, text: said(account, "reason") };
  const tab = TABS[advice.code] ?? (settingOf(account) && "options");
  return { text: said(advice, "message"), tab, remedy: said(advice, "remedy") };
}

// In one line, for the list: why it is in trouble, or how far a login is. That it is offline stands beside it.
export function lineOf(account) {
  const why = account.advice?.code === "offline" ? said(account, "reason") : "";
  return why || adviceOf(account).text || said(account, "status");
}

// What there is to do while it logs in; `bad` when it gets no further.
export function hintOf(account) {
  if (isExpected(account)) return { text: t("One moment…"), bad: false };
  const { text } = adviceOf(account);
  if (!isUp(account)) {
    if (text) return { text, bad: true };
    return { text: account.desired === "started" ? t("One moment…") : t("It is stopped."), bad: false };
  }
  if (account.login_state === "parked") return { text, bad: true };
  // With the number that wxctl and the journal say, where the code itself does not show it.
  const which = account.login_state === "scanning" && !account.qrcode_limit ? said(account, "status") : "";
  return { text: [said(account, "reason"), which, stepOf(account)].filter(Boolean).join("\n"), bad: false };
}

function stepOf(account) {
  switch (account.login_state) {
    case "scanning":
      return may("control") ? "" : t("Your token does not show the code: that needs the scope control.");
    case "confirming":
      if (account.input) return said(account.input, "prompt");
      return t("Scanned. Tap Log in on the phone.");
    case "updating":
      return t("Logged in. People and groups are being loaded.");
    case "running":
      return t("Logged in as {user}. Done.", { user: nickname(account) || account.name });
    default:
      return account.reason ? "" : t("One moment…");
  }
}

const said = (account, name) => sentence(textOf(account, name));
