// The page of one account: state, actions and tabs.

import { act, offer, onBusy } from "./actions.js";
import { adviceOf, shownState } from "./advice.js";
import { may } from "./api.js";
import { consentButton } from "./consent.js";
import { $, h, setClass, setHidden, setText } from "./dom.js";
import { deliveriesTab } from "./deliveries.js";
import { eventsTab } from "./events.js";
import { drawnFace, faceOf, nickname } from "./face.js";
import { figures } from "./figures.js";
import { t } from "./i18n.js";
import { journalTab } from "./journal.js";
import { loginView } from "./login-view.js";
import { openMenu } from "./menu.js";
import { optionsTab } from "./options.js";
import { peopleTab } from "./people.js";
import { routeName } from "./routes.js";
import { desiredWord, isThere, isUp, unitWords } from "./states.js";
import { accounts, listen } from "./store.js";
import { setUpTabs } from "./tabs.js";
import { timeOf } from "./times.js";
import { ago, count, exactly, size } from "./words.js";

const TABS = {
  chats: peopleTab,
  events: eventsTab,
  deliveries: deliveriesTab,
  options: optionsTab,
  journal: journalTab,
};
const LOGGING_IN = new Set(["init", "loading", "scanning", "confirming", "updating"]);
let name = null;
let face = null;
let showFigures = () => {};
let isUndecided = false; // the first tab depends on the account's state
let endTab = () => {};
let endLogin = null;
let chooseTab;
let wantedChat = "";

export function setUpAccount() {
  chooseTab = setUpTabs(document.querySelector("#account .tabs"), (id) => {
    endTab();
    endTab = name === null ? () => {} : TABS[id](name, wantedChat);
    wantedChat = "";
  });
  $("account-actions").addEventListener("click", async (event) => {
    const action = event.target.closest("button")?.dataset.action;
    if (!action) return;
    await act(name, action);
  });
  $("account-more").addEventListener("click", () => openMenu($("account-more"), name));
  listen(({ names, gone, all }) => {
    if (name !== null && (all || names.has(name) || gone.includes(name))) show();
  });
  onBusy((which) => which === name && show());
  setInterval(() => name !== null && show(), 15_000);
}

export const accountView = { open: openAccount, close: closeAccount };

function openAccount(which, tab = "", chat = "") {
  name = which;
  wantedChat = chat;
  setText($("account-name"), which);
  face = faceOf(drawnFace("large"));
  $("account-face").replaceChildren(face.element);
  showFigures = figures($("figures"));
  const isGiven = tab in TABS;
  isUndecided = !isGiven;
  show({ opened: true });
  if (isGiven) chooseTab(tab); // after show(): scrolling needs a visible tab
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

function show({ opened = false } = {}) {
  const account = accounts.get(name);
  setHidden($("account-gone"), Boolean(account));
  setHidden($("account-body"), !account);
  const { tone, word } = account ? shownState(account) : { tone: "", word: "" };
  setClass($("account-state"), tone && `state ${tone}`);
  setText($("account-state"), word);
  setText($("account-about"), account ? aboutOf(account) : "");
  if (account) face.show(account);
  const wasMore = document.activeElement === $("account-more");
  setHidden($("account-more"), !account || !may("control"));
  const lost = offer($("account-actions").querySelectorAll("[data-action]"), account, { opened });
  if (lost || (wasMore && $("account-more").hidden)) $("account-name").focus();
  if (!account) return;
  if (isUndecided) {
    isUndecided = false;
    chooseTab(isThere(account) ? "chats" : "events");
  }
  showAdvice(account);
  showLogin(account);
  showFigures(account);
  showFacts(account);
}

function aboutOf(account) {
  const { driver, since } = account;
  const day = since && Date.now() / 1000 - since > 86_400 ? exactly(since) : since && timeOf(since);
  const began = day && t("since {when}", { when: day });
  return [nickname(account), routeName(driver), account.host, began].filter(Boolean).join(" · ");
}

function showAdvice(account) {
  const advice = adviceOf(account);
  const { tab: where, remedy } = advice;
  const text = remedy || !logsIn(account) ? advice.text : ""; // otherwise it is shown next to the code
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
    ["queued", t("Waiting to send"), count(activity?.queued), ""],
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
