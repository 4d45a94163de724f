// Telling people what went wrong (and stays until closed, or cured) or right (and is spoken, and goes by itself).

import { $, h } from "./dom.js";
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

// Takes away what was told of a failure that is over by itself.
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

// In a dialog everything outside is out of reach: notices are shown inside then.
function place(notice) {
  const open = document.querySelector("dialog[open]");
  if ($("notices").parentElement !== (open ?? document.body)) (open ?? document.body).append($("notices"));
  while ($("notices").children.length >= MOST) $("notices").firstElementChild.remove();
  $("notices").append(notice);
}

// A dialog that closes would hide what was told in it.
export function bringBack() {
  if (!document.querySelector("dialog[open]")) document.body.append($("notices"));
}

// Shows a problem inside a form, under another headline where the form knows a better one; null takes it away.
export function explain(element, problem, headline = "") {
  const words = problem && wordsOf(problem);
  const lines = words ? [headline || words.headline, words.remedy, words.details].filter(Boolean) : [];
  element.replaceChildren(...lines.map((each) => h("span", {}, each)));
  element.hidden = !problem;
}
