// The name that the account's owner gives a person: it is shown instead of the id, which is all that iLink has.

import { call } from "./api.js";
import { $ } from "./dom.js";
import { t } from "./i18n.js";
import { explain, tell } from "./notices.js";
import { path } from "./paths.js";

// Ask for the name of a contact of an account; done() is called once it is set.
export function openRename(account, { id, label, remark }, done) {
  const form = $("rename-form");
  $("rename-title").textContent = t("Name of {person}", { person: label });
  form.elements.remark.value = remark ?? "";
  explain($("rename-problem"), null);
  form.onsubmit = async (event) => {
    event.preventDefault();
    const name = form.elements.remark.value.trim();
    try {
      await call("PATCH", path`v1/accounts/${account}/contacts/${id}`, { json: { remark: name } });
    } catch (problem) {
      return explain($("rename-problem"), problem);
    }
    $("rename").close();
    tell(name ? t("Shown as {name} now.", { name }) : t("The name is removed."));
    done();
  };
  $("rename").showModal();
}
