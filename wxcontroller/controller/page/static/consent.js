// How an account goes on that waits for its owner's consent: a button. The question beside it names the risk.

import { act, possible } from "./actions.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";

// Returns the button, null where nothing waits or the reader may not allow it.
export function consentButton(account) {
  if (!possible(account).allow) return null;
  const properties = { type: "button", className: "danger", "data-action": "allow" };
  const button = h("button", properties, t("Allow desktop mode…"));
  button.addEventListener("click", () => act(account.name, "allow"));
  return button;
}
