// The dashboard: puts the parts together and shows one of its views, as the address says.

import { closeAccount, openAccount, setUpAccount } from "./account.js";
import { setUpConfirm } from "./actions.js";
import { openAdd, setUpAdd } from "./add.js";
import { signedIn } from "./api.js";
import { $, setHidden, setText } from "./dom.js";
import { inWords } from "./failures.js";
import { t } from "./i18n.js";
import { setUpList } from "./list.js";
import { setUpLogin } from "./login.js";
import { bringBack, cured } from "./notices.js";
import { follow } from "./store.js";
import { setUpSwitches } from "./switches.js";

let signingIn = false;
let known = false;

// "#/a/NAME" is an account's page, everything else the list.
function route() {
  // xgettext takes a bare slash in the class for the end of the expression, and finds no text after it.
  const [, name] = location.hash.match(/^#\/a\/([^\/]+)$/) ?? [];
  closeAccount();
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  setHidden($("login"), !signingIn);
  setHidden($("leave"), signingIn || !signedIn());
  setHidden($("list"), signingIn || !known || name !== undefined);
  setHidden($("account"), signingIn || !known || name === undefined);
  if (signingIn || !known) return;
  const wanted = name === undefined ? "" : nameOf(name);
  document.title = wanted ? `${wanted} – wxcontroller` : "wxcontroller";
  if (wanted) openAccount(wanted);
  window.scrollTo(0, 0);
}

function nameOf(encoded) {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}

function connection(problem) {
  if (!known && !problem) {
    known = true;
    route();
  }
  if (!problem) cured("unreachable");
  setHidden($("connection"), !problem);
  const note = t("This page may be out of date; retrying…");
  setText($("connection"), problem ? `${inWords(problem)} ${note}` : "");
}

setUpConfirm();
setUpList(openAdd);
setUpAccount();
setUpAdd();
setUpSwitches();
setUpLogin((shown) => {
  signingIn = shown;
  if (shown) setText($("summary"), t("A token is needed."));
  route();
});
$("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address says which view is shown
  $("main").focus();
});
for (const dialog of document.querySelectorAll("dialog")) dialog.addEventListener("close", bringBack);
for (const button of document.querySelectorAll("dialog [data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
window.addEventListener("hashchange", route);
route();
follow(connection);
