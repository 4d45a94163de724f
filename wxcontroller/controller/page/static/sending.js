// Sending a text to somebody who is chosen from the list, and what became of it.

import { call, may, Problem } from "./api.js";
import { $, setHidden, setText } from "./dom.js";
import { t } from "./i18n.js";
import { explain } from "./notices.js";

// { choose(entry, kind), focus() } for the form of an account, until `signal` ends it; nobody is chosen by null.
export function sendForm(name, signal) {
  const form = $("send");
  const result = $("send-result");
  let chosen = null;
  let sending = false;

  function choose(entry, kind) {
    const other = entry?.id !== chosen?.id;
    chosen = entry;
    const nobody = t("Choose a recipient from the list.");
    setText($("send-to"), entry ? t("To {who} ({kind})", { who: entry.label, kind }) : nobody);
    if (other && !sending) explain(result, null);
    enable();
  }

  function enable() {
    for (const each of form.querySelectorAll("textarea, button")) each.disabled = sending || !chosen;
    setHidden(form, !may("send"));
  }

  function showResult(tone, text) {
    result.className = tone;
    setText(result, text);
    setHidden(result, false);
  }

  async function send(event) {
    event.preventDefault();
    const content = form.elements.content.value;
    if (!chosen || sending || !content.trim()) return;
    const to = chosen;
    sending = true;
    enable();
    showResult("faint", t("Sending…"));
    try {
      await deliver(name, to, content, signal);
      form.reset();
      showResult("good", t("Sent to {who}.", { who: to.label }));
    } catch (problem) {
      if (problem.name === "AbortError") return;
      result.className = "bad";
      explain(result, problem);
    } finally {
      sending = false;
      if (!signal.aborted) {
        enable();
        form.elements.content.focus();
      }
    }
  }

  form.reset();
  explain(result, null);
  form.addEventListener("submit", send, { signal });
  choose(null);
  return { choose, focus: () => form.elements.content.focus() };
}

// In the body: what is in an address may be logged on its way. The key makes a repeated request harmless.
async function deliver(name, { id, kind }, content, signal) {
  const endpoint = kind === "group" ? "send_group_message" : "send_friend_message";
  const path = `openwx/${endpoint}?client=${encodeURIComponent(name)}`;
  const headers = { "Idempotency-Key": randomKey() };
  const answer = await call("POST", path, { form: { id, content }, headers, signal });
  if (answer.code !== 0) throw refusal(answer, "not-sent");
}

// What became of a send that is not known to be done: the numbers and words of the contract.
const STILL_QUEUED = -7;
const NOBODY_KNOWS = "unknown data";

// A refusal as the original's API tells it, as a problem; `reason` has more than the contract's few words.
export function refusal({ code, status = "", reason }, otherwise = "refused") {
  const what = code === STILL_QUEUED ? "queued" : status === NOBODY_KNOWS ? "unsure" : otherwise;
  return new Problem(what, reason || status);
}

// crypto.randomUUID is there in secure contexts only, which http on another address is not.
function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
