// What an account's three states (desired, unit, login) come to, in one word and one colour, and what to do about it.

import { t } from "./i18n.js";
import { say, sentence } from "./said.js";

const UP = new Set(["active", "activating", "reloading", "refreshing", "deactivating"]);

// tone: good, busy, attention, bad, off. The word always stands beside the colour.
const LOGINS = {
  init: () => ["busy", t("Starting")],
  loading: () => ["busy", t("Logging in")],
  scanning: () => ["attention", t("Scan the code")],
  confirming: () => ["attention", t("Confirm on the phone")],
  updating: () => ["busy", t("Loading contacts")],
  running: () => ["good", t("Running")],
  offline: () => ["bad", t("Offline")],
  parked: () => ["bad", t("Needs you")],
  stopped: () => ["off", t("Stopped")],
};

// The original's words, which reports use.
const ORIGINAL = { scaning: "scanning", stop: "stopped" };

export const stateWord = (word) => LOGINS[ORIGINAL[word] ?? word]?.()[1] ?? word;

// Whether a process of the account is there or on its way.
export const isUp = (account) => UP.has(account.unit_state) && !account.unit_sub.startsWith("auto-restart");

// What is known of an account that is not there (any more).
export const DOWN = { unit_state: "absent", unit_sub: "" };

export function stateOf(account) {
  if (account.unit_sub.startsWith("auto-restart")) return { tone: "bad", word: t("Restarting after a failure") };
  if (!isUp(account)) {
    if (account.desired === "started") return { tone: "bad", word: t("Down") };
    return { tone: "off", word: t("Stopped") };
  }
  if (account.unit_state === "deactivating") return { tone: "busy", word: t("Stopping") };
  if (account.login_state === null) return { tone: "attention", word: t("Tells no state") };
  const [tone, word] = (LOGINS[account.login_state] ?? (() => ["attention", account.login_state]))();
  return { tone, word };
}

// The filter's groups.
export function groupOf(account) {
  const { tone } = stateOf(account);
  return tone === "attention" || tone === "bad" ? "attention" : tone;
}

// What a person should know or do, in words; "" when nothing.
export function adviceOf(account) {
  const { name, unit } = account;
  if (account.unit_sub.startsWith("auto-restart")) {
    return t("Its program ended unexpectedly. systemd starts it again by itself; why it ended is in its journal.");
  }
  if (!isUp(account) && account.desired === "started") {
    return t("It should run, and does not. Start it; if that does not help, the journal says why: journalctl -u {unit}", { unit });
  }
  if (account.login_state === "parked") {
    return t("It has given up and waits for you. When the cause is gone, start it: it then shows a new code.");
  }
  if (account.login_state === "offline") return t("It does not work at the moment, and goes on trying by itself.");
  if (account.activity?.dead) {
    return t("The webhook refused some reports for good. See Deliveries: they can be sent again.");
  }
  if (account.activity?.delivery_error) {
    const error = say(account.activity.delivery_error);
    return t("The webhook does not take its reports: {error}. They are kept and tried again; see Deliveries.", { error });
  }
  if (isUp(account) && account.login_state === null) {
    return t("The program of {name} does not say how it is. Its journal may tell more.", { name });
  }
  return "";
}

// Where on the account's page that is told, as the id of a tab; "" for nowhere.
export function adviceTab(account) {
  if (!isUp(account) && account.desired === "started") return "journal"; // restarting after a failure, too
  if (isUp(account) && account.login_state === null) return "journal";
  const { dead, delivery_error: error } = account.activity ?? {};
  if ((dead || error) && account.login_state !== "parked" && account.login_state !== "offline") return "deliveries";
  return "";
}

// Why, as the account's program says it: while it works on it, and when it has given up.
// Without a process it is systemd that knows, and adviceOf says where.
export function reasonOf(account) {
  if (!isUp(account)) return "";
  const busy = account.login_state === "offline" || account.unit_state === "deactivating";
  return sentence(say(account.reason || (busy ? account.status : "")));
}

export function badge(account) {
  const { tone, word } = stateOf(account);
  return [`state ${tone}`, word];
}

const UNITS = {
  active: () => t("active"),
  activating: () => t("activating"),
  deactivating: () => t("deactivating"),
  inactive: () => t("inactive"),
  failed: () => t("failed"),
  absent: () => t("not loaded"),
};

export const unitWord = (account) => (UNITS[account.unit_state] ?? (() => account.unit_state))();
export const desiredWord = (account) => (account.desired === "started" ? t("should run") : t("should not run"));
