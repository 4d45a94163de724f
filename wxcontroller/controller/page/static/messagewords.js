// Messages in words: their kind, and the outcome of sends.

import { t, textOf } from "./i18n.js";
import { moment } from "./times.js";
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
  delivered: () => ["", t("accepted")],
  accepted: () => ["", t("accepted without an id")],
  refused: () => ["bad", t("not sent")],
  unknown: () => ["attention", t("unknown")],
};

export const kindName = (kind) => KINDS[kind]?.() ?? "";

// Return a message in one line, for a list.
export function previewOf({ kind, text, media, direction, state }) {
  const what = kindName(kind) && `[${kindName(kind)}]`;
  const name = kind === "file" ? media?.name : "";
  const failed = direction === "out" && state === "refused" ? `[${t("not sent")}]` : "";
  return [failed, what, name || text].filter(Boolean).join(" ");
}

// Return [tone, words] for a sent message, null if it has no state: why it did not go out, until when, and what to do.
export function outcomeOf(message) {
  const { state, recalled } = message;
  if (recalled) return ["", t("recalled")];
  if (!state) return null;
  const [tone, word] = STATES[state]?.() ?? ["", state];
  if (state === "delivered" || state === "accepted") return [tone, word];
  const [ends, ...more] = ["ends", "detail", "remedy"].map((name) => textOf(message, name));
  const until = message.held_until && t("not after {time}", { time: moment(message.held_until) });
  return [tone, [word, ends, ends && until, ...more].filter(Boolean).join(" · ")];
}

// Return kind and size of a message's content.
export function contentWords({ kind, media }) {
  if (!media) return "";
  return [kindName(kind) || kindName(media.type), media.size ? size(media.size) : ""].filter(Boolean).join(" · ");
}
