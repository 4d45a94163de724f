// Notices and questions. Failures stay until closed or cured; successes are announced to screen readers and vanish.

import { $, h, settle } from "./dom.js";
import { wordsOf } from "./failures.js";
import { t } from "./i18n.js";

const MOST = 3;
const SECONDS = 5;

export function complain(problem) {
  const { headline, remedy, details } = wordsOf(problem);
  const close = h("button", { type: "button", className: "plain close", "aria-label": t("Close") }, "×");
  const parts = [h("strong", {}, headline), remedy && h("p", {}, remedy), details && h("small", {}, details)];
  const text = h("div", {}, ...parts);
  const notice = h("div", { className: "notice bad", "data-code": problem.code ?? "" }, text, close);
  close.addEventListener("click", () => notice.remove());
  place(notice);
}

// Remove the notice of a failure that has ended.
export function cured(code) {
  for (const each of document.querySelectorAll(`#notices [data-code="${code}"]`)) each.remove();
}

export function tell(text) {
  $("told").textContent = text;
  for (const each of document.querySelectorAll("#notices .good")) each.remove();
  const notice = h("div", { className: "notice good", "aria-hidden": "true" }, text);
  place(notice);
  setTimeout(() => notice.remove(), SECONDS * 1000);
}

// While a dialog is open, everything outside it is inert, so notices are shown inside.
function place(notice) {
  const open = document.querySelector("dialog[open]");
  if ($("notices").parentElement !== (open ?? document.body)) (open ?? document.body).append($("notices"));
  while ($("notices").children.length >= MOST) $("notices").firstElementChild.remove();
  $("notices").append(notice);
}

// Move the notices out of a dialog that closes, which would hide them.
export function bringBack() {
  if (!document.querySelector("dialog[open]")) document.body.append($("notices"));
}

// Show a problem inside a form, with the form's own headline if given; null clears it.
export function explain(element, problem, headline = "") {
  const words = problem && wordsOf(problem);
  const lines = words ? [headline || words.headline, words.remedy, words.details].filter(Boolean) : [];
  element.replaceChildren(...lines.map((each) => h("span", {}, each)));
  element.hidden = !problem;
}

// Ask before an action that cannot be undone. The focus is on Cancel, so that an accidental Enter does no harm.
export function confirmed({ title, text, yes }) {
  const dialog = $("confirm");
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = text;
  $("confirm-yes").textContent = yes;
  dialog.returnValue = "no";
  settle($("confirm-yes"));
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"), { once: true });
  });
}

export function setUpConfirm() {
  $("confirm-no").addEventListener("click", () => $("confirm").close("no"));
  $("confirm-yes").addEventListener("click", () => $("confirm").close("yes"));
}
