// The form to write a message: text, and files from the picker, by drag or from the clipboard.

import { call, may, Problem } from "./api.js";
import { $, h, icon, setHidden, setText } from "./dom.js";
import { t, textOf } from "./i18n.js";
import { explain } from "./notices.js";
import { outcomeOf } from "./messagewords.js";
import { path } from "./paths.js";
import { size } from "./words.js";

// How long to wait for the outcome of a send. The conversation shows outcomes that come later.
const WAIT = 5;

// Return { choose(entry), offerFiles(on), focus() } for the form of an account, until `signal` ends it. choose(null)
// chooses nobody.
export function composer(name, signal, sent) {
  const form = $("send");
  const field = form.elements.content;
  const result = $("send-result");
  let chosen = null;
  let sending = false;
  let files = [];
  let takesFiles = true;
  const drafts = new Map(); // by recipient: texts that are not sent yet
  let unanswered = null; // the last message, until its answer arrives

  function choose(entry) {
    const other = entry?.id !== chosen?.id;
    chosen = entry;
    field.placeholder = entry ? t("Message {who}", { who: entry.called }) : "";
    if (other && !sending) {
      resume();
      explain(result, null);
    }
    enable();
  }

  // Show what was written to the chosen recipient.
  function resume() {
    attach([], true);
    field.value = drafts.get(chosen?.id) ?? "";
    grow();
  }

  function enable() {
    for (const each of form.querySelectorAll("button")) each.disabled = sending || !chosen;
    field.disabled = !chosen;
    field.readOnly = sending; // if disabled, it would lose the focus
    setHidden(form, !may("send"));
  }

  function attach(more, replace = false) {
    files = replace ? [...more] : [...files, ...more];
    $("attached").replaceChildren(...files.map(attachment));
  }

  function attachment(file) {
    const label = t("Remove {name}", { name: file.name });
    const away = h("button", { type: "button", className: "plain", "aria-label": label });
    away.append(icon("close"));
    away.addEventListener("click", () => attach(files.filter((each) => each !== file), true));
    return h("li", {}, icon("attach"), h("span", {}, file.name), h("small", {}, size(file.size)), away);
  }

  function offerFiles(on) {
    takesFiles = on;
    setHidden($("attach"), !on);
  }

  function showResult(tone, text) {
    result.className = tone;
    setText(result, text);
    setHidden(result, !text);
  }

  async function send(event) {
    event.preventDefault();
    const text = field.value;
    if (!chosen || sending || !(text.trim() || files.length)) return;
    const to = chosen;
    sending = true;
    enable();
    showResult("faint", t("Sending…"));
    try {
      if (text.trim()) {
        tellOutcome(await deliver(to, text, { json: { to: to.id, text, wait: WAIT } }), to);
        drafts.delete(to.id);
        field.value = "";
        grow();
      }
      for (const file of [...files]) {
        tellOutcome(await deliver(to, file, { body: formOf(to.id, file) }), to);
        attach(files.filter((each) => each !== file), true);
      }
    } catch (problem) {
      if (problem.name === "AbortError") return;
      result.className = "bad";
      explain(result, problem);
    } finally {
      sending = false;
      if (!signal.aborted) {
        if (chosen?.id !== to.id) resume();
        enable();
        sent();
        if (document.activeElement === document.body) field.focus(); // it was on the button
      }
    }
  }

  // A message that is sent again because its answer was lost has the same key, and is sent once.
  async function deliver(to, what, content) {
    const isSame = unanswered?.to === to.id && unanswered.what === what;
    unanswered = { to: to.id, what, key: isSame ? unanswered.key : randomKey() };
    const headers = { "Idempotency-Key": unanswered.key };
    try {
      const answer = await call("POST", path`v1/accounts/${name}/messages`, { ...content, headers, signal });
      unanswered = null;
      return answer;
    } catch (problem) {
      if (problem.status >= 400 && problem.status < 500) unanswered = null;
      throw problem;
    }
  }

  function tellOutcome(answer, to) {
    const { state } = answer;
    if (state === "refused") throw new Problem("not-sent", textOf(answer, "detail"), textOf(answer, "remedy"));
    if (state === "delivered" || state === "accepted") showResult("good", t("Sent to {who}.", { who: to.called }));
    else showResult(...outcomeOf(answer));
  }

  function grow() {
    field.style.height = "auto";
    field.style.height = `${Math.min(field.scrollHeight + 2, 160)}px`;
  }

  // The browser would open a file that is dropped outside the conversation, in place of the page. Dragged text is
  // left to the browser.
  function drag(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    const fits = Boolean(chosen) && takesFiles && $("chat").contains(event.target);
    event.dataTransfer.dropEffect = fits ? "copy" : "none";
    $("chat").classList.toggle("dropping", fits && event.type === "dragover");
    if (fits && event.type === "drop") attach(event.dataTransfer.files);
  }

  resume();
  offerFiles(true);
  explain(result, null);
  form.addEventListener("submit", send, { signal });
  field.addEventListener(
    "input",
    () => {
      drafts.set(chosen?.id, field.value);
      grow();
    },
    { signal },
  );
  field.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    },
    { signal },
  );
  field.addEventListener(
    "paste",
    (event) => takesFiles && event.clipboardData?.files.length && attach(event.clipboardData.files),
    { signal },
  );
  $("attach").addEventListener("click", () => $("attach-files").click(), { signal });
  $("attach-files").addEventListener(
    "change",
    () => {
      attach($("attach-files").files);
      $("attach-files").value = "";
      field.focus();
    },
    { signal },
  );
  for (const type of ["dragover", "drop"]) document.addEventListener(type, drag, { signal });
  $("chat").addEventListener("dragleave", () => $("chat").classList.remove("dropping"), { signal });
  choose(null);
  return { choose, offerFiles, focus: () => field.focus() };
}

function formOf(to, file) {
  const form = new FormData();
  form.set("to", to);
  form.set("wait", String(WAIT));
  form.set("file", file, file.name);
  return form;
}

// crypto.randomUUID only exists in secure contexts; plain http from another machine is none.
function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
