// The options an account runs by, and where each comes from.

import { call, pathOf } from "./api.js";
import { $, h, setText } from "./dom.js";
import { meanings, t } from "./i18n.js";
import { sentence } from "./said.js";
import { inWords } from "./words.js";

const ORIGINS = {
  request: () => t("stored with the account"),
  settings: () => t("from the settings"),
  default: () => t("default"),
};

export function optionsTab(name) {
  const ending = new AbortController();
  const { signal } = ending;
  let found = [];

  function show() {
    const all = $("all-options").checked;
    const chosen = found.filter(([, { from }]) => all || from !== "default");
    setText($("options-note"), chosen.length ? "" : t("All options have their defaults."));
    $("options").replaceChildren(
      ...chosen.map(([option, { value, from }]) =>
        h("div", {}, h("dt", {}, option), h("dd", {}, h("code", {}, value === "" ? "–" : value), h("small", {}, (ORIGINS[from] ?? (() => from))())), h("dd", { className: "meaning" }, sentence(meanings[option] ?? ""))),
      ),
    );
  }

  async function load() {
    try {
      const { options } = await call("GET", pathOf(name, "options"), { signal });
      found = Object.entries(options).sort(([one], [other]) => (one < other ? -1 : 1));
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
  load();
  return () => ending.abort();
}
