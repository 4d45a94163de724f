// Reports that wait for the webhook or were refused by it, and the buttons to resend them.

import { call, may } from "./api.js";
import { $, h, icon, redraw, setHidden, setText } from "./dom.js";
import { deliveryState } from "./deliverywords.js";
import { inWords, sentences } from "./failures.js";
import { reportWord } from "./eventwords.js";
import { t, textOf } from "./i18n.js";
import { inOrder } from "./inorder.js";
import { complain, tell } from "./notices.js";
import { path } from "./paths.js";
import { isUp } from "./states.js";
import { accounts, listen, once } from "./store.js";
import { moment } from "./times.js";
import { answerWords, exactly } from "./words.js";

const MOST = 100;
// The other side of a message.
function whoOf({ direction, sender, receiver, group }) {
  if (!direction) return "";
  return ` · ${direction === "out" ? (group ?? receiver) : [sender, group].filter(Boolean).join(" @ ")}`;
}

function hideButtons() {
  setHidden($("replay-dead"), true);
  setHidden($("ack-dead"), true);
}

export function deliveriesTab(name) {
  const ending = new AbortController();
  const { signal } = ending;
  const asked = inOrder();
  let counts = null;

  async function load() {
    const isNew = asked();
    try {
      const answer = await call("GET", path`v1/accounts/${name}/deliveries`.query({ limit: MOST }), { signal });
      if (isNew()) show(answer);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      setText($("deliveries-note"), inWords(problem));
      hideButtons();
      $("deliveries").replaceChildren();
    }
  }

  function show(answer) {
    const { to, held, pending, dead, unacknowledged, deliveries } = answer;
    const error = textOf(answer, "last_error");
    const all = pending + held + dead;
    const none = to ? t("No undelivered reports.") : t("The account has no webhook: nothing is delivered.");
    const words = all ? t("Undelivered: {pending}, dead letters: {dead}.", { pending: pending + held, dead }) : none;
    const failure = error && pending ? t("Last failure: {error}", { error }) : "";
    const attempt = to && answer.last_attempt;
    const last = attempt && t("Last attempt: {answer}", { answer: answerWords(attempt) });
    setText($("deliveries-note"), sentences(words, failure, last));
    setHidden($("replay-dead"), !dead || !may("control"));
    setHidden($("ack-dead"), !unacknowledged || !may("control"));
    // Accounts have one receiver today; grouping by receiver allows for more.
    const groups = Map.groupBy(deliveries, (one) => one.to ?? to ?? "");
    redraw($("deliveries"), [...groups].map(([receiver, ones]) => group(receiver, ones)));
  }

  function group(receiver, ones) {
    const waiting = ones.filter(({ state }) => state !== "dead").length;
    const dead = ones.length - waiting;
    const counts = [waiting && t("{n} undelivered", { n: waiting }), dead && t("{n} dead", { n: dead })];
    const head = h("h2", {}, receiver || t("no webhook"), " ", h("small", {}, counts.filter(Boolean).join(" · ")));
    return h("section", { className: "receiver" }, head, h("ol", { className: "lines" }, ...ones.map(item)));
  }

  function item(delivery) {
    const { id, time, type, state, lane, attempts, next_at: next } = delivery;
    const error = textOf(delivery, "last_error");
    const [tone, word] = deliveryState(state);
    // A report that was never tried is next in the queue, so there is nothing to resend.
    const hidden = !attempts || !may("control");
    const again = h("button", { type: "button", "data-action": "replay", hidden }, icon("restart"));
    again.append(state === "dead" ? t("Send again") : t("Try now"));
    again.addEventListener("click", () => replay({ ids: [id] }, again));
    const className = `state ${tone}`;
    const tried = attempts ? t("Tries: {n}", { n: attempts }) : t("Not tried yet");
    const aside = lane === "retry" ? t("in the retry lane: later reports do not wait for it") : "";
    const later = next ? t("next try: {when}", { when: moment(next) }) : "";
    return h(
      "li",
      { "data-id": id },
      icon(state === "dead" ? "warning" : "deliveries"),
      h("time", { title: exactly(time) }, moment(time)),
      h("span", { className: "what" }, reportWord(type), whoOf(delivery), " ", h("span", { className }, word)),
      again,
      h("small", {}, [tried, error, aside, later].filter(Boolean).join(" · ")),
    );
  }

  const replay = (which, button) =>
    change("replay", which, button, ({ replayed }) => t("{n} are sent again.", { n: replayed }));

  async function change(verb, which, button, done) {
    button.disabled = true;
    try {
      tell(done(await call("POST", path`v1/accounts/${name}/deliveries/${verb}`, { json: which, signal })));
      await load();
    } catch (problem) {
      if (problem.name !== "AbortError") complain(problem);
    } finally {
      button.disabled = false;
    }
  }

  $("deliveries").replaceChildren();
  hideButtons();
  setText($("deliveries-note"), t("Deliveries are shown once the account runs."));
  $("replay-dead").addEventListener("click", () => replay({ state: "dead" }, $("replay-dead")), { signal });
  $("ack-dead").addEventListener(
    "click",
    () =>
      change("ack", { state: "dead" }, $("ack-dead"), ({ acknowledged }) =>
        t("{n} dead letter is acknowledged.", { n: acknowledged }, "{n} dead letters are acknowledged."),
      ),
    { signal },
  );
  // The stream only signals a change; the deliveries are fetched.
  const stop = listen(({ names }) => {
    if (!names.has(name) || counts === null) return;
    const { undelivered, dead, tries } = accounts.get(name).activity ?? {};
    const now = `${undelivered} ${dead} ${tries}`;
    if (now !== counts && isUp(accounts.get(name))) load();
    counts = now;
  });
  const waiting = once(name, isUp, () => {
    counts = "";
    load();
  });
  return () => {
    ending.abort();
    waiting();
    stop();
  };
}
