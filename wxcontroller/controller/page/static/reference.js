// The API page: a form to call each operation with the reader's token, snippets of the same call, and a search.
// Without scripts, the page is still readable.

import { exchange, onTokenNeeded, Problem, signedIn, signOut } from "./api.js";
import { $, h, setHidden, setText } from "./dom.js";
import { inWords } from "./failures.js";
import { t, viewsKnown } from "./i18n.js";
import { confirmed, setUpConfirm } from "./notices.js";
import { urlOf } from "./paths.js";
import { showAnswer } from "./reference-answer.js";
import { formOf } from "./reference-form.js";
import { operations } from "./reference-operations.js";
import { setUpSearch } from "./reference-search.js";
import { SNIPPETS } from "./reference-snippets.js";

await viewsKnown();
let chosen = "curl";

// There are about a hundred forms, so each is created when it is opened.
function addForm(card) {
  const details = h("details", { className: "try" }, h("summary", {}, t("Try it")));
  details.addEventListener("toggle", () => fill(details, card), { once: true });
  card.append(details);
}

async function fill(details, card) {
  try {
    const all = await operations();
    const ways = card.dataset.operations.split(" ").flatMap((id) => all.get(id));
    const place = h("div");
    if (ways.length > 1) {
      const choice = h("select", {}, ...ways.map(({ label }) => h("option", {}, label)));
      choice.addEventListener("change", () => place.replaceChildren(callable(ways[choice.selectedIndex], card)));
      details.append(h("label", { className: "method-choice" }, t("Method"), choice));
    }
    place.append(callable(ways[0], card));
    details.append(place);
  } catch (problem) {
    details.append(h("p", { className: "bad" }, String(problem.message)));
  }
}

function callable(operation, card) {
  const { element, request } = formOf(operation);
  const send = h("button", { className: "main" }, t("Send"));
  const stop = h("button", { type: "button", hidden: true }, t("Stop"));
  const answer = h("div", { className: "answer" });
  const buttons = h("p", { className: "buttons" }, send, stop);
  const form = h("form", { autocomplete: "off" }, element, buttons);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (card.dataset.asks === undefined || (await agreed(card, request()))) await run(request(), answer, send, stop);
  });
  return h("div", {}, form, answer, snippetsOf(form, request));
}

function agreed({ dataset }, { method, target }) {
  const { pathname, search } = urlOf(target);
  const values = { method, path: pathname + search, meaning: dataset.asks };
  const text = t("{method} {path}: {meaning}. This may not be undone.", values);
  return confirmed({ title: t("Send this request?"), text, yes: t("Send") });
}

async function run({ method, target, headers, json, form }, answer, send, stop) {
  const ending = new AbortController();
  const end = () => ending.abort();
  stop.addEventListener("click", end);
  send.disabled = true;
  setHidden(stop, false);
  answer.replaceChildren(h("p", { className: "faint", role: "status" }, t("Waiting for the response…")));
  const kind = json ? { "Content-Type": "application/json" } : {};
  const began = performance.now();
  try {
    const body = json ?? (form && formData(form));
    const options = { body, headers: { ...kind, ...headers }, signal: ending.signal };
    await showAnswer(answer, await exchange(method, target, options), began);
  } catch (problem) {
    const failure = problem.name === "AbortError" ? [] : [h("p", { className: "bad", role: "alert" }, words(problem))];
    if (failure.length || !answer.querySelector(".outcome")) answer.replaceChildren(...failure);
  } finally {
    stop.removeEventListener("click", end);
    setHidden(stop, true);
    send.disabled = false;
    setHidden($("leave"), !signedIn());
  }
}

const words = (problem) => (problem instanceof Problem ? inWords(problem) : String(problem.message));

function formData(parts) {
  const data = new FormData();
  for (const [name, value] of parts) data.append(name, value);
  return data;
}

// Show the request of the form in the language chosen last.
function snippetsOf(form, request) {
  const code = h("code");
  const choice = h("select", { "aria-label": t("Language of the snippet") });
  choice.append(...Object.keys(SNIPPETS).map((name) => h("option", { selected: name === chosen }, name)));
  const show = () => setText(code, SNIPPETS[choice.value](request()));
  choice.addEventListener("change", () => {
    chosen = choice.value;
    show();
  });
  form.addEventListener("input", show);
  show();
  return h("div", { className: "snippet" }, choice, h("pre", { tabIndex: 0 }, code));
}

// Ask for a token if one is required. Closing the dialog cancels the request.
function setUpSignIn() {
  const dialog = $("sign-in");
  $("sign-in-no").addEventListener("click", () => dialog.close());
  $("leave").addEventListener("click", signOut);
  setHidden($("leave"), !signedIn());
  onTokenNeeded(async (refused) => {
    setText($("sign-in-problem"), refused ? t("This token is invalid or no longer valid.") : "");
    const form = dialog.querySelector("form");
    const ending = new AbortController();
    const sent = new Promise((done, failed) => {
      const { signal } = ending;
      form.addEventListener("submit", (event) => (event.preventDefault(), done()), { signal });
      dialog.addEventListener("close", () => failed(new Problem("", t("A token is needed."))), { signal });
    });
    dialog.showModal();
    try {
      await sent;
    } finally {
      ending.abort();
      dialog.close();
    }
    const token = form.elements.token.value.trim();
    form.reset();
    return token;
  });
}

const cards = [...document.querySelectorAll("section[data-operations]")];
setUpConfirm();
setUpSignIn();
setUpSearch(cards);
cards.forEach(addForm);
