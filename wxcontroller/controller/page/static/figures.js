// The four key figures of an account: messages, sends, webhook and last minutes.

import { h, setClass, setText } from "./dom.js";
import { beatsBar, beatsWords } from "./graphics.js";
import { t, textOf } from "./i18n.js";
import { isAway, isUp } from "./states.js";
import { ago, answerWords, count } from "./words.js";

// Fill an element; return show(account).
export function figures(place) {
  const beats = beatsBar();
  const cards = {
    messages: card(t("Messages in 24 hours")),
    sends: card(t("Sends")),
    webhook: card(t("Webhook")),
    minutes: card(t("Last 50 minutes")),
  };
  cards.minutes.value.replaceWith(beats.element);
  place.replaceChildren(...Object.values(cards).map(({ element }) => element));

  return function show(account) {
    const { activity, hourly_messages: hours, heartbeats } = account;
    const last = activity?.last_message;
    const counted = hours && hours.reduce((one, other) => one + other, 0); // up to a minute ago
    const sum = count(activity?.messages_24h ?? counted);
    fill(cards.messages, sum, lastWords(ago(last), sum));
    fill(cards.sends, ...sendsOf(account));
    fill(cards.webhook, ...webhookOf(account));
    beats.show(heartbeats ?? "");
    setText(cards.minutes.more, heartbeats ? beatsWords(heartbeats) : unknown(account));
  };
}

function card(label) {
  const value = h("b");
  const more = h("small");
  return { element: h("div", { className: "figure" }, h("small", {}, label), value, more), value, more };
}

function fill({ value, more }, text, below, tone = "") {
  setText(value, text);
  setClass(value, tone);
  setText(more, below);
  more.title = below;
}

const unknown = (account) => (isUp(account) || isAway(account) ? t("not known yet") : t("no process"));

function lastWords(when, sum) {
  if (when === "–") return sum === "0" ? t("none yet") : "";
  return when === t("now") ? t("last one just now") : t("last one {ago}", { ago: when });
}

function sendsOf(account) {
  const { activity } = account;
  if (!activity) return ["–", unknown(account)];
  const { queued, held } = activity;
  if (held) return [t("{n} held", { n: held }), t("the conversation shows why"), "attention"];
  if (queued) return [t("{n} waiting", { n: queued }), t("sent at the account's pace")];
  return [t("none waiting"), t("all sent")];
}

function webhookOf({ post_api: address, activity, advice }) {
  if (!address) return [t("none"), t("nothing is delivered")];
  const where = address.replace(/^https?:\/\//, "");
  if (!activity) return ["–", where];
  const { undelivered, dead } = activity;
  if (advice?.code === "webhook-failing") return [t("failing"), textOf(activity, "delivery_error") || where, "bad"];
  if (dead) return [t("{n} dead letter", { n: dead }, "{n} dead letters"), where, "bad"];
  if (undelivered) return [t("{n} undelivered", { n: undelivered }), where, "attention"];
  const last = activity.last_attempt;
  const fine = last && last.status >= 200 && last.status < 300;
  return fine ? [answerWords(last), `${where} · ${t("up to date")}`] : [t("up to date"), where];
}
