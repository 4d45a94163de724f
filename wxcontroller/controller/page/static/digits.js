// The field for the digits that the phone shows. The question is above it.

import { possible } from "./actions.js";
import { call } from "./api.js";
import { h, setHidden, setText } from "./dom.js";
import { t } from "./i18n.js";
import { explain } from "./notices.js";
import { path } from "./paths.js";

// Return { form, show(account) }. The form is shown while the account waits for digits and the reader may enter them.
export function digitsForm(name) {
  const field = h("input", { name: "digits", required: true, inputMode: "numeric", autocomplete: "one-time-code" });
  const note = h("p", { role: "status" });
  const label = h("label", {}, t("Digits"), " ", field);
  const send = h("button", { className: "main" }, t("Send"));
  const form = h("form", { className: "digits", autocomplete: "off" }, label, send, note);
  let asked = null;

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const value = field.value.trim();
    const { id } = asked;
    field.value = ""; // now, not after the answer: by then the next question may be shown, and its digits typed
    note.className = "faint";
    setHidden(note, false);
    setText(note, t("Sending…"));
    try {
      await call("POST", path`v1/accounts/${name}/input`, { json: { id, value } });
      setText(note, t("The digits were sent. If they are wrong, you are asked again."));
    } catch (problem) {
      note.className = "bad";
      explain(note, problem);
      field.value ||= value;
      field.focus();
    }
  });

  function show(account) {
    const input = possible(account).digits ? account.input : null;
    const question = input && JSON.stringify(input.prompt_text ?? input.prompt);
    if (question === asked?.question) return;
    const isNew = !asked && input;
    asked = input && { id: input.id, question };
    setHidden(form, !input);
    explain(note, null);
    if (!input) return;
    field.pattern = input.digits ? `[0-9]{${input.digits}}` : "[0-9]+";
    field.maxLength = input.digits || 20;
    if (isNew) field.value = "";
    if (form.closest("dialog") || form.contains(document.activeElement)) field.focus();
  }

  setHidden(form, true);
  return { form, show };
}
