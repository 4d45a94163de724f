// Adding an account: a few words, then its code to scan, in one dialog.

import { act } from "./actions.js";
import { call } from "./api.js";
import { $, setHidden } from "./dom.js";
import { t } from "./i18n.js";
import { loginView } from "./login-view.js";
import { explain } from "./notices.js";

let end = () => {};

export function openAdd() {
  $("add-form").reset();
  explain($("add-problem"), null);
  setHidden($("add-form"), false);
  setHidden($("add-login"), true);
  $("add").showModal();
}

export function setUpAdd() {
  const form = $("add-form");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const options = Object.fromEntries([...new FormData(form)].map(([key, value]) => [key, value.trim()]));
    const { name } = options;
    delete options.name;
    for (const [key, value] of Object.entries(options)) if (!value) delete options[key];
    form.querySelector(".main").disabled = true;
    try {
      const added = await call("POST", "v1/accounts", { json: { name, options } });
      explain($("add-problem"), null);
      if ($("add").open) showLogin(added.name);
      act(added.name, "start");
    } catch (problem) {
      explain($("add-problem"), problem);
    } finally {
      form.querySelector(".main").disabled = false;
    }
  });
  $("add").addEventListener("close", () => end());
}

function showLogin(name) {
  setHidden($("add-form"), true);
  setHidden($("add-login"), false);
  $("add-login-title").textContent = t("Log in {name}", { name });
  $("add-login-title").focus();
  const again = $("add-again");
  again.onclick = () => act(name, "start");
  const stop = loginView($("add-login-view"), name, (account) => setHidden(again, account.login_state !== "parked"));
  end = () => {
    stop();
    end = () => {};
  };
}
