// What an account's three states (desired, unit, login) come to, in one word and one colour. What to do about it is
// in advice.js.

import { t, textOf } from "./i18n.js";
import { isStarting } from "./starting.js";

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
export const isUp = (account) => UP.has(account.unit_state) && !failsAgain(account);

// What is known of an account that is not there (any more).
export const DOWN = { unit_state: "absent", unit_sub: "" };

export const failsAgain = (account) => account.unit_sub.startsWith("auto-restart");

// Whether it is asked to run, and systemd has not begun yet.
export const isExpected = (account) =>
  account.desired === "started" && ["absent", "inactive"].includes(account.unit_state) && isStarting(account.name);

// Whether it should run, and does not.
export const isDown = (account) => account.desired === "started" && !isUp(account) && !isExpected(account);

// Whether people and groups of it are known, and it may be sent from.
export const isThere = (account) => isUp(account) && ["running", "offline"].includes(account.login_state);

export function stateOf(account) {
  if (failsAgain(account)) return { tone: "bad", word: t("Restarting after a failure") };
  if (isDown(account)) return { tone: "bad", word: t("Down") };
  if (isExpected(account)) return { tone: "busy", word: t("Starting") };
  if (!isUp(account)) return { tone: "off", word: t("Stopped") };
  if (account.unit_state === "deactivating") return { tone: "busy", word: t("Stopping") };
  if (account.login_state === null) return { tone: "attention", word: t("Tells no state") };
  const [tone, word] = (LOGINS[account.login_state] ?? (() => ["attention", account.login_state]))();
  return { tone, word };
}

// Why its webhook takes no reports, as long as that has been so for a while; "" when it does.
export const webhookFailure = (account) =>
  isUp(account) && account.activity ? textOf(account.activity, "delivery_error") : "";

// The filter's groups: an account that runs may need somebody all the same.
export function groupsOf(account) {
  const { tone } = stateOf(account);
  const groups = new Set([tone === "bad" ? "attention" : tone]);
  if (webhookFailure(account)) groups.add("attention");
  return groups;
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

// systemd's words for how far it is; those that say what stands before them already are left out.
const SUBS = {
  "auto-restart": () => t("waits for its next start"),
  "auto-restart-queued": () => t("waits for its next start"),
  "start-pre": () => t("is prepared"),
  start: () => t("begins"),
  "stop-sigterm": () => t("ends"),
  "final-sigterm": () => t("ends"),
  "stop-sigkill": () => t("is killed"),
  "final-sigkill": () => t("is killed"),
  "stop-watchdog": () => t("hangs and is ended"),
  "final-watchdog": () => t("hangs and is ended"),
  running: () => "",
  dead: () => "",
  failed: () => "",
};

export const unitWord = (account) => (UNITS[account.unit_state] ?? (() => account.unit_state))();

export function unitWords(account) {
  const more = (SUBS[account.unit_sub] ?? (() => account.unit_sub))();
  return more ? t("{unit}, {more}", { unit: unitWord(account), more }) : unitWord(account);
}

export const desiredWord = (account) => (account.desired === "started" ? t("should run") : t("should not run"));
