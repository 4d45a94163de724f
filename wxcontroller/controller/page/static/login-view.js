// The login of an account: the code to scan, renewed when it expires, and the steps on the phone.

import { act, isBusy, possible } from "./actions.js";
import { hintOf } from "./advice.js";
import { may, picture } from "./api.js";
import { drawBlob, freeBlob, saveBlob } from "./blobs.js";
import { consentButton } from "./consent.js";
import { countdown } from "./countdown.js";
import { digitsForm } from "./digits.js";
import { $, h, icon, setClass, setHidden, setText } from "./dom.js";
import { t } from "./i18n.js";
import { complain } from "./notices.js";
import { path } from "./paths.js";
import { scanStep } from "./routes.js";
import { shareLink } from "./share.js";
import { isUp, stateOf } from "./states.js";
import { accounts, listen } from "./store.js";

const STEPS = [
  ["start", () => t("Account started")],
  ["scan", scanStep],
  ["confirm", () => t("Confirm on the phone")],
  ["load", () => t("Account data is loaded")],
  ["run", () => t("Running")],
];
const AT = { init: 0, loading: 0, scanning: 1, confirming: 2, updating: 3, running: 5, offline: 5 };
// No code is valid for longer; a longer time means that the clocks differ.
const LONGEST_CODE = 600;

// Show the login of an account in `place` until `end` is called. Calls changed(account) at every change.
export function loginView(place, name, changed = () => {}) {
  const image = h("img", { alt: t("QR code to log in {name}", { name }), width: 264, height: 264 });
  const bar = h("i");
  const left = h("small");
  const turn = h("small");
  const code = h(
    "div",
    { className: "code" },
    image,
    h("div", { className: "countdown" }, bar),
    h("div", { className: "under" }, left, turn),
  );
  const state = h("span");
  const hint = h("p", { role: "status" });
  const steps = STEPS.map(([id]) => h("li", { "data-step": id }));
  const consent = h("div");
  const digits = digitsForm(name);
  const share = shareLink(name);
  const save = h("button", { type: "button", "data-action": "save" }, icon("save"), t("Save picture"));
  const renew = h("button", { type: "button", className: "plain", "data-action": "renew" }, t("New code"));
  const words = h("div", { className: "words" }, state, h("ol", { className: "steps" }, ...steps), hint);
  words.append(digits.form, consent, share.element, h("div", { className: "row" }, share.copy, save, renew));
  const view = h("div", { className: "login-view" }, code, words);
  place.replaceChildren(view);
  const clock = countdown(bar, left, (n) => t("new code in {n} s", { n }));
  let version = "";
  let drawing = null;
  let ended = false;

  save.addEventListener("click", () => saved(name).catch(complain));
  renew.addEventListener("click", () => act(name, possible(accounts.get(name)).start ? "start" : "restart"));

  // Only its number distinguishes a new code from the previous one.
  async function draw(account) {
    const now = account.qrcode && may("control") ? `${account.pid}-${account.qrcode_number}` : "";
    setHidden(code, !now);
    setClass(view, now ? "login-view" : "login-view alone");
    setClass(code, account.login_state === "confirming" ? "code used" : "code");
    const { qrcode_until: until, qrcode_try: number, qrcode_limit: limit } = account;
    const seconds = until ? until - Date.now() / 1000 : -1;
    const ticks = now && account.login_state === "scanning" && seconds > 0 && seconds < LONGEST_CODE;
    clock.show(ticks ? now : null, seconds);
    setText(turn, limit ? t("code {number} of {limit}", { number, limit }) : "");
    if (now === version) return;
    version = now;
    if (!now) return;
    try {
      const blob = await drawn(name);
      if (ended || version !== now) return;
      freeBlob(drawing);
      drawing = blob;
      drawBlob(image, blob);
      image.dataset.number = account.qrcode_number;
    } catch (problem) {
      if (problem.code === "no-qrcode") return; // it expired; the next one has another number
      version = ""; // try again at the next change
      complain(problem);
    }
  }

  function show() {
    const account = accounts.get(name);
    if (!account || ended) return;
    const at = isUp(account) ? (AT[account.login_state] ?? -1) : -1;
    steps.forEach((step, index) => {
      setText(step, STEPS[index][1](account.driver));
      setClass(step, index < at ? "done" : index === at ? "now" : "");
      if (index === at) step.setAttribute("aria-current", "step");
      else step.removeAttribute("aria-current");
    });
    const { tone, word } = stateOf(account);
    setClass(state, `state ${tone}`);
    setText(state, word);
    const { text, bad } = hintOf(account);
    setText(hint, text);
    setClass(hint, bad ? "hint bad" : "hint faint");
    const button = consentButton(account);
    if (Boolean(button) !== consent.hasChildNodes()) consent.replaceChildren(...(button ? [button] : []));
    digits.show(account);
    const scans = account.qrcode && account.login_state === "scanning";
    share.show(scans);
    setHidden(save, !scans || !may("control"));
    setHidden(renew, !may("control") || at > 1 || isBusy(name));
    draw(account);
    changed(account);
  }

  const stop = listen(({ names, all }) => (names.has(name) || all) && show());
  show();
  return function end() {
    ended = true;
    stop();
    clock.end();
    freeBlob(drawing);
    place.replaceChildren();
  };
}

// Return a code drawn by the controller, or the account's own picture if its program does not tell the code's
// content.
async function drawn(name, format = "svg") {
  try {
    return await picture(path`v1/accounts/${name}/qr`.query({ format }));
  } catch (problem) {
    if (problem.code !== "no-qrcode" || !accounts.get(name)?.qrcode) throw problem;
    return picture(path`openwx/get_qrcode`.query({ client: name }));
  }
}

async function saved(name) {
  saveBlob(await drawn(name, "png"), `${name}.png`);
}

// Show the same in a dialog, for accounts in the list.
export function openScan(name) {
  const dialog = $("scan");
  $("scan-title").textContent = t("Log in to {name}", { name });
  const end = loginView($("scan-view"), name);
  dialog.addEventListener("close", end, { once: true });
  dialog.showModal();
}
