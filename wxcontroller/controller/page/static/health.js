// Health: accounts in trouble, and the controller's checks of itself.

import { adviceOf, lineOf, shownState } from "./advice.js";
import { call } from "./api.js";
import { $, h, redraw, setText } from "./dom.js";
import { inWords } from "./failures.js";
import { sentence, t, table, textOf } from "./i18n.js";
import { complain } from "./notices.js";
import { orderOf } from "./order.js";
import { path, placeOf } from "./paths.js";
import { groupsOf, oldCodeOf } from "./states.js";
import { accounts, listen } from "./store.js";
import { lasted } from "./words.js";

let ending = null;
let stop = () => {};

// Return one line: tone, subject, finding, and the remedy below.
function check(tone, what, found, remedy = "") {
  const more = remedy && h("small", {}, remedy);
  return h("li", {}, h("span", { className: `state ${tone}` }, what), h("span", {}, found, more));
}

const noticed = (text) => check("attention", t("Notice"), sentence(text));

async function controller(signal) {
  const [health, units, alerts] = await Promise.all(
    [path`v1/health`, path`v1/health/units`, path`v1/alerts`].map((target) => call("GET", target, { signal })),
  );
  const version = t("version {version}, running for {time}", { ...health, time: lasted(health.uptime) });
  const wrong = textOf(health.settings, "error");
  const asked = units.may_act ? t("It starts and stops accounts for the controller.") : units.reason;
  const channels = Object.keys(alerts.channels).length;
  return [
    check("good", t("Controller"), sentence(version)),
    check(wrong ? "bad" : "good", t("Settings"), sentence(wrong) || t("All settings are in effect.")),
    check(units.may_act ? "good" : "bad", t("systemd"), asked),
    channels
      ? check("good", t("Alerts"), t("Alert channels: {n}", { n: channels }))
      : check("attention", t("Alerts"), t("No alert channel is configured."), "man wxcontroller.toml"),
    ...health.notices_text.map((text) => textOf({ notice_text: text }, "notice")).map(noticed),
  ];
}

async function load() {
  let lines;
  try {
    lines = await controller(ending.signal);
  } catch (problem) {
    if (problem.name === "AbortError") return;
    lines = [check("bad", t("Controller"), inWords(problem))];
  }
  $("health-controller").replaceChildren(...lines);
}

// The checks of wxctl doctor that the controller cannot make.
async function name() {
  const checks = await table("checks");
  const capital = (text) => text[0].toUpperCase() + text.slice(1);
  $("health-root").replaceChildren(...checks.map((one) => check("off", ...one.map(capital))));
}

function show() {
  const rows = [...accounts.values()];
  const troubled = rows.filter((account) => groupsOf(account).has("attention"));
  troubled.sort((one, other) => orderOf({ account: other }) - orderOf({ account: one }));
  const old = rows.filter((account) => oldCodeOf(account) && !troubled.includes(account));
  redraw($("health-accounts"), [...troubled.map(trouble), ...old.map(older)]);
  const fine = rows.length - troubled.length - old.length;
  const others = t(
    "{n} other account needs no attention.",
    { n: fine },
    "{n} other accounts need no attention.",
  );
  const words = troubled.length ? fine && others : t("No account needs attention.");
  setText($("health-note"), rows.length ? words || "" : t("No account yet"));
}

function trouble(account) {
  const { text, remedy } = adviceOf(account);
  return line(account, text || lineOf(account), remedy);
}

// An account that runs an older version than is installed.
function older(account) {
  const issue = oldCodeOf(account);
  return line(account, ...["message", "remedy"].map((name) => sentence(textOf(issue, name))));
}

function line(account, text, remedy) {
  const { tone, word } = shownState(account);
  const className = `state ${tone}`;
  const link = h("a", { href: placeOf(account.name) }, account.name);
  const more = remedy && h("small", {}, remedy);
  const found = h("span", {}, text, more);
  return h("li", { className: "of-account" }, h("span", {}, link), h("span", { className }, word), found);
}

export const healthView = {
  open() {
    ending = new AbortController();
    stop = listen(show);
    show();
    load();
    name().catch(complain);
    return t("Health");
  },
  close() {
    ending.abort();
    stop();
  },
};
