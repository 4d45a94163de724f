// The settings of an account, edited in place. Those that are changed most are on top; behind "Show all options" is
// every one. What is stored and what its process runs by may differ until a restart: that is marked.

import { act } from "./actions.js";
import { call, may, pathOf } from "./api.js";
import { $, h, icon, setHidden, setText } from "./dom.js";
import { inWords } from "./failures.js";
import { meanings, sentence, t } from "./i18n.js";
import { complain, explain, tell } from "./notices.js";
import { accounts, listen } from "./store.js";
import { trialOf } from "./trials.js";
import { size } from "./words.js";

const ORIGINS = {
  request: () => t("stored with the account"),
  settings: () => t("from the settings"),
  credential: () => t("by a credential"),
  default: () => t("default"),
};
const UNIT_WORDS = { seconds: () => t("seconds"), days: () => t("days"), bytes: () => t("bytes") };
// Which options stand in which part, in this order.
const PARTS = [
  [() => t("Webhook"), ["post_api", "webhook_strict_order", "webhook_timeout"]],
  [() => t("Proxy"), ["proxy"]],
  [() => t("Pacing"), ["send_interval", "send_jitter", "send_burst_max", "send_daily_max", "hold_seconds"]],
  [() => t("Filters"), ["post_message_filter", "post_event", "post_event_list", "download_media"]],
  [() => t("Route"), ["driver"]],
];
const CREDENTIAL = "credential";
const UNITS = {
  seconds: (n) => t("{n} second", { n }, "{n} seconds"),
  days: (n) => t("{n} day", { n }, "{n} days"),
  bytes: (n) => (n < 1024 ? t("{n} bytes", { n }) : t("{n} bytes ({size})", { n, size: size(n) })),
};

export function optionsTab(name) {
  const ending = new AbortController();
  const { signal } = ending;
  let found = {};
  let about = {};
  let waiting = new Set();
  let editing = null;

  function show() {
    if (editing) return; // somebody types
    const all = $("all-options").checked;
    const shown = PARTS.map(([title, names]) => [title(), names.filter((one) => one in found)]);
    const known = new Set(shown.flatMap(([, names]) => names));
    const isShown = (one) => all || found[one].from !== "default" || waiting.has(one);
    const others = Object.keys(found).filter((one) => !known.has(one) && isShown(one));
    if (others.length) shown.push([all ? t("All other options") : t("Other options that are set"), others.sort()]);
    const n = waiting.size;
    const changes = t("{n} change applies after a restart.", { n }, "{n} changes apply after a restart.");
    setText($("options-note"), n ? changes : "");
    setHidden($("options-restart"), !n || !may("control"));
    $("options").replaceChildren(...shown.filter(([, names]) => names.length).map(part));
  }

  function part([title, names]) {
    return h("section", { className: "settings" }, h("h2", {}, title), h("dl", {}, ...names.map(item)));
  }

  function item(option) {
    const { value, in_force: now, from } = found[option];
    const waits = waiting.has(option);
    const current = h("dd", { className: "value" }, shown(option, waits ? now : value));
    if (waits) {
      current.append(h("span", { className: "state attention" }, t("after a restart:"), " ", shown(option, value)));
    }
    current.append(h("small", {}, (ORIGINS[from] ?? (() => from))()));
    const row = h("div", waits ? { "data-waits": option } : {}, h("dt", {}, option), current);
    row.append(h("dd", { className: "meaning" }, sentence(about[option]?.[0] ?? "")));
    const buttons = h("dd", { className: "buttons-row" });
    if (may("control") && from !== CREDENTIAL) buttons.append(editButton(option, row));
    const trial = may("control") && trialOf(name, option, signal);
    if (trial) buttons.append(trial.button);
    row.append(buttons);
    if (trial) row.append(trial.answer);
    row.dataset.option = option;
    return row;
  }

  const unitOf = (option) => about[option]?.[1];

  function inUnit(option, value) {
    const words = /^[0-9.]+$/.test(value) && UNITS[unitOf(option)];
    return words ? words(Number(value)) : value || "–";
  }

  const shown = (option, value) => h("code", {}, inUnit(option, value));

  function editButton(option, row) {
    const label = t("Edit {option}", { option });
    const button = h("button", { type: "button", className: "plain", "data-action": "edit", "aria-label": label });
    button.append(icon("edit"));
    button.addEventListener("click", () => edit(option, row));
    return button;
  }

  function edit(option, row) {
    const { value, from, default: standard } = found[option];
    const field = fieldOf(option, value);
    const initial = field.value;
    const problem = h("p", { className: "bad", role: "alert", hidden: true });
    const save = h("button", { className: "main" }, t("Save"));
    const cancel = h("button", { type: "button" }, t("Cancel"));
    const reset = h("button", { type: "button", className: "plain", hidden: from !== "request" });
    reset.append(t("Use the default ({value})", { value: inUnit(option, standard) }));
    const unit = UNIT_WORDS[unitOf(option)]?.() ?? "";
    const parts = [field, unit && h("span", { className: "unit" }, unit), save, cancel, reset, problem];
    const form = h("form", { className: "edit", autocomplete: "off" }, ...parts.filter(Boolean));
    const before = [...row.children];
    editing = option;
    const close = (focus) => {
      editing = null;
      row.replaceChildren(...before);
      show();
      if (focus) $("options").querySelector(`[data-option="${option}"] [data-action=edit]`)?.focus();
    };
    async function store(next) {
      save.disabled = true;
      try {
        await call("PATCH", pathOf(name, "options"), { json: { [option]: next }, signal });
        tell(t("Saved."));
        await load(true);
        close(true);
      } catch (failure) {
        if (failure.name === "AbortError") return;
        explain(problem, failure);
        field.setAttribute("aria-invalid", "true");
        save.disabled = false;
        field.focus();
      }
    }
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (field.value === initial) close(true);
      else store(field.value.trim());
    });
    form.addEventListener("keydown", (event) => event.key === "Escape" && close(true));
    cancel.addEventListener("click", () => close(true));
    reset.addEventListener("click", () => store(null));
    const meaning = before.find((one) => one.className === "meaning");
    row.replaceChildren(h("dt", {}, option), h("dd", { className: "value" }, form), meaning);
    field.focus();
    field.select?.();
  }

  function fieldOf(option, value) {
    const routes = [...document.querySelectorAll("#add-form [name=driver]")];
    const choices = option === "driver" ? routes.map((one) => [one.value, one.dataset.label]) : null;
    // Secrets in it are not told: what would be stored with them left out is another value.
    const secret = value.includes("…");
    const given = secret ? { value: "", placeholder: value } : { value };
    if (!choices) return h("input", { ...given, spellcheck: false, "aria-label": option });
    const field = h("select", { "aria-label": option });
    field.append(...choices.map(([one, label]) => h("option", { value: one, selected: one === value }, label)));
    return field;
  }

  async function load(quiet = false) {
    try {
      const [answer, words] = await Promise.all([call("GET", pathOf(name, "options"), { signal }), meanings()]);
      about = words;
      found = answer.options;
      waiting = new Set(answer.waiting);
      show();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (quiet) complain(problem);
      else setText($("options-note"), inWords(problem));
    }
  }

  $("options").replaceChildren();
  setHidden($("options-restart"), true);
  setText($("options-note"), t("Loading…"));
  $("all-options").checked = false;
  $("all-options").addEventListener("change", show, { signal });
  $("options-restart").addEventListener("click", () => act(name, "restart"), { signal });
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
