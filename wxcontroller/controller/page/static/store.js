// All accounts as they are now: filled by one stream, told to whoever listens. Not connected while nobody looks.

import { Problem, stream } from "./api.js";
import { textOf } from "./i18n.js";
import { expectSoon } from "./starting.js";

export const accounts = new Map();
const listeners = new Set();
const PATIENCE = 5000;
const PAUSES = [500, 1000, 2000, 4000];

// listener({ names: Set, gone: [], all: boolean }) after a change; returns how to stop listening.
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function take({ accounts: rows, gone, all }) {
  const before = all ? new Set(accounts.keys()) : new Set();
  for (const row of rows) {
    const { name, desired } = row;
    const known = accounts.get(name);
    // All rows at once are how things stand; one that comes, or is wanted now, has just been started.
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

// Shows an account again of which the page itself knows something else now.
export function announce(name) {
  if (accounts.has(name)) tell({ names: new Set([name]), gone: [], all: false });
}

// Calls work() once an account fits, now or later; returns how to stop waiting.
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

// Follows the accounts for ever. say(problem) tells whether what is shown is up to date: null when it is.
export async function follow(say) {
  let failures = 0;
  let good = Date.now();
  for (;;) {
    await untilVisible();
    const ending = new AbortController();
    // A hidden tab would hold one of the few connections that a browser makes to one host.
    const hide = () => document.hidden && ending.abort();
    document.addEventListener("visibilitychange", hide);
    try {
      for await (const { type, data } of stream("v1/accounts", { signal: ending.signal })) {
        failures = 0;
        good = Date.now();
        if (type === "accounts") take(data);
        if (type === "accounts" || type === "heartbeat") say(null);
        // In the controller's own words: it is no call of the reader's that failed.
        if (type === "trouble") say(data.error ? troubleOf(data.error) : null);
      }
      // A controller that is restarted ends its streams, and is back before anybody needs to know.
      failures++;
      if (Date.now() - good > PATIENCE) say(new Problem("ended", "", ""));
    } catch (problem) {
      if (problem.name !== "AbortError") {
        failures++;
        say(problem);
      }
    } finally {
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
