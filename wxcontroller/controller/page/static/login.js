// The sign-in with a token, if the controller requires one.

import { onTokenNeeded, signOut } from "./api.js";
import { $, setHidden } from "./dom.js";
import { t } from "./i18n.js";

export function setUpLogin(shown) {
  $("leave").addEventListener("click", signOut);
  $("login-form").addEventListener("submit", (event) => event.preventDefault());
  onTokenNeeded(async (refused) => {
    shown(true);
    const form = $("login-form");
    const problem = $("login-problem");
    problem.textContent = refused ? t("This token is invalid or no longer valid.") : "";
    setHidden(problem, !refused);
    form.elements.token.focus();
    await new Promise((sent) => form.addEventListener("submit", sent, { once: true }));
    const token = form.elements.token.value.trim();
    form.reset();
    shown(false);
    return token;
  });
}
