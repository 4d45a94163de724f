// The settings of an account, edited in place. Common ones come first, "Show all options" shows the rest. Values that
// take effect at the next restart are marked. A row stays as long as it would look the same, and while it is edited:
// news about other options takes away neither what is being typed nor the answer of a test.

import { act } from "./actions.js";
import { call, may } from "./api.js";
import { $, h, icon, redraw, setHidden, setText } from "./dom.js";
import { inWords } from "./failures.js";
import { sentence, t, table } from "./i18n.js";
import { inOrder } from "./inorder.js";
import { complain, explain, tell } from "./notices.js";
import { path } from "./paths.js";
import { accounts, listen } from "./store.js";
import { trialOf } from "./trials.js";
import { isSwitch, valueField, valueWords } from "./values.js";

const ORIGINS = {
  request: () => t("stored with the account"),
  settings: () => t("from the settings"),
  credential: () => t("by a credential"),
  default: () => t("default"),
};
// The options of each part, in this order.
const PARTS = [
  [() => t("Webhook"), ["post_api", "webhook_strict_order", "webhook_timeout"]],
  [() => t("Proxy"), ["proxy"]],
  [() => t("Pacing"), ["send_interval", "send_jitter", "send_burst_max", "send_daily_max", "hold_seconds"]],
  [() => t("Filters"), ["post_message_filter", "post_event", "post_event_list", "download_media"]],
  [() => t("Route"), ["driver"]],
];
const CREDENTIAL = "credential";

