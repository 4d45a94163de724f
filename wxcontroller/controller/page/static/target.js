// Adds a notification target. Only the answer contains its token, so it is shown once, with the URL.

import { call } from "./api.js";
import { h, setHidden } from "./dom.js";
import { t } from "./i18n.js";
import { explain } from "./notices.js";
import { path, urlOf } from "./paths.js";
import { accounts } from "./store.js";

// Return the form; added() is called after a target was added.
export function targetForm(added) {
  const name = h("input", { name: "name", required: true, pattern: "[A-Za-z0-9_\\-]{1,64}", spellcheck: false });
  const names = [...accounts.keys()].sort();
  const account = h("select", { name: "account" }, ...names.map((each) => h("option", {}, each)));
  const peer = h("input", { name: "peer", required: true, maxLength: 256, spellcheck: false });
  const group = h("input", { name: "group", type: "checkbox" });
  const problem = h("p", { className: "bad", role: "alert", hidden: true });
  const made = h("div", { role: "status" });
  const form = h(
    "form",
    { autocomplete: "off" },
    field(t("Name"), name, t("Letters, digits, - and _. Programs use it as the topic.")),
    field(t("Account"), account),
    field(t("To"), peer, t("The id or the exact name of a person or group.")),
    h("label", { className: "check" }, group, " ", t("This is a group")),
    problem,
    h("p", { className: "buttons" }, h("button", { className: "main" }, t("Add target"))),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const json = { name: name.value.trim(), account: account.value, peer: peer.value.trim(), group: group.checked };
    try {
      const { token } = await call("POST", path`v1/targets`, { json });
      explain(problem, null);
      form.reset();
      made.replaceChildren(...shown(json.name, token));
      added();
    } catch (failure) {
      explain(problem, failure);
    }
  });
  const element = h("details", {}, h("summary", {}, t("Add target")), form, made);
  setHidden(element, !accounts.size);
  return element;
}

const field = (label, control, hint) => h("label", {}, label, " ", control, hint && h("small", {}, hint));

function shown(name, token) {
  const words = t("Target {name} was added. The token is not shown again.", { name });
  const copied = (value) => h("input", { readOnly: true, value });
  return [h("p", {}, words), field(t("Token"), copied(token)), field(t("URL"), copied(urlOf(path`notify/${name}`).href))];
}
