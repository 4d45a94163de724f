// Actions on accounts, with a confirmation before those that cannot be undone.

import { call, may, Problem } from "./api.js";
import { setHidden, settle } from "./dom.js";
import { t } from "./i18n.js";
import { complain, confirmed, tell } from "./notices.js";
import { path } from "./paths.js";
import { ALLOW_DESKTOP, expectNothing, expectSoon, expectStart, isAway, isUp } from "./states.js";
import { announce } from "./store.js";

const busy = new Set();
const watchers = new Set();

export const isBusy = (name) => busy.has(name);

// Call watcher(name) when an action on an account starts or ends.
export function onBusy(watcher) {
  watchers.add(watcher);
}

const ACTIONS = {
  start: { method: "POST", rest: "start", done: (name) => t("{name} is started.", { name }) },
  stop: { method: "POST", rest: "stop", done: (name) => t("{name} is stopped.", { name }) },
  restart: { method: "POST", rest: "restart", done: (name) => t("{name} is restarted.", { name }) },
  allow: {
    method: "POST",
    rest: "input",
    json: { id: ALLOW_DESKTOP, value: "yes" },
    done: (name) => t("{name} may log in in desktop mode; scan its new code.", { name }),
    ask: (name) => ({
      title: t("Allow {name} to use desktop mode?", { name }),
      text: t(
        "WeChat may warn about this account's safety and bar it from scanning any code for about two weeks. If you agree, a new code to scan follows.",
      ),
      yes: t("Allow"),
    }),
  },
  logout: {
    method: "POST",
    rest: "logout",
    done: (name) => t("{name} is logged out.", { name }),
    ask: (name) => ({
      title: t("Log out {name}?", { name }),
      text: t(
        "This logs the account out of WeChat and stops it. The next start needs a scan. Settings and messages are kept.",
      ),
      yes: t("Log out"),
    }),
  },
  remove: {
    method: "DELETE",
    done: (name) => t("{name} is removed.", { name }),
    ask: (name) => ({
      title: t("Remove {name}?", { name }),
      text: t("This stops the account and deletes its session, messages and media. It cannot be undone."),
      yes: t("Remove"),
    }),
  },
};

// Return which actions are possible in the account's present state.
export function possible(account) {
  const up = isUp(account);
  const parked = account.login_state === "parked" && !account.input; // with an input, it still waits for an answer
  const [control, admin] = ["control", "admin"].map((scope) => may(scope) && !isAway(account));
  return {
    start: control && (!up || parked) && account.advice?.code !== "cannot-run",
    stop: control && (up || account.desired === "started"),
    restart: control && up && !parked,
    scan: control && account.qrcode && account.login_state !== "confirming", // a code can be scanned once
    digits: control && up && account.input?.kind === "code",
    allow: control && up && account.input?.id === ALLOW_DESKTOP,
    logout: control && up && ["running", "offline", "updating"].includes(account.login_state),
    remove: admin,
  };
}

// Show those of an account's buttons whose actions are possible, and disable them while one is running. Return whether
// the focus was on one that cannot be used any more. opened: they do not take the place of others.
export function offer(buttons, account, { opened = false } = {}) {
  const can = account && buttons.length ? possible(account) : {};
  const running = Boolean(account) && isBusy(account.name);
  let lost = false;
  for (const each of buttons) {
    const on = Boolean(can[each.dataset.action]);
    if (on && each.hidden && !opened) settle(each);
    lost ||= each === document.activeElement && (running || !on);
    setHidden(each, !on);
    if (each.disabled !== running) each.disabled = running;
  }
  return lost;
}

// Return whether it was done. silent: the caller reports success.
export async function act(name, action, { silent = false } = {}) {
  const { method, rest, json, done, ask } = ACTIONS[action];
  if (busy.has(name) || (ask && !(await confirmed(ask(name))))) return false;
  const starts = action === "start" || action === "restart";
  if (starts) expectStart(name);
  else expectNothing(name);
  mark(name, true);
  try {
    const { tokens = [], note = "" } = await call(method, rest ? path`v1/accounts/${name}/${rest}` : path`v1/accounts/${name}`, { json });
    if (starts) expectSoon(name, () => announce(name));
    if (!silent) tell(done(name));
    if (note) complain(new Problem("note", note));
    // Only root can write the tokens file, so the page can only name the tokens; wxctl remove revokes them.
    if (tokens.length) complain(new Problem("tokens-left", tokens.join(", ")));
    return true;
  } catch (problem) {
    expectNothing(name);
    complain(problem);
    return false;
  } finally {
    announce(name);
    mark(name, false);
  }
}

function mark(name, on) {
  if (on) busy.add(name);
  else busy.delete(name);
  for (const watcher of watchers) watcher(name);
}
