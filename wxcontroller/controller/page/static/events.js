// What happens to an account, the newest first. Texts of messages are hidden until somebody asks for them.

import { call, pathOf } from "./api.js";
import { $, h, setText } from "./dom.js";
import { followed } from "./following.js";
import { t } from "./i18n.js";
import { say } from "./said.js";
import { DOWN, isUp, stateWord } from "./states.js";
import { accounts, once } from "./store.js";
import { exactly, inWords, moment } from "./words.js";

const HISTORY = 50;
const MOST = 200;

export function eventsTab(name) {
  const ending = new AbortController();
  const { signal } = ending;
  const seen = new Set();
  let beginning = () => {};

  function add(event) {
    if (seen.has(event.id)) return;
    seen.add(event.id);
    const item = line(event);
    const after = [...$("events").children].find((each) => Number(each.dataset.seq) < event.seq);
    $("events").insertBefore(item, after ?? null);
    while ($("events").children.length > MOST) $("events").lastElementChild.remove();
    while (seen.size > 2 * MOST) seen.delete(seen.values().next().value);
  }

  // The stream begins with now; what was before is asked for once it is open, so that nothing falls between.
  async function history() {
    const path = pathOf(name, "events");
    const { last } = await call("GET", `${path}?limit=1`, { signal });
    const { events } = await call("GET", `${path}?after=${Math.max(0, last - HISTORY)}&limit=${HISTORY}`, { signal });
    for (const event of events) add(event);
    setText($("events-note"), events.length || seen.size ? "" : t("Nothing has happened yet."));
  }

  function take({ type, data }) {
    if (type !== "heartbeat") add(data);
    if (seen.size) setText($("events-note"), "");
  }

  function opened() {
    beginning();
    beginning = once(name, isUp, () => history().catch(explain));
  }

  function explain(problem) {
    if (problem.name === "AbortError" || signal.aborted) return;
    if (seen.size) return; // what is shown is still true
    setText($("events-note"), inWords(problem));
  }

  $("events").replaceChildren();
  setText($("events-note"), isUp(accounts.get(name) ?? DOWN) ? t("Loading…") : t("What was before is told once the account runs."));
  $("show-texts").checked = false;
  const toggle = () => $("events").classList.toggle("open", $("show-texts").checked);
  toggle();
  $("show-texts").addEventListener("change", toggle, { signal });
  followed(`v1/events?account=${encodeURIComponent(name)}`, { signal, opened, take, explain });
  return () => {
    ending.abort();
    beginning();
  };
}

function line({ seq, time, report }) {
  const item = h("li", {}, h("time", { title: exactly(time) }, moment(time)), ...(report.post_type === "event" ? happening(report) : message(report)));
  item.dataset.seq = seq;
  return item;
}

const HAPPENINGS = {
  login: ([how]) => ({ 1: t("Logged in by a scan"), 0: t("Logged in by the stored session"), "-1": t("WeChat refused the login") })[how],
  stop: () => t("Stopped"),
  state_change: ([from, to]) => t("State: {from} → {to}", { from: stateWord(from), to: stateWord(to) }),
  input_qrcode: () => t("A QR code was shown"),
  new_friend: ([who]) => t("New friend: {who}", { who: nameOf(who) }),
  lose_friend: ([who]) => t("Friend lost: {who}", { who: nameOf(who) }),
  new_group: ([which]) => t("New group: {which}", { which: nameOf(which) }),
  lose_group: ([which]) => t("Group left: {which}", { which: nameOf(which) }),
  new_group_member: ([who, which]) => t("{who} joined {which}", { who: nameOf(who), which: nameOf(which) }),
  lose_group_member: ([who, which]) => t("{who} left {which}", { who: nameOf(who), which: nameOf(which) }),
  friend_request: ([, who]) => t("{who} wants to be a friend", { who }),
};

const nameOf = (one) => one?.displayname || one?.name || "?";

function happening({ event, params }) {
  const words = HAPPENINGS[event]?.(params ?? []) ?? t("Event: {event}", { event });
  return [h("span", { className: "what" }, words)];
}

function message(report) {
  const sent = report.class === "send";
  const where = report.group_id ? report.group : "";
  const who = sent ? where || report.receiver : [report.sender, where].filter(Boolean).join(" @ ");
  const failed = sent && report.code !== "" && report.code !== undefined;
  const head = h(
    "span",
    { className: "what" },
    h("b", {}, sent ? "→ " : "← ", h("span", { className: "unseen" }, sent ? t("sent to") : t("received from"), " ")),
    who ?? "",
    report.format && report.format !== "text" ? h("small", { className: "kind" }, ` ${report.format}`) : "",
    failed ? h("small", { className: "bad" }, ` ${report.info ? t("Not sent: {why}", { why: say(report.info) }) : t("not sent")}`) : "",
  );
  const text = h("span", { className: "text" }, report.content ?? "");
  const open = h("button", { type: "button", className: "plain", "aria-expanded": "false" }, t("Show text"));
  open.addEventListener("click", () => {
    const on = text.classList.toggle("open");
    open.setAttribute("aria-expanded", String(on));
    setText(open, on ? t("Hide text") : t("Show text"));
  });
  return [head, open, text];
}
