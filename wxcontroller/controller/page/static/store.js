// The current state of all accounts, from one stream, which is closed while the page is hidden.

import { Problem, stream } from "./api.js";
import { textOf } from "./i18n.js";
import { opening } from "./opening.js";
import { path } from "./paths.js";
import { expectSoon } from "./states.js";

export const accounts = new Map();
const listeners = new Set();
const PATIENCE = 5000;
const PAUSES = [500, 1000, 2000, 4000];

// Call listener({ names: Set, gone: [], all: boolean }) after each change; return a function that stops this.
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function take({ accounts: rows, gone, all }) {
  const before = all ? new Set(accounts.keys()) : new Set();
  for (const row of rows) {
    const { name, desired } = row;
    const known = accounts.get(name);
    // In an update, a new account, or one that is newly wanted, has just been started; the first event shows no
    // changes.
    const newly = known ? known.desired !== "started" : !all;
    if (newly && desired === "started") expectSoon(name, () => announce(name));
    accounts.set(name, row);
    before.delete(row.name);
  }
  const left = [...before, ...gone];
  for (const name of left) accounts.delete(name);
  tell({ names: new Set(rows.map((row) => row.name)), gone: left, all: all === true });
}

function tell(change) {
  for (const listener of [...listeners]) listener(change);
}

// Show an account again after the page itself changed what is known about it.
export function announce(name) {
  if (accounts.has(name)) tell({ names: new Set([name]), gone: [], all: false });
}

// Call work() once, as soon as an account fits; return a function that stops waiting.
export function once(name, fits, work) {
  const account = accounts.get(name);
  if (account && fits(account)) {
    work();
    return () => {};
  }
  const stop = listen(() => {
    const now = accounts.get(name);
    if (!now || !fits(now)) return;
    stop();
    work();
  });
  return stop;
}

// Follow the accounts forever. Calls say(problem), or say(null) while the values are up to date.
export async function follow(say) {
  let failures = 0;
  let good = Date.now();
  let opened = opening;
  for (;;) {
    await untilVisible();
    const ending = new AbortController();
    // A hidden tab would occupy one of the few connections that a browser opens to one host.
    const hide = () => document.hidden && ending.abort();
    document.addEventListener("visibilitychange", hide);
    try {
      for await (const { type, data } of stream(path`v1/accounts`, { signal: ending.signal, opened })) {
        failures = 0;
        good = Date.now();
        if (type === "accounts") take(data);
        if (type === "accounts" || type === "heartbeat") say(null);
        // Without a code, so that the controller's own words are shown: no call of the reader failed.
        if (type === "trouble") say(data.error ? troubleOf(data.error) : null);
      }
      // A restart of the controller ends its streams; it is back before this needs a banner.
      failures++;
      if (Date.now() - good > PATIENCE) say(new Problem("ended", "", ""));
    } catch (problem) {
      if (problem.name !== "AbortError") {
        failures++;
        say(problem);
      }
    } finally {
      opened = null;
      document.removeEventListener("visibilitychange", hide);
    }
    const pause = PAUSES[Math.min(failures, PAUSES.length - 1)];
    if (!document.hidden) await new Promise((done) => setTimeout(done, pause));
  }
}

export async function untilVisible() {
  while (document.hidden) {
    await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
  }
}

const troubleOf = (error) => new Problem("", textOf(error, "message"), textOf(error, "remedy"));
