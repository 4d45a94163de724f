// Accounts that somebody has asked to start a moment ago: that systemd has not begun is no failure yet.

const PATIENCE = 5000;
const until = new Map(); // by name, when it is one

export const isStarting = (name) => (until.get(name) ?? 0) > Date.now();

// Whether the request itself is not answered yet.
export const isRequested = (name) => until.get(name) === Infinity;

// Waits as long as the request takes, and a moment longer: what is known of the unit may be a second old.
export function expectStart(name) {
  until.set(name, Infinity);
}

// changed() when the moment is over.
export function expectSoon(name, changed) {
  const end = Date.now() + PATIENCE;
  until.set(name, end);
  setTimeout(() => {
    if (until.get(name) !== end) return; // asked again meanwhile
    until.delete(name);
    changed();
  }, PATIENCE);
}

export function expectNothing(name) {
  until.delete(name);
}
