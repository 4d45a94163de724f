// Opens the stream of accounts while the other scripts are still loading, if the page says that no token is needed.
// Whatever goes wrong here, store.js opens the stream again, and reports it.

import { fetched, path } from "./paths.js";

const ending = new AbortController();
document.addEventListener("visibilitychange", () => ending.abort(), { once: true });

const options = { headers: { Accept: "text/event-stream" }, signal: ending.signal };
const isWanted = document.documentElement.dataset.scope && !document.hidden;
export const opening = isWanted && fetched(path`v1/accounts`, options).catch(() => null);
