// The dashboard: asks /v1/accounts again and again and shows the answer. Texts only ever get in as text nodes.

import { NeedsToken, askForToken, request, signedIn } from "./login.js";

const PAUSE = 2000;
const UP = new Set(["active", "activating", "reloading", "refreshing", "deactivating"]);
const LOOKS = { running: "good", offline: "warn", parked: "bad", scanning: "warn", confirming: "warn" };
const $ = (id) => document.getElementById(id);
const busy = new Set();
let wake = () => {};

async function call(method, path, body) {
  const response = await request(method, path, body);
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    const error = answer.error ?? { message: `the controller answered ${response.status}`, remedy: "" };
    throw new Error([error.message, error.remedy].filter(Boolean).join("\n"));
  }
  return answer;
}

const pathOf = (name, verb = "") => `v1/accounts/${encodeURIComponent(name)}${verb && "/" + verb}`;

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== ""));
  return made;
}

function complain(problem) {
  $("problem").textContent = problem ? problem.message : "";
  $("problem").hidden = !problem;
}

async function act(name, method, path, body) {
  busy.add(name);
  wake();
  try {
    await call(method, path, body);
    complain(null);
    return true;
  } catch (problem) {
    if (!(problem instanceof NeedsToken)) complain(problem); // the next look asks for it
    return false;
  } finally {
    busy.delete(name);
    wake();
  }
}

function ago(since) {
  if (!since) return "";
  const seconds = Math.max(0, Math.round(Date.now() / 1000 - since));
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${seconds} s`;
}

function button(text, account, method, path, question) {
  const made = element("button", { type: "button", textContent: text, disabled: busy.has(account.name) });
  made.dataset.action = text.toLowerCase();
  made.setAttribute("aria-label", `${text} ${account.name}`);
  made.addEventListener("click", () => {
    if (!question || confirm(question)) act(account.name, method, path);
  });
  return made;
}

function actions(account) {
  const cell = element("td", { className: "actions" });
  if (UP.has(account.unit_state)) {
    cell.append(button("Stop", account, "POST", pathOf(account.name, "stop")));
    cell.append(button("Restart", account, "POST", pathOf(account.name, "restart")));
  } else {
    cell.append(button("Start", account, "POST", pathOf(account.name, "start")));
    const question = `Remove ${account.name}? Its session and media are deleted, the next start needs a scan.`;
    cell.append(button("Remove", account, "DELETE", pathOf(account.name), question));
  }
  return cell;
}

function row(account) {
  const dead = !UP.has(account.unit_state) || account.unit_sub.startsWith("auto-restart");
  const wrong = dead && account.desired === "started";
  const state = wrong ? "down" : (account.login_state ?? account.unit_state);
  const look = wrong || account.unit_state === "failed" ? "bad" : (LOOKS[account.login_state] ?? "faint");
  const made = element(
    "tr",
    {},
    element("td", {}, account.name, account.instance === account.name ? "" : element("small", {}, account.instance)),
    element(
      "td",
      {},
      element("span", { className: `state ${look}` }, state),
      element("small", {}, account.reason || account.status || ""),
    ),
    element("td", { className: "short" }, ago(account.since)),
    element("td", {}, account.unit_state, element("small", {}, account.unit)),
    element("td", { className: "short" }, String(account.port)),
    element("td", {}, account.user?.name ?? ""),
    actions(account),
  );
  made.dataset.account = account.name;
  return made;
}

// Codes are kept while they stay the same: a picture that is replaced under the phone can't be scanned.
function showCodes(accounts) {
  const wanted = new Map(accounts.filter((account) => account.qrcode).map((account) => [account.name, account]));
  for (const shown of [...$("codes").children]) {
    const account = wanted.get(shown.dataset.account);
    if (!account || shown.dataset.version !== version(account)) shown.remove();
    else wanted.delete(account.name);
  }
  for (const account of wanted.values()) {
    const image = element("img", { alt: `QR code to log in ${account.name}` });
    const figure = element("figure", {}, image, element("figcaption", {}, `Scan to log in ${account.name}`));
    draw(account, image, figure);
    figure.dataset.account = account.name;
    figure.dataset.version = version(account);
    $("codes").append(figure);
  }
}

// Fetched and not just named in the image: a token goes with it.
async function draw(account, image, figure) {
  try {
    const response = await request("GET", `${pathOf(account.name, "qr")}?format=svg`);
    if (response.status === 403) {
      figure.replaceChildren(`${account.name} shows a QR code. To see it takes a token with the scope control.`);
    }
    if (!response.ok) return;
    const address = URL.createObjectURL(await response.blob());
    image.addEventListener("load", () => URL.revokeObjectURL(address));
    image.src = address;
  } catch {
    figure.remove(); // the next look draws it again
  }
}

// An expired code is replaced by the next one without any change of state: the number tells them apart.
const version = (account) => `${account.pid}-${account.since}-${account.qrcode_number}`;

function show(accounts) {
  // Rows are made anew unless somebody is at a button with the keyboard.
  const focused = document.activeElement?.closest?.("#accounts [data-account]");
  const at = focused && [focused.dataset.account, document.activeElement.dataset.action];
  $("accounts").replaceChildren(...accounts.map(row));
  if (at) {
    [...$("accounts").children]
      .find((each) => each.dataset.account === at[0])
      ?.querySelector(`[data-action="${at[1]}"]`)
      ?.focus();
  }
  $("empty").hidden = accounts.length > 0;
  showCodes(accounts);
  const running = accounts.filter((account) => account.login_state === "running").length;
  $("summary").textContent = `${running} of ${accounts.length} accounts running`;
}

async function watch() {
  let lost = false;
  for (;;) {
    try {
      const { accounts } = await call("GET", "v1/accounts");
      signedIn();
      show(accounts);
      if (lost) complain(null);
      lost = false;
    } catch (problem) {
      if (problem instanceof NeedsToken) {
        show([]);
        $("summary").textContent = "A token is needed.";
        await askForToken();
        continue;
      }
      lost = true;
      $("summary").textContent = "The controller does not answer, still trying…";
      complain(problem);
    }
    await new Promise((done) => {
      wake = done;
      setTimeout(done, PAUSE);
    });
  }
}

$("start").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const name = form.elements.name.value.trim();
  const post = form.elements.post_api.value.trim();
  if (await act(name, "POST", pathOf(name, "start"), post ? { post_api: post } : {})) form.reset();
});

watch();
