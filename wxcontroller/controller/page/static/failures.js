// Failures with their remedies, in the reader's language.

import { language, sentence, t } from "./i18n.js";

const CHINESE = language.startsWith("zh");

// Headline and remedy for each error code. The controller's own words follow as details; for other codes they are all
// there is.
const FAILURES = {
  "bad-name": () => [t("This name cannot be used."), ""],
  "account-exists": () => [t("There is an account of this name already."), t("Choose another name.")],
  "bad-option": () => [t("A value is invalid."), ""],
  "unknown-account": () => [t("There is no such account."), t("It may have been removed.")],
  "not-running": () => [t("The account is not running."), t("Start it first.")],
  "not-answering": () => [
    t("The account's program does not respond."),
    t("Check its journal; a restart may help."),
  ],
  "max-clients": () => [
    t("No more accounts can run at the same time."),
    t("Stop one, or raise max_clients in the settings."),
  ],
  "no-port": () => [
    t("No free port is left for another account."),
    t("Remove one, or widen the range of ports in the settings."),
  ],
  "unit-failed": () => [
    t("systemd did not carry out the request."),
    t("See the journal of the account for the reason."),
  ],
  "no-qrcode": () => [t("No code can be scanned now."), ""],
  "not-allowed": () => [
    t("Your token does not allow this."),
    t("Root can create one with a wider scope: wxctl token create NAME --scope SCOPE"),
  ],
  "not-asked": () => [t("The account no longer waits for this."), ""],
  "no-webhook": () => [t("The account has no webhook."), t("Start it with one: wxctl start NAME --post-api URL")],
  "too-many-readers": () => [t("Too many pages are open."), t("Close some pages.")],
  "not-sent": () => [t("It was not sent."), ""],
  disk: () => [t("The disk cannot be written."), t("Free some space on /var.")],
  "tokens-left": () => [
    t("Some tokens are also valid for the next account of this name."),
    t("If they are not meant for it, root ends each on the controller's machine: wxctl token revoke NAME"),
  ],
};

export function wordsOf({ code, message, remedy = "" }) {
  const ours = FAILURES[code]?.();
  if (!ours) return { headline: sentence(message), remedy: sentence(remedy), details: "" };
  return { headline: ours[0], remedy: ours[1], details: [message, remedy].filter(Boolean).join(" · ") };
}

// Return headline, remedy and details in one line.
export const inWords = (problem) => sentences(...Object.values(wordsOf(problem)));

// Join texts into one line, each closed by a full stop; "" is left out.
export const sentences = (...texts) => texts.filter(Boolean).map(closed).join(CHINESE ? "" : " ");

function closed(text) {
  if (/[.!?…。！？]$/.test(text)) return text;
  return text + (CHINESE ? "。" : ".");
}
