// The dialog with the commands that move accounts to another host. The page cannot do it: only root may read a login.

import { h, icon } from "./dom.js";
import { t } from "./i18n.js";
import { bringBack, tell } from "./notices.js";
import { accounts } from "./store.js";

// Words that a shell takes without quotes, as in core/text/remedycommands.py.
const SAFE = /^[\p{L}\p{N}_@%+=:,./][\p{L}\p{N}_@%+=:,./-]*$/u;

const quoted = (name) => (SAFE.test(name) ? name : `'${name.replaceAll("'", `'"'"'`)}'`);

const MEANING = () =>
  t(
    "Each account is stopped, sent encrypted with its login, messages and media, and started on the other host.",
  );

// Show how to move accounts between `hosts`; the first one is this host.
export function openMove(names, hosts) {
  const [here] = hosts;
  const hostOf = (name) => accounts.get(name)?.host ?? here;
  const target = h("select", { autofocus: true }, ...hosts.map((each) => h("option", {}, each)));
  target.value = hosts.find((each) => each !== hostOf(names[0]));
  const commands = h("div", { role: "status" });
  const close = h("button", { type: "button" }, t("Close"));
  const dialog = h(
    "dialog",
    { id: "bulk-move", "aria-labelledby": "bulk-move-title" },
    h("h2", { id: "bulk-move-title" }, t("Move {n} account", { n: names.length }, "Move {n} accounts")),
    h("p", { className: "faint" }, MEANING()),
    h("label", {}, t("To host"), " ", target),
    commands,
    h("div", { className: "buttons" }, close),
  );

  function show() {
    const to = target.value;
    const sources = Map.groupBy(names.filter((name) => hostOf(name) !== to), hostOf);
    const parts = [...sources].flatMap(([host, ones]) => {
      const options = ones.some((name) => name.startsWith("-")) ? ["--"] : [];
      const command = ["wxctl move", ...options, ...ones.map(quoted), quoted(to)].join(" ");
      return [h("p", {}, t("Run as root on {host}:", { host })), copyable(command)];
    });
    commands.replaceChildren(...(parts.length ? parts : [h("p", {}, t("The accounts are already on this host."))]));
  }

  target.addEventListener("change", show);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    bringBack();
    dialog.remove();
  });
  show();
  document.body.append(dialog);
  dialog.showModal();
}

function copyable(command) {
  const copy = h("button", { type: "button" }, icon("copy"), t("Copy"));
  const shown = h("code", { tabIndex: 0 }, command);
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command);
      tell(t("Command copied."));
    } catch {
      window.getSelection().selectAllChildren(shown);
    }
  });
  return h("div", { className: "command" }, shown, copy);
}
