// The options of an account, where each comes from, and which of them wait for a restart.

import { call, pathOf } from "./api.js";
import { $, h, setText } from "./dom.js";
import { inWords } from "./failures.js";
import { meanings, sentence, t } from "./i18n.js";
import { accounts, listen } from "./store.js";

const ORIGINS = {
  request: () => t("stored with the account"),
  settings: () => t("from the settings"),
  credential: () => t("by a credential"),
  default: () => t("default"),
};

export function optionsTab(name) {
  const ending = new AbortController();
  const { signal } = ending;
  let found = [];
  let waiting = new Set();

  function show() {
    const all = $("all-options").checked;
    const chosen = found.filter(([option, { from }]) => all || from !== "default" || waiting.has(option));
    const note = waiting.size
      ? t("Waiting for a restart: {n}", { n: waiting.size })
      : t("All options have their defaults.");
    setText($("options-note"), waiting.size || !chosen.length ? note : "");
    $("options").replaceChildren(...chosen.map(item));
  }

  function item([option, { value, in_force: now, from }]) {
    const origin = h("small", {}, (ORIGINS[from] ?? (() => from))());
    const meaning = h("dd", { className: "meaning" }, sentence(meanings[option] ?? ""));
    if (!waiting.has(option)) return h("div", {}, h("dt", {}, option), h("dd", {}, shown(value), origin), meaning);
    const then = h("span", { className: "state attention" }, t("after a restart:"), " ", shown(value));
    return h("div", { "data-waits": option }, h("dt", {}, option), h("dd", {}, shown(now), then, origin), meaning);
  }

  async function load() {
    try {
      const answer = await call("GET", pathOf(name, "options"), { signal });
      found = Object.entries(answer.options).sort(([one], [other]) => (one < other ? -1 : 1));
      waiting = new Set(answer.waiting);
      show();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      setText($("options-note"), inWords(problem));
    }
  }

  $("options").replaceChildren();
  setText($("options-note"), t("Loading…"));
  $("all-options").checked = false;
  $("all-options").addEventListener("change", show, { signal });
  // Another process runs by other options, and begins to tell some time after it has begun.
  const told = () => `${accounts.get(name)?.pid} ${Boolean(accounts.get(name)?.activity)}`;
  let seen = told();
  const stop = listen(() => {
    if (told() === seen) return;
    seen = told();
    load();
  });
  load();
  return () => {
    ending.abort();
    stop();
  };
}

const shown = (value) => h("code", {}, value === "" ? "–" : value);
