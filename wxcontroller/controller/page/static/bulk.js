// Actions on several accounts at once.

import { act } from "./actions.js";
import { call, isBound, Problem } from "./api.js";
import { $, setHidden } from "./dom.js";
import { wordsOf } from "./failures.js";
import { t } from "./i18n.js";
import { lazily } from "./lazy.js";
import { complain, explain, tell } from "./notices.js";
import { path } from "./paths.js";
import { able, select, selected } from "./selection.js";

// The controller starts and stops this many units at a time.
const AT_ONCE = 4;
const move = lazily(() => import("./move.js"));

export function setUpBulk() {
  $("bulk-webhook-form").addEventListener("submit", (event) => {
    event.preventDefault();
    alone(() => setWebhook(event.target.elements.post_api.value.trim()));
  });
}

let fleet = null; // the names of its hosts, this one first

// Offer to move accounts if there is another host.
export async function offerMove() {
  if (isBound()) return;
  fleet ??= call("GET", path`v1/fleet`).then(({ name, hosts }) => [name, ...hosts.map((host) => host.name)]);
  const hosts = await fleet.catch(() => []);
  setHidden($("bulk").querySelector("[data-action=move]"), hosts.length < 2);
}

let acting = false;

// Run work() unless another one is running: a second click would do the same to the same accounts.
async function alone(work) {
  if (acting) return;
  acting = true;
  $("bulk").setAttribute("aria-busy", "true");
  try {
    await work();
  } finally {
    acting = false;
    $("bulk").removeAttribute("aria-busy");
  }
}

// Run the action of a button in the bar.
export async function perform(action) {
  if (action === "webhook") openWebhook();
  else if (action === "move") (await move()).openMove([...selected], await fleet);
  else await alone(() => actOn(action));
}

async function actOn(action) {
  const names = able(action);
  const done = await each(names, (name) => act(name, action, { silent: true }));
  const words = {
    start: t("{n} started.", { n: done }),
    stop: t("{n} stopped.", { n: done }),
    restart: t("{n} restarted.", { n: done }),
  };
  tell(words[action]);
  if (done === names.length) select([...selected].filter((name) => !names.includes(name)));
}

// Run work(name) for all, a few at a time; return how often it returned true.
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
      await call("PATCH", path`v1/accounts/${name}/options`, { json: { post_api: address || null } });
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
