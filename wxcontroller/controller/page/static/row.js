// One account's line in the list: made once, then changed where it differs.

import { act, isBusy, possible } from "./actions.js";
import { reasonOf } from "./advice.js";
import { h, setClass, setHidden, setText } from "./dom.js";
import { t } from "./i18n.js";
import { openScan } from "./login-view.js";
import { badge, desiredWord, groupsOf, unitWord, webhookFails } from "./states.js";
import { ago, count, exactly, size } from "./words.js";

export function rowOf(account) {
  const link = h("a", { href: `#/a/${encodeURIComponent(account.name)}` });
  const user = h("small");
  const state = h("span");
  const reason = h("small");
  const since = h("span");
  const unit = h("span");
  const desired = h("small");
  const last = h("span");
  const queued = h("span");
  const undelivered = h("span");
  const dead = h("small", { className: "bad" });
  const memory = h("span");
  const buttons = {
    scan: button("scan", t("Scan"), "main"),
    digits: button("digits", t("Enter digits"), "main"),
    start: button("start", t("Start")),
    stop: button("stop", t("Stop")),
    restart: button("restart", t("Restart")),
  };
  const cell = (label, className, ...children) =>
    h("td", { role: "cell", className, "data-label": label }, ...children);
  const element = h(
    "tr",
    { role: "row" },
    h("th", { scope: "row", role: "rowheader" }, link, user),
    cell(t("State"), "wide", state, reason),
    cell(t("Since"), "short", since),
    cell(t("Unit"), "short", unit, desired),
    cell(t("Last message"), "short", last),
    cell(t("To send"), "number", queued),
    cell(t("Undelivered"), "number", undelivered, dead),
    cell(t("Memory"), "number", memory),
    h("td", { role: "cell", className: "actions" }, ...Object.values(buttons)),
  );
  element.dataset.account = account.name;
  const row = { element, account, key: searchKey(account), groups: new Set(), update, tick, touch };

  function button(action, text, className = "") {
    const made = h("button", { type: "button", className, textContent: text, "data-action": action });
    made.setAttribute("aria-label", `${text}: ${account.name}`);
    const opens = action === "scan" || action === "digits";
    made.addEventListener("click", () => (opens ? openScan(account.name) : act(account.name, action)));
    return made;
  }

  function update(now) {
    row.account = now;
    row.key = searchKey(now);
    row.groups = groupsOf(now);
    setText(link, now.name);
    setText(user, now.user?.name ?? (now.instance === now.name ? "" : now.instance));
    const [className, word] = badge(now);
    setClass(state, className);
    setText(state, word);
    setText(reason, reasonOf(now));
    setText(unit, unitWord(now));
    setText(desired, desiredWord(now));
    const { queued: waiting, undelivered: late, dead: lost, memory: bytes } = now.activity ?? {};
    setText(queued, count(waiting));
    setText(undelivered, count(late));
    setText(dead, lost ? t("{n} dead", { n: lost }) : "");
    setText(memory, size(bytes));
    setClass(queued.parentElement, waiting ? "number" : "number none");
    setClass(undelivered, webhookFails(now) ? "attention" : "");
    setClass(undelivered.parentElement, late || lost ? "number" : "number none");
    setClass(memory.parentElement, bytes ? "number" : "number none");
    tick();
    touch();
  }

  // Times go by without any news.
  function tick() {
    const { since: began, activity } = row.account;
    setText(since, ago(began));
    since.title = exactly(began);
    setText(last, ago(activity?.last_message));
    setClass(since.parentElement, began ? "short" : "short none");
    setClass(last.parentElement, activity?.last_message ? "short" : "short none");
    last.title = exactly(activity?.last_message);
  }

  // A button that goes away under the keyboard hands the focus to its neighbour.
  function touch() {
    const can = possible(row.account);
    const focused = Object.values(buttons).find((each) => each === document.activeElement);
    for (const [action, each] of Object.entries(buttons)) {
      setHidden(each, !can[action]);
      if (each.disabled !== isBusy(account.name)) each.disabled = isBusy(account.name);
    }
    if (focused && (focused.hidden || focused.disabled)) {
      (Object.values(buttons).find((each) => !each.hidden && !each.disabled) ?? link).focus();
    }
  }

  update(account);
  return row;
}

const searchKey = ({ name, instance, user }) => `${name}\n${instance}\n${user?.name ?? ""}`.toLowerCase();
