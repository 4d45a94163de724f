// The view Conversations: choose an account, then see its chats.

import { $, h, redraw, setHidden, setText } from "./dom.js";
import { letterFace, nickname } from "./face.js";
import { t } from "./i18n.js";
import { placeOf } from "./paths.js";
import { routeName } from "./routes.js";
import { isThere } from "./states.js";
import { accounts, listen } from "./store.js";
import { ago } from "./words.js";

let stop = () => {};

function show() {
  const there = [...accounts.values()].filter(isThere);
  const last = ({ activity }) => activity?.last_message ?? 0;
  there.sort((one, other) => last(other) - last(one));
  redraw($("conversation-accounts"), there.map(item));
  setHidden($("conversation-accounts"), !there.length);
  setText($("conversations-note"), there.length ? "" : t("Conversations are shown once an account runs."));
}

function item(account) {
  const { name, driver, activity } = account;
  const about = [nickname(account), routeName(driver)].filter(Boolean).join(" · ");
  const words = h("span", { className: "words" }, h("span", {}, name), h("small", {}, about));
  const when = h("small", {}, activity?.last_message ? ago(activity.last_message) : "");
  return h("li", {}, h("a", { href: placeOf(name, "chats") }, letterFace(nickname(account) || name, name), words, when));
}

export const conversationsView = {
  open() {
    stop = listen(show);
    show();
    return t("Conversations");
  },
  close: () => stop(),
};
