// Follows a stream while the page is visible, and resumes it after the last id received.

import { stream } from "./api.js";
import { untilVisible } from "./store.js";

const PAUSE = 1000;
const PAUSE_AFTER_FAILURE = 3000;

// Call opened() at the first event of each connection, take({ type, data, id }) for each event, and explain(problem)
// when a connection fails.
export async function followed(target, { signal, opened = () => {}, take, explain }) {
  let lastId = "";
  while (!signal.aborted) {
    await untilVisible();
    // A hidden tab would occupy one of the few connections that a browser opens to one host.
    const hiding = new AbortController();
    const hide = () => document.hidden && hiding.abort();
    document.addEventListener("visibilitychange", hide);
    let pause = PAUSE;
    try {
      let known = false;
      for await (const event of stream(target, { signal: AbortSignal.any([signal, hiding.signal]), lastId })) {
        lastId = event.id || lastId;
        take(event);
        if (!known) opened();
        known = true;
      }
    } catch (problem) {
      if (problem.name !== "AbortError") {
        pause = PAUSE_AFTER_FAILURE;
        explain(problem);
      }
    } finally {
      document.removeEventListener("visibilitychange", hide);
    }
    if (!signal.aborted) await new Promise((done) => setTimeout(done, pause));
  }
}
