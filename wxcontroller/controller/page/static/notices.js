// Telling people what went wrong (and stays until closed) or right (and is spoken, and goes by itself).

import { $, h } from "./dom.js";
import { t } from "./i18n.js";
import { wordsOf } from "./words.js";

const MOST = 3;
const SECONDS = 5;

export function complain(problem) {
  const { headline, remedy, details } = wordsOf(problem);
  const close = h("button", { type: "button", className: "plain close", "aria-label": t("Close"), textContent: "×" });
  const text = h("div", {}, h("strong", {}, headline), remedy ? h("p", {}, remedy) : "", details ? h("small", {}, details) : "");
  const notice = h("div", { className: "notice bad" }, text, close);
  close.addEventListener("click", () => notice.remove());
  place(notice);
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

// Shows a problem inside a form; null takes it away.
export function explain(element, problem) {
  const words = problem && wordsOf(problem);
  element.replaceChildren(
    ...(words ? [words.headline, words.remedy, words.details].filter(Boolean).map((each) => h("span", {}, each)) : []),
  );
  element.hidden = !problem;
}
