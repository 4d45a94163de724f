// Undelivered reports and dead letters of all accounts.

import { call, may } from "./api.js";
import { $, h, icon, labelCells, redraw, setHidden, setText } from "./dom.js";
import { inWords } from "./failures.js";
import { t, textOf } from "./i18n.js";
import { inOrder } from "./inorder.js";
import { complain, tell } from "./notices.js";
import { path, placeOf } from "./paths.js";
import { accounts, listen } from "./store.js";
import { ago, answerWords } from "./words.js";

let ending = null;
let stop = () => {};
let counts = null;
const asked = inOrder();

async function load() {
  const { signal } = ending;
  const isNew = asked();
  try {
    const { accounts: rows } = await call("GET", path`v1/deliveries`, { signal });
    if (isNew()) show(rows);
  } catch (problem) {
    if (problem.name !== "AbortError") setText($("all-deliveries-note"), inWords(problem));
  }
}

function show(rows) {
  const told = rows.filter(({ to, pending, held, dead }) => to && pending + held + dead > 0);
  told.sort((one, other) => other.dead - one.dead || other.pending - one.pending);
  redraw($("all-deliveries"), told.map(row));
  labelCells($("all-deliveries").closest("table"));
  const fine = rows.filter(({ to }) => to).length - told.length;
  const others = fine ? t("Other webhooks, with no undelivered reports: {n}", { n: fine }) : "";
  setText($("all-deliveries-note"), told.length ? others : t("No undelivered reports."));
  setHidden($("all-deliveries-table"), !told.length);
}

function row(one) {
  const { account, to, pending, held, dead, unacknowledged, oldest_since: oldest, last_attempt: last } = one;
  const error = textOf(one, "last_error");
  const buttons = [
    dead && button("replay", "restart", t("Send dead letters again"), () => change(account, "replay")),
    unacknowledged && button("ack", "check", t("Acknowledge"), () => change(account, "ack")),
  ];
  return h(
    "tr",
    { "data-id": account },
    h("th", { scope: "row" }, h("a", { href: placeOf(account, "deliveries") }, account)),
    h("td", {}, to, error ? h("small", { className: "bad" }, error) : last && h("small", {}, answerWords(last))),
    h("td", { className: "number" }, pending + held ? String(pending + held) : ""),
    h("td", { className: "number bad" }, dead ? String(dead) : ""),
    h("td", { className: "number" }, oldest ? ago(oldest) : ""),
    h("td", { className: "number" }, ...(may("control") ? buttons.filter(Boolean) : [])),
  );
}

function button(action, drawing, text, work) {
  const made = h("button", { type: "button", "data-action": action }, icon(drawing), text);
  made.addEventListener("click", () => {
    made.disabled = true;
    work();
  });
  return made;
}

async function change(name, verb) {
  try {
    const target = path`v1/accounts/${name}/deliveries/${verb}`;
    const { replayed, acknowledged } = await call("POST", target, { json: { state: "dead" } });
    tell(
      verb === "replay"
        ? t("{n} are sent again.", { n: replayed })
        : t("{n} dead letter is acknowledged.", { n: acknowledged }, "{n} dead letters are acknowledged."),
    );
  } catch (problem) {
    complain(problem);
  }
  await load();
}

// The stream of accounts only signals a change; the deliveries are fetched.
function news() {
  const now = [...accounts.values()].map(({ activity }) => `${activity?.undelivered} ${activity?.dead}`).join();
  if (now !== counts) load();
  counts = now;
}

export const deliveriesView = {
  open() {
    ending = new AbortController();
    counts = null;
    stop = listen(news);
    news();
    return t("Deliveries");
  },
  close() {
    ending.abort();
    stop();
  },
};
