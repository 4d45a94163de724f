// A message in words: what it is, and what has become of one that the account sent.

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
// tone and word of each state of a send.
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
  throttled: () => t("held: WeChat limits the bot"),
  restricted: () => t("held: WeChat accepts messages for this person and does not show them"),
  confirming: () => t("held: checking whether the session is still valid"),
  offline: () => t("held: the account is not logged in"),
};

export const kindName = (kind) => KINDS[kind]?.() ?? "";

// One line of a message, for a list.
export function previewOf({ kind, text, media, direction, state }) {
  const what = kindName(kind) && `[${kindName(kind)}]`;
  const name = kind === "file" ? media?.name : "";
  const failed = direction === "out" && state === "refused" ? `[${t("not sent")}]` : "";
  return [failed, what, name || text].filter(Boolean).join(" ");
}

// [tone, words] below a message that was sent to `who`, null for one that tells nothing.
export function outcomeOf({ state, reason, detail, recalled }, who) {
  if (recalled) return ["", t("recalled")];
  if (!state) return null;
  const [tone, word] = STATES[state]?.() ?? ["", state];
  if (state === "held") return [tone, (HOLDS[reason] ?? (() => word))(who)];
  return [tone, detail && (state === "refused" || state === "unknown") ? `${word} · ${detail}` : word];
}

// What stands beside the time of a message with content.
export function contentWords({ kind, media }) {
  if (!media) return "";
  return [kindName(kind) || kindName(media.type), media.size ? size(media.size) : ""].filter(Boolean).join(" · ");
}
