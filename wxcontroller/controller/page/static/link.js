// The page of a login link: the account's code and the state of the login, for the first tab that opens the link.
// Its translations are in its markup, and it only calls /v1/login-code.

import { drawBlob, freeBlob } from "./blobs.js";
import { countdown } from "./countdown.js";
import { fetched, path } from "./paths.js";

const LINK = "wx-login-link";
const TAB = "wx-login-tab";
const PAUSE = 1500;
const STEPS = ["scan", "confirm", "done"];
// Final states. After "stopped" somebody may start the account again, but that ends the link, too.
const LAST = new Set(["done", "link-over", "link-taken"]);
const $ = (id) => document.getElementById(id);
const left = countdown(document.querySelector(".countdown i"), $("left"), (n) =>
  $("left").dataset.text.replace("{n}", n),
);
let number = null;
let picture = null;

// Keep the secret out of the address bar, the history and screenshots.
function takeLink() {
  const [, link] = location.hash.match(/^#([0-9a-f]{64})$/) ?? [];
  if (!link) return;
  sessionStorage.setItem(LINK, link);
  history.replaceState(null, "", location.pathname);
}

// Created here and not by the controller, so that a lost answer does not lock this tab out.
function key() {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  const made = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const kept = sessionStorage.getItem(TAB) ?? made;
  sessionStorage.setItem(TAB, kept);
  return kept;
}

async function ask() {
  const headers = { "X-Login-Link": sessionStorage.getItem(LINK), "X-Login-Browser": key() };
  try {
    const response = await fetched(path`v1/login-code`, { headers });
    const answer = await response.json();
    return response.ok ? answer : { state: answer.error?.code ?? "unreachable" };
  } catch {
    return { state: "unreachable" };
  }
}

function show({ state, code = null, code_number: which, code_seconds: seconds = null, same_user: same = false }) {
  const at = STEPS.indexOf(state === "digits" ? "confirm" : state);
  $("login").hidden = at < 0;
  $("code").hidden = code === null;
  $("same-user").hidden = !same || state === "done";
  for (const step of document.querySelectorAll("[data-step]")) {
    const index = STEPS.indexOf(step.dataset.step);
    step.className = index < at || state === "done" ? "done" : index === at ? "now" : "";
    if (index === at) step.setAttribute("aria-current", "step");
    else step.removeAttribute("aria-current");
  }
  const says = document.querySelector(`[data-says="${CSS.escape(state)}"]`);
  $("says").hidden = !says;
  if (says && $("says").textContent !== says.textContent) $("says").textContent = says.textContent;
  left.show(code === null ? null : which, seconds);
  if (code === null || which === number) return;
  number = which;
  freeBlob(picture);
  picture = new Blob([code], { type: "image/svg+xml" });
  drawBlob($("picture"), picture);
}

async function follow() {
  $("before").hidden = true;
  for (;;) {
    const answer = await ask();
    show(answer);
    if (LAST.has(answer.state)) break;
    await new Promise((done) => setTimeout(done, PAUSE));
    while (document.hidden) {
      await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
    }
  }
  left.end();
}

takeLink();
window.addEventListener("hashchange", () => location.reload());
$("show").addEventListener("click", follow, { once: true });
if (!sessionStorage.getItem(LINK)) {
  $("before").hidden = true;
  show({ state: "link-over" });
} else if (sessionStorage.getItem(TAB)) {
  follow(); // the page was reloaded
}
