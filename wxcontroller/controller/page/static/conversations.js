// Conversations of all accounts: choosing one.

import { $, h, setHidden } from "./dom.js";
import { t } from "./i18n.js";
import { isThere } from "./states.js";
import { accounts, listen } from "./store.js";

let stop = () => {};

function show() {
  const there = [...accounts.values()].filter(isThere);
  const links = there.map(({ name }) => h("li", {}, h("a", { href: `#/a/${encodeURIComponent(name)}` }, name)));
  $("conversation-accounts").replaceChildren(...links);
  setHidden($("conversation-accounts"), !links.length);
}

export const conversationsView = {
  open() {
    stop = listen(show);
    show();
    return t("Conversations");
  },
  close: () => stop(),
};
