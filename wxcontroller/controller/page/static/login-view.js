// Getting an account logged in: the code to scan, renewed when it expires, and the steps as the phone takes them.

import { hintOf } from "./advice.js";
import { may, picture, pathOf } from "./api.js";
import { consentButton } from "./consent.js";
import { digitsForm } from "./digits.js";
import { $, h, setClass, setHidden, setText } from "./dom.js";
import { t } from "./i18n.js";
import { complain } from "./notices.js";
import { isUp } from "./states.js";
import { accounts, listen } from "./store.js";

const STEPS = [
  ["start", () => t("The account starts")],
  ["scan", () => t("Scan the code with WeChat on the phone")],
  ["confirm", () => t("Confirm on the phone")],
  ["load", () => t("Account data is loaded")],
  ["run", () => t("Running")],
];
const AT = { init: 0, loading: 0, scanning: 1, confirming: 2, updating: 3, running: 5, offline: 5 };

// Shows in `place` how the login of an account goes, until `end` is called. changed(account) at every change.
export function loginView(place, name, changed = () => {}) {
  const image = h("img", { alt: t("QR code to log in {name}", { name }), width: 240, height: 240 });
  const frame = h("div", { className: "code" }, image);
  const hint = h("p", { role: "status" });
  const steps = STEPS.map(([id, text]) => h("li", { "data-step": id }, text()));
  const consent = h("div");
  const digits = digitsForm(name);
  place.replaceChildren(frame, h("div", {}, h("ol", { className: "steps" }, ...steps), hint, digits.form, consent));
  let version = "";
  let address = "";
  let ended = false;

  // The number tells a new code from the old one, where nothing else changes.
  async function draw(account) {
    const now = account.qrcode && may("control") ? `${account.pid}-${account.qrcode_number}` : "";
    setHidden(frame, !now);
    setClass(frame, account.login_state === "confirming" ? "code used" : "code");
    if (now === version) return;
    version = now;
    if (!now) return;
    try {
      const blob = await code(name);
      if (ended || version !== now) return;
      URL.revokeObjectURL(address);
      address = URL.createObjectURL(blob);
      image.src = address;
      image.dataset.number = account.qrcode_number;
    } catch (problem) {
      if (problem.code === "no-qrcode") return; // it is gone; another one has another number
      version = ""; // the next change tries again
      complain(problem);
    }
  }

  function show() {
    const account = accounts.get(name);
    if (!account || ended) return;
    const up = isUp(account);
    const at = up ? (AT[account.login_state] ?? -1) : -1;
    steps.forEach((step, index) => {
      setClass(step, index < at ? "done" : index === at ? "now" : "");
      if (index === at) step.setAttribute("aria-current", "step");
      else step.removeAttribute("aria-current");
    });
    const { text, bad } = hintOf(account);
    setText(hint, text);
    setClass(hint, bad ? "hint bad" : "hint faint");
    const button = consentButton(account);
    if (Boolean(button) !== consent.hasChildNodes()) consent.replaceChildren(...(button ? [button] : []));
    digits.show(account);
    draw(account);
    changed(account);
  }

  const stop = listen(({ names, all }) => (names.has(name) || all) && show());
  show();
  return function end() {
    ended = true;
    stop();
    URL.revokeObjectURL(address);
    place.replaceChildren();
  };
}

// Drawn by us; of a program that does not tell what its code says, its own picture.
async function code(name) {
  try {
    return await picture(pathOf(name, "qr?format=svg"));
  } catch (problem) {
    if (problem.code !== "no-qrcode" || !accounts.get(name)?.qrcode) throw problem;
    return picture(`openwx/get_qrcode?client=${encodeURIComponent(name)}`);
  }
}

// The same in a dialog of its own, for accounts that wait in the list.
export function openScan(name) {
  const dialog = $("scan");
  $("scan-title").textContent = t("Log in {name}", { name });
  const end = loginView($("scan-view"), name);
  dialog.addEventListener("close", end, { once: true });
  dialog.showModal();
}
