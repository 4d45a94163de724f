// Deliveries of reports in words, as wxctl has them.

import { t, textOf } from "./i18n.js";
import { moment } from "./times.js";

const STATES = {
  held: () => ["busy", t("held")],
  pending: () => ["attention", t("pending")],
  delivered: () => ["", t("delivered")],
  dead: () => ["bad", t("dead")],
  purged: () => ["", t("purged")],
};

// Return [tone, word] for a state.
export const deliveryState = (state) => STATES[state]?.() ?? ["off", state];

// Return [tone, words] for the delivery of a message's report, null if the report is not for the webhook.
export function deliveryOf({ delivery }) {
  if (!delivery || delivery.state === "kept") return null;
  const [tone, word] = deliveryState(delivery.state);
  const { settled_at: when } = delivery;
  const more = textOf(delivery, "last_error") || (when ? moment(when) : "");
  const words = more ? t("webhook: {state}, {more}", { state: word, more }) : t("webhook: {state}", { state: word });
  return [tone, words];
}
