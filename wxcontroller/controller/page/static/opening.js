// Opens the stream of accounts while the other scripts are still loading, if the page says that no token is needed.
// Whatever goes wrong here, store.js opens the stream again, and reports it.

const ending = new AbortController();
document.addEventListener("visibilitychange", () => ending.abort(), { once: true });

const headers = { Accept: "text/event-stream" };
const options = { headers, cache: "no-store", redirect: "error", signal: ending.signal };
const isWanted = document.documentElement.dataset.scope && !document.hidden;
export const opening = isWanted && fetch(new URL("../../v1/accounts", import.meta.url), options).catch(() => null);
