// What is wrong with an account and how to fix it: on its page, in the list, and during a login. The assessment is
// the controller's (core/condition); this module only words it.

import { may } from "./api.js";
import { nickname } from "./face.js";
import { hasPart, sentence, t, textOf } from "./i18n.js";
import { thenStep } from "./routes.js";
import { ALLOW_DESKTOP, isExpected, isUp, stateOf, TROUBLE } from "./states.js";

// The tab with details about an issue.
const TABS = {
  "unit-down": "journal",
  "unit-failed": "journal",
  "cannot-run": "journal",
  "unit-restarting": "journal",
  "sends-limited": () => t("Sends limited"),
  "crash-loop": "journal",
  "no-state": "journal",
  "state-unreadable": "journal",
  "webhook-failing": "deliveries",
  "reports-late": "deliveries",
  "dead-letters": "deliveries",
  "reports-lost": "deliveries",
};
// The badge and the code already say this, so only the reason for another login is shown.
const SHOWN_BY_BADGE = new Set(["needs-scan", "needs-confirmation"]);
const NOTHING = { text: "", tab: "", remedy: "" };
// The template of the reason when WeChat refuses a login (drivers.base.EndReason).
const REFUSED = "WeChat refused the login";
// Causes that a setting can fix: the word for the state, and the setting to change.
const REFUSAL = { fits: ({ template }) => template === REFUSED, word: () => t("Refused"), change: () => t("Change route") };
const CAUSES = [
  REFUSAL,
  { fits: ({ values }) => "proxy" in values, word: () => t("Proxy failing"), change: () => t("Edit proxy") },
];

// An account that asks for desktop mode was refused: another route is the safer way.
const causeOf = (account) =>
  account.input?.id === ALLOW_DESKTOP ? REFUSAL : CAUSES.find(({ fits }) => hasPart(account.reason_text, fits));

// Return the setting to change, "" if none helps or the reader may not change it.
export const settingOf = (account) => (may("control") && causeOf(account)?.change()) || "";

// Problems other than the login of an account that has a process. They replace the login's state in the list.
const WRONG = {
  "webhook-failing": () => t("Webhook failing"),
  "dead-letters": () => t("Dead letters"),
  "reports-late": () => t("Deliveries late"),
  "reports-lost": () => t("Reports lost"),
  "cannot-store": () => t("Cannot store"),
  "log-damaged": () => t("Log damaged"),
  "person-restricted": () => t("Messages hidden"),
  "sends-limited": () => t("Sends limited"),
  "media-refused": () => t("Media refused"),
  "crash-loop": () => t("Keeps failing"),
  "login-stuck": () => t("Login stuck"),
};

// Conditions for which the cause, if known, is shown instead.
const ENDED = new Set(["offline", "parked", "input"]);

// Return the state to show in the list: the worst problem, if there is one.
export function shownState(account) {
  const { advice, severity, condition } = account;
  const word = (ENDED.has(condition) && causeOf(account)?.word) || WRONG[advice?.code];
  return word && severity in TROUBLE && isUp(account) ? { tone: TROUBLE[severity], word: word() } : stateOf(account);
}

// Return { text, tab, remedy } in the reader's language, each "" if there is none.
export function adviceOf(account) {
  const { advice } = account;
  if (!advice || isExpected(account)) return NOTHING;
  if (SHOWN_BY_BADGE.has(advice.code)) return { ...NOTHING, text: sentenceOf(account, "reason") };
  const tab = TABS[advice.code] ?? (settingOf(account) && "options");
  return { text: sentenceOf(advice, "message"), tab, remedy: sentenceOf(advice, "remedy") };
}

// Return one line for the list: the reason for the problem, or the progress of a login. The state next to it already
// says "Offline".
export function lineOf(account) {
  const why = account.advice?.code === "offline" ? sentenceOf(account, "reason") : "";
  return why || adviceOf(account).text || sentenceOf(account, "status");
}

// Return the next step of a login; `bad` if the login cannot continue.
export function hintOf(account) {
  if (isExpected(account)) return { text: t("One moment…"), bad: false };
  const { text } = adviceOf(account);
  if (!isUp(account)) {
    if (text) return { text, bad: true };
    return { text: account.desired === "started" ? t("One moment…") : t("It is stopped."), bad: false };
  }
  if (account.login_state === "parked") return { text, bad: true };
  // The number of the code, as in wxctl and the journal, unless the code view shows it.
  const which = account.login_state === "scanning" && !account.qrcode_limit ? sentenceOf(account, "status") : "";
  return { text: [sentenceOf(account, "reason"), which, stepOf(account)].filter(Boolean).join("\n"), bad: false };
}

function stepOf(account) {
  switch (account.login_state) {
    case "scanning":
      return may("control") ? "" : t("Your token does not show the code: that needs the scope control.");
    case "confirming":
      if (account.input) return sentenceOf(account.input, "prompt");
      return t("Scanned. Tap Log in on the phone.");
    case "updating":
      return t("Logged in. People and groups are being loaded.");
    case "running":
      return `${t("Logged in as {user}.", { user: nickname(account) || account.name })} ${thenStep(account.driver)}`;
    default:
      return account.reason ? "" : t("One moment…");
  }
}

const sentenceOf = (account, name) => sentence(textOf(account, name));
