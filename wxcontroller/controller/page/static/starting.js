// Accounts whose start was requested a moment ago. Until systemd begins, they are shown as starting, not as failed.

const PATIENCE = 5000;
const until = new Map(); // name → the time after which it counts as failed

export const isStarting = (name) => (until.get(name) ?? 0) > Date.now();

// Whether the request has not been answered yet.
export const isRequested = (name) => until.get(name) === Infinity;

// Wait for the answer, and a moment longer, because the unit's state may be a second old.
export function expectStart(name) {
  until.set(name, Infinity);
}

// Calls changed() when that moment is over.
export function expectSoon(name, changed) {
  const end = Date.now() + PATIENCE;
  until.set(name, end);
  setTimeout(() => {
    if (until.get(name) !== end) return; // requested again in the meantime
    until.delete(name);
    changed();
  }, PATIENCE);
}

export function expectNothing(name) {
  until.delete(name);
}
