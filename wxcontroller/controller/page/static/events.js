// Events of an account, newest first. Message texts are hidden until requested.

import { call } from "./api.js";
import { $, h, icon, setText } from "./dom.js";
import { inWords } from "./failures.js";
import { followed } from "./following.js";
import { eventWords, kindWord } from "./eventwords.js";
import { t } from "./i18n.js";
import { path } from "./paths.js";
import { DOWN, isUp } from "./states.js";
import { accounts, once } from "./store.js";
import { clock, dayOf } from "./times.js";
import { exactly, lasted } from "./words.js";

const HISTORY = 50;
const MOST = 200;

// Fill a list with events, newest first and without duplicates. head(event) returns what follows the time.
export function eventList(place, head = () => []) {
  const seen = new Set();
  place.replaceChildren();

  function insert(event) {
    if (seen.has(event.id)) return;
    seen.add(event.id);
    const item = line(event);
    item.querySelector("time").after(...head(event));
    const { at } = item.dataset;
    const after = [...place.children].find((each) => Number(each.dataset.at) < Number(at));
    place.insertBefore(item, after ?? null);
  }

  function add(...events) {
    events.forEach(insert);
    const items = place.querySelectorAll("[data-at]");
    for (const each of [...items].slice(MOST)) each.remove();
    arrange(place);
    while (seen.size > 2 * MOST) seen.delete(seen.values().next().value);
  }

  return { add, isEmpty: () => !seen.size };
}

export function eventsTab(name) {
  const ending = new AbortController();
  const { signal } = ending;
  const list = eventList($("events"));
  let beginning = () => {};

  // The stream has only new events. Earlier ones are fetched once it is open, so that none is missed in between.
  async function history() {
    const events = await eventsBefore(name, HISTORY, signal);
    list.add(...events);
    setText($("events-note"), list.isEmpty() ? t("Nothing has happened yet.") : "");
  }

  function take({ type, data }) {
    if (type !== "heartbeat") list.add(data);
    if (!list.isEmpty()) setText($("events-note"), "");
  }

  function opened() {
    beginning();
    beginning = once(name, isUp, () => history().catch(explain));
  }

  function explain(problem) {
    if (problem.name === "AbortError" || signal.aborted) return;
    if (!list.isEmpty()) return; // the events shown are still valid
    setText($("events-note"), inWords(problem));
  }

  const up = isUp(accounts.get(name) ?? DOWN);
  setText($("events-note"), up ? t("Loading…") : t("Earlier events are shown once the account runs."));
  $("show-texts").checked = false;
  const toggle = () => $("events").classList.toggle("open", $("show-texts").checked);
  toggle();
  $("show-texts").addEventListener("change", toggle, { signal });
  followed(path`v1/events`.query({ account: name }), { signal, opened, take, explain });
  return () => {
    ending.abort();
    beginning();
  };
}

// Return the last events of an account.
export async function eventsBefore(name, most, signal) {
  const target = path`v1/accounts/${name}/events`;
  const { last } = await call("GET", target.query({ limit: 1 }), { signal });
  const after = Math.max(0, last - most);
  return (await call("GET", target.query({ after, limit: most }), { signal })).events;
}

// An event that is too long for the stream has no time.
function line({ account, time = Date.now() / 1000, stamp = time * 1e6, report }) {
  const isEvent = report.post_type === "event";
  const content = isEvent ? [h("span", { className: "what" }, eventWords(report))] : message(report);
  const item = h("li", {}, icon(iconOf(report)), h("time", { title: exactly(time) }, clock(time)), ...content);
  item.dataset.at = stamp;
  item.dataset.time = time;
  item.dataset.account = account;
  item.dataset.login = isEvent ? partOf(report) : "";
  if (isEvent) item.dataset.words = eventWords(report);
  return item;
}

// The part of a login that an event is. A login has many events, which are folded into the newest one: the account
// runs, or the reason why it does not.
function partOf({ event, params: [first, second] = [] }) {
  if (event === "state_change") return second === "running" ? "running" : "step";
  if (event === "login") return Number(first) < 0 ? "end" : "done";
  if (event === "stop") return "end";
  return event === "input_qrcode" ? "step" : "";
}

const ICONS = { login: "check", stop: "stop", state_change: "health", input_qrcode: "code" };

function iconOf(report) {
  const { post_type: type, event, class: way } = report;
  if (type !== "event") return way === "send" ? "send" : "conversations";
  const part = partOf(report);
  if (part === "running") return "check";
  if (part === "end" && event === "login") return "warning";
  return ICONS[event] ?? (event.includes("group") || event.includes("friend") ? "accounts" : "events");
}

// Insert date separators, and fold the steps of a login or a stop into the newest line.
function arrange(list) {
  for (const each of list.querySelectorAll(".day")) each.remove();
  const heads = new Map(); // by account, the line into which older steps fold
  const folds = new Map();
  let day = "";
  for (const item of [...list.children]) {
    const { account, login, time } = item.dataset;
    const now = dayOf(Number(time));
    if (now !== day) {
      item.before(h("li", { className: "day" }, now));
      heads.clear();
      day = now;
    }
    const head = login === "step" || login === "done" ? heads.get(account) : null;
    item.classList.toggle("step", Boolean(head));
    if (login) folds.set(item, []); // a line that was a head before may no longer be one
    if (head) folds.get(head).push(item);
    else heads.set(account, login ? item : null);
  }
  for (const [item, steps] of folds) fold(item, steps);
}

const folded = new WeakMap(); // the folded steps of a line

function fold(item, steps) {
  folded.set(item, steps);
  setText(item.querySelector(".what"), wordsOf(item, steps));
  let button = item.querySelector(".steps-shown");
  if (!steps.length) return button?.remove();
  const show = (on) => folded.get(item).forEach((step) => step.classList.toggle("shown", on));
  if (!button) {
    button = h("button", { type: "button", className: "plain steps-shown", "aria-expanded": "false" });
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-expanded") === "false";
      button.setAttribute("aria-expanded", String(on));
      show(on);
    });
    item.append(button);
  }
  show(button.getAttribute("aria-expanded") === "true");
  const n = steps.length;
  setText(button, t("{n} more step", { n }, "{n} more steps"));
}

// Return the words for a line with its steps, such as "Logged in by a scan · 12 s".
function wordsOf({ dataset: { words, login, time: end } }, steps) {
  if (login !== "running" || !steps.length) return words;
  const time = lasted(Number(end) - Number(steps.at(-1).dataset.time));
  const done = steps.find(({ dataset }) => dataset.login === "done");
  return done ? `${done.dataset.words} · ${time}` : t("Running again after {time}", { time });
}

function message(report) {
  const sent = report.class === "send";
  const where = report.group_id ? report.group : "";
  const who = sent ? where || report.receiver : [report.sender, where].filter(Boolean).join(" @ ");
  const failed = sent && report.code !== "" && report.code !== undefined;
  const why = report.info ? t("Not sent: {why}", { why: report.info }) : t("not sent");
  const way = h("span", { className: "unseen" }, sent ? t("sent to") : t("received from"), " ");
  const kind = kindWord(report.format);
  const head = h(
    "span",
    { className: "what" },
    h("b", {}, sent ? "→ " : "← ", way),
    who ?? "",
    kind && h("small", { className: "kind" }, ` ${kind}`),
    failed ? h("small", { className: "bad" }, ` ${why}`) : "",
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
