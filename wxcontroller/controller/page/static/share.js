// The link that lets another person scan: created on click, copied if the browser allows it, and shown.

import { call, may, pathOf } from "./api.js";
import { h, icon, setHidden, setText } from "./dom.js";
import { t } from "./i18n.js";
import { complain, tell } from "./notices.js";

// The texts, one per line: such lines may be longer than others.
const IDLE = () =>
  t(
    "Not at this computer? A one-time link lets another person scan for the next 15 minutes, this account only.",
  );
const MADE = () =>
  t(
    "Send it to one person only: anyone who opens it can log in this account. It works once, in one browser.",
  );

// Return { element, copy, show(on) } for the login of an account: the note with the link, and the button that creates
// one.
export function shareLink(name) {
  const copy = h("button", { type: "button", "data-action": "share" }, icon("link"), t("Copy link"));
  const revoke = h("button", { type: "button", className: "plain" }, t("Revoke"));
  const field = h("input", { readOnly: true, "aria-label": t("Login link") });
  const shown = h("div", { className: "field" }, field, revoke);
  const note = h("p", { className: "faint" });
  const element = h("div", { className: "share" }, note, shown);
  let link = null;

  function explain() {
    setText(note, link ? MADE() : IDLE());
    setHidden(shown, !link);
  }

  copy.addEventListener("click", async () => {
    copy.disabled = true;
    try {
      link ??= await call("POST", pathOf(name, "login-links"));
      field.value = new URL(link.url, document.baseURI).href;
      explain();
      await copied(field);
    } catch (problem) {
      complain(problem);
    } finally {
      copy.disabled = false;
    }
  });
  revoke.addEventListener("click", async () => {
    try {
      await call("DELETE", pathOf(name, `login-links/${link.id}`));
      tell(t("Link revoked."));
    } catch (problem) {
      if (problem.code !== "link-over") complain(problem);
    }
    link = null;
    field.value = "";
    explain();
    copy.focus();
  });
  explain();

  // After the scan nobody else is needed, and a new process does not know the links of the previous one.
  function show(on) {
    for (const each of [element, copy]) setHidden(each, !on || !may("control"));
    if (on || !link) return;
    link = null;
    explain();
  }
  return { element, copy, show };
}

// Only pages from https or localhost may write to the clipboard.
async function copied(field) {
  try {
    await navigator.clipboard.writeText(field.value);
    tell(t("Link copied."));
  } catch {
    field.focus();
    field.select();
  }
}
