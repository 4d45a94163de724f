// The link that lets another person scan: created on click, copied if the browser allows it, and shown.

import { call, may, Problem } from "./api.js";
import { h, icon, setHidden, setText } from "./dom.js";
import { t } from "./i18n.js";
import { complain, tell } from "./notices.js";
import { path, urlOf } from "./paths.js";
import { accounts } from "./store.js";

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
      const made = link ?? (await call("POST", path`v1/accounts/${name}/login-links`));
      field.value = addressOf(made, accounts.get(name)?.host);
      link = made;
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
      await call("DELETE", path`v1/accounts/${name}/login-links/${link.id}`);
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

// Return the URL of a link, made of its secret and the address of this page. Only the account's own host has the link, so
// if that is another one, its answer has the address. It is shown, and never opened here.
function addressOf({ url }, host) {
  const [, secret] = String(url).match(/#([0-9a-f]{64})$/) ?? [];
  const page = !host ? urlOf(path`page/login`) : URL.canParse(url) && new URL(url);
  if (secret && /^https?:$/.test(page.protocol)) return `${page.origin}${page.pathname}#${secret}`;
  throw new Problem("bad-link", t("The host returned an invalid link."));
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
