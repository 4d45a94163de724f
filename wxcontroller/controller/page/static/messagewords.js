// Messages in words: their kind, and the outcome of sends.

import { t } from "./i18n.js";
import { size } from "./words.js";

const KINDS = {
  image: () => t("picture"),
  emoticon: () => t("sticker"),
  video: () => t("video"),
  voice: () => t("voice message"),
  file: () => t("file"),
  app: () => t("link or app"),
  card: () => t("card"),
  location: () => t("location"),
  revoke: () => t("recalled"),
  payment: () => t("payment"),
};
// Tone and word for each state of a send.
const STATES = {
  waiting: () => ["busy", t("waiting")],
  sending: () => ["busy", t("sending")],
  held: () => ["attention", t("held")],
  delivered: () => ["", t("delivered")],
  accepted: () => ["", t("accepted")],
  refused: () => ["bad", t("not sent")],
  unknown: () => ["attention", t("unknown: check on the phone before you send it again")],
};
const HOLDS = {
  "no-context": (who) => t("held until {who} writes", { who }),
  window: (who) => t("held until {who} writes", { who }),
  budget: (who) => t("held until {who} writes", { who }),
  "budget-24h": () => t("held until earlier messages are a day old"),
  "learned-limit": (who) => t("held until {who} writes: WeChat refused more messages in 24 hours", { who }),
  throttled: () => t("held: WeChat throttles the bot"),
  restricted: () => t("held: WeChat accepts messages for this person but does not show them"),
  confirming: () => t("held: checking whether the session is still valid"),
  offline: () => t("held: the account is not logged in"),
  unreachable: () => t("held: WeChat cannot be reached"),
};

export const kindName = (kind) => KINDS[kind]?.() ?? "";

// Return a message in one line, for a list.
export function previewOf({ kind, text, media, direction, state }) {
  const what = kindName(kind) && `[${kindName(kind)}]`;
  const name = kind === "file" ? media?.name : "";
  const failed = direction === "out" && state === "refused" ? `[${t("not sent")}]` : "";
  return [failed, what, name || text].filter(Boolean).join(" ");
}

// Return [tone, words] for a message sent to `who`, null if it has no state.
export function outcomeOf({ state, reason, detail, recalled }, who) {
  if (recalled) return ["", t("recalled")];
  if (!state) return null;
  const [tone, word] = STATES[state]?.() ?? ["", state];
  if (state === "held") return [tone, (HOLDS[reason] ?? (() => word))(who)];
  return [tone, detail && (state === "refused" || state === "unknown") ? `${word} · ${detail}` : word];
}

// Return kind and size of a message's content.
export function contentWords({ kind, media }) {
  if (!media) return "";
  return [kindName(kind) || kindName(media.type), media.size ? size(media.size) : ""].filter(Boolean).join(" · ");
}
