// What a person should know of an account and do about it: on its page, in the list, and while it logs in.

import { sentence, t, textOf } from "./i18n.js";
import { failsAgain, isDown, isExpected, isUp, webhookFailure } from "./states.js";

// The first that fits counts. `tab` is where more of it is told, `reason` what the program says of it, and `about`
// what that is about, where it is not the login.
const CASES = [
  {
    fits: failsAgain,
    text: () =>
      t("Its program ended unexpectedly. systemd starts it again by itself; why it ended is in its journal."),
    tab: "journal",
  },
  {
    fits: isDown,
    text: ({ unit }) =>
      t("It should run, and does not. Start it; if that does not help, the journal says why: journalctl -u {unit}", {
        unit,
      }),
    tab: "journal",
  },
  { fits: (account) => !isUp(account), text: () => "" },
  {
    fits: ({ login_state: state, input }) => state === "parked" && input,
    text: () => t("It waits for your decision."),
    reason: (account) => textOf(account, "reason"),
  },
  {
    fits: ({ login_state: state }) => state === "parked",
    text: () => t("It has given up and waits for you. When the cause is gone, start it: it then shows a new code."),
    reason: (account) => textOf(account, "reason"),
  },
  {
    fits: ({ login_state: state }) => state === "offline",
    text: () => t("It does not work at the moment, and goes on trying by itself."),
    reason: (account) => textOf(account, "reason") || textOf(account, "status"),
  },
  {
    fits: webhookFailure,
    text: () => t("The webhook does not take the reports. They wait, and are sent again by themselves."),
    tab: "deliveries",
    about: () => t("Webhook"),
    reason: (account) => webhookFailure(account),
  },
  {
    fits: ({ activity }) => activity?.dead,
    text: () => t("The webhook refused some reports for good. See Deliveries: they can be sent again."),
    tab: "deliveries",
    reason: (account) => textOf(account, "reason"),
  },
  {
    fits: ({ login_state: state }) => state === null,
    text: ({ name }) => t("The program of {name} does not say how it is. Its journal may tell more.", { name }),
    tab: "journal",
    reason: (account) => textOf(account, "reason"),
  },
  {
    fits: () => true,
    text: () => "",
    reason: (account) =>
      textOf(account, "reason") || (account.unit_state === "deactivating" ? textOf(account, "status") : ""),
  },
];

// { text, tab, reason } in the reader's words, each "" when there is none.
export function adviceOf(account) {
  const { text, tab = "", reason = () => "", about } = CASES.find(({ fits }) => fits(account));
  const why = reason(account);
  return { text: text(account), tab, reason: why && about ? `${about()}: ${why}` : sentence(why) };
}

// Why, in few words, for the list. Without a process it is systemd that knows; its page says where to look.
export const reasonOf = (account) => adviceOf(account).reason;

// What there is to do while it logs in; `bad` when it gets no further.
export function hintOf(account) {
  if (isExpected(account)) return { text: t("One moment…"), bad: false };
  if (isDown(account)) return { text: adviceOf(account).text, bad: true };
  if (!isUp(account)) return { text: t("It is stopped."), bad: false };
  if (account.login_state === "parked") return { text: sentence(textOf(account, "reason")), bad: true };
  // With the number that wxctl and the journal say.
  const which = account.login_state === "scanning" ? sentence(textOf(account, "status")) : "";
  const words = [sentence(textOf(account, "reason")), which, stepOf(account)];
  return { text: words.filter(Boolean).join("\n"), bad: false };
}

function stepOf(account) {
  switch (account.login_state) {
    case "scanning":
      return t("A code is good for some minutes; a new one comes by itself.");
    case "confirming":
      return t("Scanned. Tap Log in on the phone.");
    case "updating":
      return t("Logged in. People and groups are being loaded.");
    case "running":
      return t("Logged in as {user}. Done.", { user: account.user?.name ?? account.name });
    default:
      return account.reason ? "" : t("One moment…");
  }
}
