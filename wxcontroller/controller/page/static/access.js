// Access: tokens, also those of agents, notification targets and login links. A part is shown if this controller has it and the
// reader's token may see it.

import { call, isBound, may } from "./api.js";
import { $, h, icon, labelCells, setHidden, setText } from "./dom.js";
import { inWords } from "./failures.js";
import { t, textOf } from "./i18n.js";
import { complain, confirmed, tell } from "./notices.js";
import { path } from "./paths.js";
import { targetForm } from "./target.js";
import { ago, exactly } from "./words.js";

const all = (list) => (list.length ? list.join(", ") : t("all accounts"));
const when = (seconds) => (seconds ? exactly(seconds) : t("never"));

// Each part: the call and scope it needs, its column heads, and its rows with their cells and how to revoke them.
const PARTS = {
  tokens: {
    path: "/v1/tokens",
    scope: "admin",
    heads: () => [t("Name"), t("Scope"), t("Accounts"), t("Created"), t("Expires")],
    async rows(signal) {
      const answer = await call("GET", path`v1/tokens`, { signal });
      setText($("tokens-note"), textOf(answer, "reason"));
      return answer.tokens.map(({ name, scope, accounts: bound, consumer, created_at: created, ...rest }) => ({
        cells: [consumer ?? name, scope, all(bound), ago(created), rest.expired ? t("expired") : when(rest.expires_at)],
        ...(consumer // the token of an agent, which this page can revoke
          ? { end: path`v1/accounts/${bound[0]}/consumers/${consumer}`, called: consumer }
          : { command: `wxctl token revoke ${name}` }),
      }));
    },
  },
  // Approving one takes its link, which only the agent shows.
  pairings: {
    path: "/v1/ilink/pairings",
    scope: "admin",
    seconds: 5,
    heads: () => [t("Agent"), t("Account"), t("Address"), t("Asked")],
    async rows(signal) {
      const { pairings } = await call("GET", path`v1/ilink/pairings`, { signal });
      return pairings.map(({ agent, account, address, asked_at: asked }) => ({
        cells: [agent || t("unknown"), account ?? "–", address, ago(asked)],
      }));
    },
  },
  targets: {
    form: targetForm,
    path: "/v1/targets",
    scope: "admin",
    heads: () => [t("Name"), t("Account"), t("To"), t("Token"), t("Created")],
    async rows(signal) {
      const { targets } = await call("GET", path`v1/targets`, { signal });
      return targets.map(({ name, account, peer, id, created }) => ({
        cells: [name, account, peer, id, ago(Date.parse(created) / 1000)],
        end: path`v1/targets/${name}`,
      }));
    },
  },
  links: {
    path: "/v1/login-links",
    ofAccounts: true, // also for a token that is bound to some
    scope: "control",
    heads: () => [t("Account"), t("Created"), t("Expires")],
    async rows(signal) {
      const { links = [] } = await call("GET", path`v1/login-links`, { signal });
      return links.map(({ account, id, created, expires: end }) => ({
        cells: [account, ago(created), when(end)],
        end: path`v1/accounts/${account}/login-links/${id}`,
      }));
    },
  },
};
let ending = null;

async function open(signal) {
  const { paths } = await call("GET", path`v1/openapi.json`, { signal });
  for (const [id, part] of Object.entries(PARTS)) {
    const shown = part.path in paths && may(part.scope) && (part.ofAccounts || !isBound());
    setHidden($(`access-${id}`), !shown || part.seconds);
    if (!shown) continue;
    load(id, part, signal);
    if (part.form) $(`${id}-form`).replaceChildren(part.form(() => load(id, part, signal)));
    if (!part.seconds) continue;
    const timer = setInterval(() => document.hidden || load(id, part, signal), part.seconds * 1000);
    signal.addEventListener("abort", () => clearInterval(timer));
  }
}

async function load(id, part, signal) {
  const [table, note] = [$(`${id}-table`), $(`${id}-note`)];
  setText(note, "");
  try {
    const rows = await part.rows(signal);
    setHidden(table, !rows.length);
    if (part.seconds) setHidden($(`access-${id}`), !rows.length); // requests come and go
    if (!rows.length && !note.textContent) setText(note, t("None"));
    const heads = part.heads().map((head) => h("th", { scope: "col" }, head));
    const last = h("th", { scope: "col" }, h("span", { className: "unseen" }, t("Actions")));
    const body = h("tbody", {}, ...rows.map((each) => row(each, () => load(id, part, signal))));
    table.replaceChildren(h("table", {}, h("thead", {}, h("tr", {}, ...heads, last)), body));
    labelCells(table.firstElementChild);
  } catch (problem) {
    if (problem.name !== "AbortError") setText(note, inWords(problem));
  }
}

function row({ cells: [first, ...rest], end, command, called = first }, again) {
  const action = command ? copying(command) : end && revoking(called, end, again);
  const cells = rest.map((each) => h("td", {}, each));
  return h("tr", {}, h("th", { scope: "row" }, first), ...cells, h("td", { className: "number" }, action ?? ""));
}

// Only root can do this, so the page offers the command to copy.
function copying(command) {
  const made = h("button", { type: "button", title: command }, icon("copy"), t("Command to revoke"));
  made.addEventListener("click", async () => {
    await navigator.clipboard?.writeText(command).catch(() => {});
    tell(t("Run as root on the controller's machine: {command}", { command }));
  });
  return made;
}

const asked = (name) => ({
  title: t("Revoke {name}?", { name }),
  text: t("It stops working at once. This cannot be undone."),
  yes: t("Revoke"),
});

function revoking(name, end, again) {
  const made = h("button", { type: "button" }, icon("remove"), t("Revoke"));
  made.setAttribute("aria-label", `${t("Revoke")}: ${name}`);
  made.addEventListener("click", async () => {
    if (!(await confirmed(asked(name)))) return;
    made.disabled = true;
    try {
      await call("DELETE", end);
      tell(t("{name} is revoked.", { name }));
    } catch (problem) {
      complain(problem);
    }
    await again();
    if (document.activeElement === document.body) $("main").focus(); // it was on the button
  });
  return made;
}

export const accessView = {
  open() {
    ending = new AbortController();
    open(ending.signal).catch((problem) => problem.name === "AbortError" || complain(problem));
    return t("Access");
  },
  close: () => ending.abort(),
};
