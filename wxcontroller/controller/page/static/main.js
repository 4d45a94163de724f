// The dashboard: connects the parts and shows the view that the URL names.

import { signedIn } from "./api.js";
import { $, setHidden } from "./dom.js";
import { markView, setUpFrame, showConnection, titled } from "./frame.js";
import { lazily } from "./lazy.js";
import { setUpList } from "./list.js";
import { setUpLogin } from "./login.js";
import { bringBack, complain, cured, setUpConfirm } from "./notices.js";
import { follow } from "./store.js";

// A view has a section (with the id "list", "account" or "view-NAME"), open(), which takes the rest of the URL and
// returns a title, "" for none, and close(), which ends what open() began.
const NOTHING = { open: () => "", close: () => {} };
const account = lazily(() => import("./account.js"), (part) => part.setUpAccount());
const add = lazily(() => import("./add.js"), (part) => part.setUpAdd());
const VIEWS = {
  list: async () => NOTHING,
  account: async () => (await account()).accountView,
  conversations: viewOf(() => import("./conversations.js"), "conversationsView", (part) => part.setUpConversations()),
  events: viewOf(() => import("./allevents.js"), "eventsView"),
  deliveries: viewOf(() => import("./alldeliveries.js"), "deliveriesView"),
  health: viewOf(() => import("./health.js"), "healthView"),
  access: viewOf(() => import("./access.js"), "accessView"),
};
const sectionOf = (name) => $(`view-${name}`) ?? $(name);
let signingIn = false;
let known = false;
let shown = NOTHING;
let turn = 0; // counts navigations: a view that loads too late is not shown

function viewOf(load, name, prepare) {
  const part = lazily(load, prepare);
  return async () => (await part())[name];
}

// "#/a/NAME/…" is an account's page, "#/VIEW/…" another view, everything else the list.
function addressed() {
  const [view, ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  if (view === "a" && rest[0]) return ["account", rest];
  return Object.hasOwn(VIEWS, view) && view !== "account" ? [view, rest] : ["list", []];
}

async function route() {
  const [name, rest] = addressed();
  const mine = ++turn;
  shown.close();
  shown = NOTHING;
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  setHidden($("login"), !signingIn);
  document.body.classList.toggle("signing-in", signingIn);
  setHidden($("leave"), signingIn || !signedIn());
  // Until the accounts are known, the list shows skeleton rows. Other views appear once they can be used.
  const listed = !signingIn && (!known || name === "list");
  for (const each of Object.keys(VIEWS)) setHidden(sectionOf(each), each !== "list" || !listed);
  if (signingIn || !known) return;
  markView(name);
  window.scrollTo(0, 0);
  const view = await VIEWS[name]().catch(complain);
  if (!view || mine !== turn) return;
  setHidden(sectionOf(name), false);
  shown = view;
  titled(shown.open(...rest));
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
setUpList();
setUpLogin((asked) => {
  signingIn = asked;
  route();
});
for (const id of ["open-add", "empty-add"]) {
  // Load the dialog on hover, so that it opens at once after the click.
  for (const sign of ["pointerover", "focus"]) $(id).addEventListener(sign, () => add().catch(() => {}));
  $(id).addEventListener("click", () => add().then(({ openAdd }) => openAdd(), complain));
}
for (const dialog of document.querySelectorAll("dialog")) dialog.addEventListener("close", bringBack);
for (const button of document.querySelectorAll("dialog [data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
window.addEventListener("hashchange", route);
route();
follow(connection);
