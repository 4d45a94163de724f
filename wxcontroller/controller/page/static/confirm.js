// The confirmation before an action that cannot be undone.

import { $ } from "./dom.js";

// The focus is on Cancel, so that an accidental Enter does no harm. Closing returns it to where it was.
export function confirmed({ title, text, yes }) {
  const dialog = $("confirm");
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = text;
  $("confirm-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => answer(dialog.returnValue === "yes"), { once: true });
  });
}

export function setUpConfirm() {
  $("confirm-no").addEventListener("click", () => $("confirm").close("no"));
  $("confirm-yes").addEventListener("click", () => $("confirm").close("yes"));
}
