// The dashboard: puts the parts together and shows one of its views, as the address says.

import { accessView } from "./access.js";
import { accountView, setUpAccount } from "./account.js";
import { openAdd, setUpAdd } from "./add.js";
import { signedIn } from "./api.js";
import { setUpConfirm } from "./confirm.js";
import { conversationsView } from "./conversations.js";
import { $, setHidden } from "./dom.js";
import { eventsView } from "./allevents.js";
import { deliveriesView } from "./alldeliveries.js";
import { markView, setUpFrame, showConnection, titled } from "./frame.js";
import { healthView } from "./health.js";
import { setUpList } from "./list.js";
import { setUpLogin } from "./login.js";
import { bringBack, cured } from "./notices.js";
import { follow } from "./store.js";
import { setUpSwitches } from "./switches.js";

// A view is shown in its section ("list" and "account" have that id, others "view-NAME"). open(), with the rest of
// the address, begins it and returns its title, "" for none; close() ends what it has begun.
const NOTHING = { open: () => "", close: () => {} };
const VIEWS = {
  list: NOTHING,
  account: accountView,
  conversations: conversationsView,
  events: eventsView,
  deliveries: deliveriesView,
  health: healthView,
  access: accessView,
};
const sectionOf = (name) => $(`view-${name}`) ?? $(name);
let signingIn = false;
let known = false;
let shown = NOTHING;

// "#/a/NAME/…" is an account's page, "#/VIEW/…" one of the others, everything else the list.
function addressed() {
  const [view, ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  if (view === "a" && rest[0]) return ["account", rest];
  return view in VIEWS && view !== "account" ? [view, rest] : ["list", []];
}

function route() {
  const [name, rest] = addressed();
  shown.close();
  shown = NOTHING;
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  setHidden($("login"), !signingIn);
  document.body.classList.toggle("signing-in", signingIn);
  setHidden($("leave"), signingIn || !signedIn());
  // Before anything is known the list stands there with empty rows; other views have nothing to show yet.
  for (const each of Object.keys(VIEWS)) setHidden(sectionOf(each), signingIn || each !== (known ? name : "list"));
  if (signingIn || !known) return;
  markView(name);
  shown = VIEWS[name];
  titled(shown.open(...rest));
  window.scrollTo(0, 0);
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function connection(problem) {
  if (!known && !problem) {
    known = true;
    route();
  }
  if (!problem) cured("unreachable");
  showConnection(problem);
}

setUpConfirm();
setUpFrame();
setUpList(openAdd);
setUpAccount();
setUpAdd();
setUpSwitches();
setUpLogin((asked) => {
  signingIn = asked;
  route();
});
for (const dialog of document.querySelectorAll("dialog")) dialog.addEventListener("close", bringBack);
for (const button of document.querySelectorAll("dialog [data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
window.addEventListener("hashchange", route);
route();
follow(connection);
