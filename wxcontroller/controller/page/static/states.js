// The word and colour for an account's condition, as the controller assesses it. Remedies are in advice.js.

import { t } from "./i18n.js";

const UP = new Set(["active", "activating", "reloading", "refreshing", "deactivating"]);

// The id of the input an account waits for after WeChat refused the login in normal mode.
export const ALLOW_DESKTOP = "allow-desktop";

const WORDS = {
  stopped: () => t("Stopped"),
  down: () => t("Down"),
  failed: () => t("Failed"),
  restarting: () => t("Restarting"),
  starting: () => t("Starting"),
  stopping: () => t("Stopping"),
  up: () => t("Reports no state"),
  unreadable: () => t("State unreadable"),
  unreachable: () => t("Host unreachable"),
  init: () => t("Starting"),
  loading: () => t("Logging in"),
  scanning: () => t("Scan the code"),
  confirming: () => t("Confirm on the phone"),
  updating: () => t("Loading account data"),
  running: () => t("Running"),
  offline: () => t("Offline"),
  parked: () => t("Parked"),
  input: () => t("Waiting for an answer"),
  code: () => t("Enter the digits"),
};
// Tones are good, busy, attention, bad and off. Colour never stands without a word. The state of a running account is
// that of its login; other problems are shown by advice.js.
const TONES = { stopped: "off", failed: "off" };
export const TROUBLE = { warning: "attention", error: "bad" };

// Mojo-Weixin's words, which reports use.
const ORIGINAL = { scaning: "scanning", stop: "stopped" };

export const stateWord = (word) => WORDS[ORIGINAL[word] ?? word]?.() ?? word;

// Whether its host does not respond, so that its values are old.
export const isAway = ({ condition }) => condition === "unreachable";

// Whether the account has a process, or one is being started.
export const isUp = (account) =>
  UP.has(account.unit_state) && !account.unit_sub.startsWith("auto-restart") && !isAway(account);

// The state of an account that does not exist or was removed.
export const DOWN = { unit_state: "absent", unit_sub: "" };

// Accounts whose start was requested a moment ago. Until systemd begins, they are shown as starting, not as failed.
const START_PATIENCE = 5000;
const startsUntil = new Map(); // name → the time after which it counts as failed

const isStarting = (name) => (startsUntil.get(name) ?? 0) > Date.now();

// Whether the request has not been answered yet.
const isRequested = (name) => startsUntil.get(name) === Infinity;

// Wait for the answer, and a moment longer, because the unit's state may be a second old.
export function expectStart(name) {
  startsUntil.set(name, Infinity);
}

// Calls changed() when that moment is over.
export function expectSoon(name, changed) {
  const end = Date.now() + START_PATIENCE;
  startsUntil.set(name, end);
  setTimeout(() => {
    if (startsUntil.get(name) !== end) return; // requested again in the meantime
    startsUntil.delete(name);
    changed();
  }, START_PATIENCE);
}

export function expectNothing(name) {
  startsUntil.delete(name);
}

// Whether a start was requested and systemd has not begun it.
export const isExpected = ({ name, desired, unit_state: unit }) =>
  ["absent", "inactive"].includes(unit) && (isRequested(name) || (desired === "started" && isStarting(name)));

// Whether its contacts are known and it can send.
export const isThere = (account) => isUp(account) && ["running", "offline"].includes(account.login_state);

export function stateOf(account) {
  if (isExpected(account)) return { tone: "busy", word: t("Starting") };
  const { condition, severity } = account;
  if (isUp(account) && account.input?.kind === "code") return { tone: "attention", word: WORDS.code() };
  const tone = condition === "running" ? "good" : (TROUBLE[severity] ?? TONES[condition] ?? "busy");
  return { tone, word: stateWord(condition) };
}

// Return the groups in which an account counts: a running one may also need attention.
export function groupsOf(account) {
  const { tone } = stateOf(account);
  const groups = new Set([tone === "bad" ? "attention" : tone]);
  if (account.severity in TROUBLE && !isExpected(account)) groups.add("attention");
  return groups;
}

// Return the account's section in the list.
export function sectionOf(account) {
  const groups = groupsOf(account);
  if (groups.has("attention")) return "attention";
  return groups.has("off") ? "off" : "running";
}

// Return the issue that the account's process runs another version than is installed.
export const oldCodeOf = ({ issues = [] }) => issues.find(({ code }) => code === "old-code");

// Return what is unusual, in few words: counts other than zero, and the desired state if the unit's differs.
export function noteOf(account) {
  const { held, undelivered, queued, dead } = account.activity ?? {};
  const differs = isUp(account) ? account.desired !== "started" : account.desired === "started";
  const parts = [
    held && t("{n} held", { n: held }),
    !held && queued && t("{n} waiting", { n: queued }),
    undelivered && t("{n} undelivered", { n: undelivered }),
    dead && t("{n} dead", { n: dead }),
    differs && !isExpected(account) && desiredWord(account),
    oldCodeOf(account) && t("version {version}", { version: oldCodeOf(account).values.running }),
  ];
  return parts.filter(Boolean).join(" · ");
}

const UNITS = {
  active: () => t("active"),
  activating: () => t("activating"),
  deactivating: () => t("deactivating"),
  inactive: () => t("inactive"),
  failed: () => t("failed"),
  absent: () => t("not loaded"),
};

// Words for systemd's sub-states; "" for those that repeat the state.
const SUBS = {
  "auto-restart": () => t("waiting for the next start"),
  "auto-restart-queued": () => t("waiting for the next start"),
  "start-pre": () => t("preparing"),
  start: () => t("starting"),
  "stop-sigterm": () => t("stopping"),
  "final-sigterm": () => t("stopping"),
  "stop-sigkill": () => t("being killed"),
  "final-sigkill": () => t("being killed"),
  "stop-watchdog": () => t("not responding, being terminated"),
  "final-watchdog": () => t("not responding, being terminated"),
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
