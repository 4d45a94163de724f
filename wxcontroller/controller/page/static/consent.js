// The button that gives the consent an account waits for. The question next to it names the risk.

import { act, possible } from "./actions.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";

// Return the button, null if no consent is needed or the reader may not give it.
export function consentButton(account) {
  if (!possible(account).allow) return null;
  const properties = { type: "button", className: "danger", "data-action": "allow" };
  const button = h("button", properties, t("Allow desktop mode…"));
  button.addEventListener("click", () => act(account.name, "allow"));
  return button;
}
