// One account's own page: how it is, what can be done, and its tabs.

import { act, isBusy, onBusy, possible } from "./actions.js";
import { adviceOf } from "./advice.js";
import { consentButton } from "./consent.js";
import { $, h, setClass, setHidden, setText } from "./dom.js";
import { deliveriesTab } from "./deliveries.js";
import { eventsTab } from "./events.js";
import { t } from "./i18n.js";
import { journalTab } from "./journal.js";
import { loginView } from "./login-view.js";
import { optionsTab } from "./options.js";
import { peopleTab } from "./people.js";
import { routeName } from "./routes.js";
import { sendsTab } from "./sends.js";
import { badge, desiredWord, isUp, unitWords } from "./states.js";
import { accounts, listen } from "./store.js";
import { setUpTabs } from "./tabs.js";
import { ago, count, exactly, size } from "./words.js";

const TABS = {
  events: eventsTab,
  people: peopleTab,
  sends: sendsTab,
  deliveries: deliveriesTab,
  journal: journalTab,
  options: optionsTab,
};
const LOGGING_IN = new Set(["init", "loading", "scanning", "confirming", "updating"]);
let name = null;
let tab = "events";
let endTab = () => {};
let endLogin = null;
let chooseTab;

export function setUpAccount() {
  chooseTab = setUpTabs(document.querySelector("#account .tabs"), (id) => {
    tab = id;
    endTab();
    endTab = name === null ? () => {} : TABS[id](name);
  });
  $("account-actions").addEventListener("click", async (event) => {
    const action = event.target.closest("button")?.dataset.action;
    if (!action) return;
    if ((await act(name, action)) && action === "remove") location.hash = "#/";
  });
  listen(({ names, gone, all }) => {
    if (name !== null && (all || names.has(name) || gone.includes(name))) show();
  });
  onBusy((which) => which === name && show());
  setInterval(() => name !== null && show(), 15_000);
}

// The view of an account: what main.js shows.
export const accountView = { open: openAccount, close: closeAccount };

function openAccount(which) {
  name = which;
  setText($("account-name"), which);
  show();
  chooseTab("events");
  $("account-name").focus();
  return which;
}

function closeAccount() {
  name = null;
  endTab();
  endTab = () => {};
  endLogin?.();
  endLogin = null;
}

function show() {
  const account = accounts.get(name);
  setHidden($("account-gone"), Boolean(account));
  setHidden($("account-body"), !account);
  const can = account ? possible(account) : {};
  const [className, word] = account ? badge(account) : ["", ""];
  setClass($("account-state"), className);
  setText($("account-state"), word);
  setText($("account-user"), account?.user?.name ?? "");
  const focused = document.activeElement;
  for (const button of $("account-actions").children) {
    setHidden(button, !can[button.dataset.action]);
    button.disabled = isBusy(name);
  }
  const lost = focused?.parentElement === $("account-actions") && (focused.hidden || focused.disabled);
  if (lost) $("account-name").focus();
  if (!account) return;
  showAdvice(account);
  showLogin(account);
  showFacts(account);
}

function showAdvice(account) {
  const advice = adviceOf(account);
  const { tab: where, remedy } = advice;
  const text = remedy || !logsIn(account) ? advice.text : ""; // else it stands beside the code
  const place = $("account-advice");
  const consent = consentButton(account);
  const content = [text, remedy, where, consent && "consent"].filter(Boolean).join("\n");
  setHidden(place, !content);
  if (place.dataset.content === content) return;
  place.dataset.content = content;
  const focused = place.contains(document.activeElement);
  place.replaceChildren(
    ...[text && h("p", {}, text), where && wayTo(where), remedy && h("p", {}, remedy), consent].filter(Boolean),
  );
  if (focused) $("account-name").focus();
}

function wayTo(where) {
  const button = h("button", { type: "button" }, $(`tab-${where}`).textContent);
  button.addEventListener("click", () => {
    chooseTab(where);
    $(`tab-${where}`).focus();
  });
  return button;
}

const logsIn = (account) => isUp(account) && LOGGING_IN.has(account.login_state);

function showLogin(account) {
  const wanted = logsIn(account);
  setHidden($("account-login"), !wanted);
  if (wanted && !endLogin) endLogin = loginView($("account-login"), name);
  if (!wanted && endLogin) {
    endLogin();
    endLogin = null;
  }
}

function showFacts(account) {
  const { activity } = account;
  const facts = [
    ["unit", t("Unit"), account.unit.replace(/\.service$/, ""), unitWords(account)],
    ["desired", t("Desired"), desiredWord(account), ""],
    ["since", t("In this state since"), ago(account.since), exactly(account.since)],
    ["last", t("Last message"), ago(activity?.last_message), exactly(activity?.last_message)],
    ["queued", t("To send"), count(activity?.queued), ""],
    ["undelivered", t("Undelivered"), count(activity?.undelivered), ""],
    ["dead", t("Dead letters"), count(activity?.dead), ""],
    ["memory", t("Memory"), size(activity?.memory), ""],
    ["hook", t("Webhook"), account.post_api || t("none"), ""],
    ["proxy", t("Proxy"), account.proxy || t("none"), ""],
    ["driver", t("Route"), routeName(account.driver), ""],
    ["port", t("Port"), String(account.port), account.pid ? t("process {pid}", { pid: account.pid }) : ""],
  ];
  const place = $("facts");
  for (const [id, label, value, more] of facts) {
    let fact = place.querySelector(`[data-fact=${id}]`);
    if (!fact) {
      fact = h("div", { "data-fact": id }, h("dt", {}, label), h("dd", {}, h("span"), h("small")));
      place.append(fact);
    }
    setClass(fact, [t("none"), "–", "0"].includes(value) ? "none" : "");
    setText(fact.querySelector("span"), value);
    setText(fact.querySelector("small"), more);
  }
}
