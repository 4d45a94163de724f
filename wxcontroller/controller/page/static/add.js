// The dialog that adds an account: a form, then the code to scan.

import { act } from "./actions.js";
import { call } from "./api.js";
import { $, setHidden } from "./dom.js";
import { t } from "./i18n.js";
import { loginView } from "./login-view.js";
import { explain } from "./notices.js";
import { path } from "./paths.js";

let end = () => {};

export function openAdd() {
  $("add-form").reset();
  blame(null);
  setHidden($("add-form"), false);
  setHidden($("add-login"), true);
  $("add").showModal();
  $("add-form").elements.name.focus(); // browsers process autofocus when the page is loaded, and complain
}

export function setUpAdd() {
  const form = $("add-form");
  let adding = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (adding) return; // the button is not disabled, because that would lose the focus
    adding = true;
    const options = Object.fromEntries([...new FormData(form)].map(([key, value]) => [key, value.trim()]));
    const { name } = options;
    delete options.name;
    for (const [key, value] of Object.entries(options)) if (!value) delete options[key];
    try {
      const added = await call("POST", path`v1/accounts`, { json: { name, options } });
      blame(null);
      act(added.name, "start");
      if ($("add").open) showLogin(added.name);
    } catch (problem) {
      blame(problem);
    } finally {
      adding = false;
    }
  });
  $("add").addEventListener("close", () => end());
}

const OF_THE_NAME = new Set(["bad-name", "account-exists"]);

// Show a problem at the field that the controller names; null clears it.
function blame(problem) {
  const { elements } = $("add-form");
  for (const field of elements) {
    if (field.dataset.hint) field.setAttribute("aria-describedby", field.dataset.hint);
    field.removeAttribute("aria-invalid");
  }
  const option = problem?.code === "bad-option" ? problem.values.option : undefined;
  const field = problem && (OF_THE_NAME.has(problem.code) ? elements.name : elements.namedItem(option ?? ""));
  const headline = option && field ? t("{field}: this cannot be used.", { field: field.dataset.label }) : "";
  explain($("add-problem"), problem, headline);
  if (!field) return;
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-describedby", `add-problem ${field.dataset.hint ?? ""}`.trim());
  const more = field.closest("details");
  if (more) more.open = true;
  field.focus();
}

function showLogin(name) {
  setHidden($("add-form"), true);
  setHidden($("add-login"), false);
  $("add-login-title").textContent = t("Log in to {name}", { name });
  $("add-login-title").focus();
  const stop = loginView($("add-login-view"), name);
  end = () => {
    stop();
    end = () => {};
  };
}