export function optionsTab(account) {
  const ending = new AbortController();
  const { signal } = ending;
  let found = {};
  let about = {};
  let waiting = new Set();
  const rows = new Map(); // by option: its row, and what that looks like
  const forms = new Map(); // by option: the form in which it is edited
  const asked = inOrder();
  let layout = "";
  let storing = Promise.resolve();

  function show() {
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
    const parts = shown.filter(([, names]) => names.length);
    const now = JSON.stringify(parts);
    const items = parts.map(([, names]) => names.map(rowOf));
    if (now === layout) return;
    layout = now;
    redraw($("options"), parts.map(([title], at) => part(title, items[at])));
  }

  function part(title, items) {
    return h("section", { className: "settings" }, h("h2", {}, title), h("dl", {}, ...items));
  }

  function rowOf(option) {
    const look = JSON.stringify([found[option], waiting.has(option)]);
    const known = rows.get(option);
    if (known && (known.look === look || forms.has(option))) return known.row;
    const row = known?.row ?? h("div", { "data-option": option, "data-id": option });
    rows.set(option, { row, look });
    redraw(row, item(option, row));
    return row;
  }

  // The meaning from the table of options: the part after a semicolon explains the title.
  function aboutOf(option) {
    const [meaning, unit, words, isOurs] = about[option] ?? [option, "", [], true];
    const [title, ...more] = meaning.split(/[;；] ?/);
    return { title: sentence(title), hint: more.join("; "), unit, words, isOurs };
  }

  const words = (option, value) => valueWords(option, value, aboutOf(option));
  const label = (option) => `${aboutOf(option).title} (${option})`;

  function item(option, row) {
    const { value, in_force: now, from } = found[option];
    const { title, hint, isOurs } = aboutOf(option);
    const waits = waiting.has(option);
    const mine = may("control") && from !== CREDENTIAL && isOurs; // others are only set by the administrator
    const switches = mine && isSwitch(aboutOf(option));
    const shown = h("span", { className: "now" }, words(option, waits ? now : value));
    const content = switches ? h("label", { className: "check" }, switchOf(option), shown) : shown;
    const current = h("dd", { className: "value" }, content);
    if (waits) {
      current.append(h("span", { className: "state attention" }, t("after a restart:"), " ", words(option, value)));
    }
    current.append(h("small", {}, (ORIGINS[from] ?? (() => from))()));
    const name = h("dt", {}, title, h("small", {}, h("code", {}, option), " ", hint));
    if (waits) row.dataset.waits = option;
    else delete row.dataset.waits;
    const buttons = h("dd", { className: "buttons-row" });
    if (mine && !switches) buttons.append(editButton(option, row));
    if (switches && from === "request") buttons.append(resetButton(option));
    const trial = may("control") && trialOf(account, option, signal);
    if (trial) buttons.append(trial.button);
    return [name, current, buttons, ...(trial ? [trial.answer] : [])];
  }

  // Whether the reader has not moved the focus to something else meanwhile.
  const isFree = () => document.activeElement === document.body;

  function focusOn(option) {
    $("options").querySelector(`[data-option="${option}"] :is(input, [data-action])`)?.focus();
  }

  // One value after the other: the last one stays.
  async function store(option, value) {
    const json = { [option]: value };
    const stored = storing.then(() => call("PATCH", path`v1/accounts/${account}/options`, { json, signal }));
    storing = stored.catch(() => {});
    await stored;
    tell(t("Saved."));
    await load(true);
  }

  // Store a value without a form. If that fails, the stored value is shown again.
  async function set(option, value) {
    try {
      await store(option, value);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      complain(problem);
      rows.get(option).look = "";
      show();
    }
    if (isFree()) focusOn(option); // its button may be gone
  }

  function switchOf(option) {
    const checked = found[option].value === "1";
    const made = h("input", { type: "checkbox", role: "switch", checked, "aria-label": label(option) });
    made.addEventListener("change", () => set(option, made.checked ? "1" : "0"));
    return made;
  }

  function resetButton(option) {
    const button = h("button", { type: "button", className: "plain", "data-action": "reset" }, t("Use the default"));
    button.addEventListener("click", () => set(option, null));
    return button;
  }

  function editButton(option, row) {
    const edits = t("Edit {option}", { option: label(option) });
    const button = h("button", { type: "button", className: "plain", "data-action": "edit", "aria-label": edits });
    button.append(icon("edit"));
    button.addEventListener("click", () => edit(option, row));
    return button;
  }

  function edit(option, row) {
    const { value, from, default: standard } = found[option];
    const { field, parts, value: written } = valueField(option, value, aboutOf(option));
    field.setAttribute("aria-label", label(option));
    const initial = written();
    const problem = h("p", { className: "bad", role: "alert", hidden: true });
    const save = h("button", { className: "main" }, t("Save"));
    const cancel = h("button", { type: "button" }, t("Cancel"));
    const reset = h("button", { type: "button", className: "plain", hidden: from !== "request" });
    reset.append(t("Use the default ({value})", { value: words(option, standard) }));
    const form = h("form", { className: "edit", autocomplete: "off" }, ...parts, save, cancel, reset, problem);
    const [title] = row.children;
    forms.set(option, form);
    const close = () => {
      if (forms.get(option) !== form) return; // closed while the value was stored
      forms.delete(option);
      rows.get(option).look = "";
      const held = isFree() || form.contains(document.activeElement);
      show();
      if (held) focusOn(option);
    };
    async function leave(next) {
      save.disabled = true;
      try {
        await store(option, next);
        close();
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
      if (written() === initial) close();
      else leave(written());
    });
    form.addEventListener("keydown", (event) => event.key === "Escape" && close());
    cancel.addEventListener("click", close);
    reset.addEventListener("click", () => leave(null));
    row.replaceChildren(title, h("dd", { className: "value" }, form));
    field.focus();
    field.select?.();
  }

  async function load(quiet = false) {
    const isNew = asked();
    try {
      const stored = call("GET", path`v1/accounts/${account}/options`, { signal });
      const [answer, words] = await Promise.all([stored, table("meanings")]);
      if (!isNew()) return;
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
  $("options-restart").addEventListener("click", () => act(account, "restart"), { signal });
  // A new process has other options, and reports them only some time after its start.
  const told = () => `${accounts.get(account)?.pid} ${Boolean(accounts.get(account)?.activity)}`;
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
