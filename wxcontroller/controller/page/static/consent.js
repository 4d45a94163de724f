// How an account goes on that waits for its owner's consent: a button that names the risk.

import { act, possible } from "./actions.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";

// Returns the button, null where nothing waits or the reader may not allow it.
export function consentButton(account) {
  if (!possible(account).allow) return null;
  const words = t(
    "Allow desktop mode, although WeChat may warn about this account's safety and bar it from scanning any code for about two weeks",
  );
  const button = h("button", { type: "button", className: "danger sentence", "data-action": "allow" }, words);
  button.addEventListener("click", () => act(account.name, "allow"));
  return button;
}
