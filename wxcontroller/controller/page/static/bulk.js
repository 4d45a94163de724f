// Acting on several accounts at once: what is selected in the list, and the bar of what can be done to all of it.

import { act, possible } from "./actions.js";
import { call, pathOf, Problem } from "./api.js";
import { $, setHidden, setText } from "./dom.js";
import { wordsOf } from "./failures.js";
import { t } from "./i18n.js";
import { complain, explain, tell } from "./notices.js";
import { accounts } from "./store.js";

// systemd acts on as many units at a time.
const AT_ONCE = 4;
export const selected = new Set();
let changed = () => {};

// changed() when something other than a click on a row has changed what is selected.
export function setUpBulk(whenChanged) {
  changed = whenChanged;
  $("bulk").addEventListener("click", ({ target }) => {
    const action = target.closest("button")?.dataset.action;
    if (action === "clear") select([]);
    else if (action === "webhook") openWebhook();
    else if (action) actOn(action);
  });
  $("bulk-webhook-form").addEventListener("submit", (event) => {
    event.preventDefault();
    setWebhook(event.target.elements.post_api.value.trim());
  });
}

export function select(names) {
  selected.clear();
  for (const name of names) selected.add(name);
  changed();
  showBulk();
}

// Brings the bar up to date: only what can be done to one of them at least is offered.
export function showBulk() {
  for (const name of selected) if (!accounts.has(name)) selected.delete(name);
  setHidden($("bulk"), !selected.size);
  document.body.classList.toggle("selecting", selected.size > 0);
  if (!selected.size) return;
  setText($("bulk-count"), t("{n} selected", { n: selected.size }));
  for (const action of ["start", "stop", "restart"]) {
    setHidden($("bulk").querySelector(`[data-action=${action}]`), !able(action).length);
  }
}

const able = (action) => [...selected].filter((name) => possible(accounts.get(name))[action]);

async function actOn(action) {
  const names = able(action);
  const done = await each(names, (name) => act(name, action, { silent: true }));
  const words = {
    start: t("{n} started.", { n: done }),
    stop: t("{n} stopped.", { n: done }),
    restart: t("{n} restarted.", { n: done }),
  };
  tell(words[action]);
  if (done === names.length) select([]);
}

// Does work(name) for all, a few at a time; returns for how many it returned true.
async function each(names, work) {
  const left = [...names];
  let done = 0;
  async function some() {
    while (left.length) if (await work(left.shift())) done++;
  }
  await Promise.all(Array.from({ length: AT_ONCE }, some));
  return done;
}

function openWebhook() {
  $("bulk-webhook-form").reset();
  explain($("bulk-webhook-problem"), null);
  $("bulk-webhook").showModal();
}

async function setWebhook(address) {
  const names = [...selected];
  let failure = null;
  const done = await each(names, async (name) => {
    try {
      await call("PATCH", pathOf(name, "options"), { json: { post_api: address || null } });
      return true;
    } catch (problem) {
      failure = problem;
      return false;
    }
  });
  if (!done && failure) return explain($("bulk-webhook-problem"), failure);
  $("bulk-webhook").close();
  tell(t("The webhook of {n} accounts is set; it applies from their next start.", { n: done }));
  const failed = names.length - done;
  if (failed) complain(new Problem("some", t("{n} accounts keep theirs.", { n: failed }), wordsOf(failure).headline));
}
