// Approves an agent that requests a token of the iLink API. The URL of this page is the request's secret.

import { call, signedIn } from "./api.js";
import { $, h, setHidden, setText } from "./dom.js";
import { inWords } from "./failures.js";
import { t, viewsKnown } from "./i18n.js";
import { setUpLogin } from "./login.js";
import { path } from "./paths.js";

await viewsKnown();
const code = location.pathname.split("/").pop();
const pairing = path`v1/ilink/pairings/${code}`;
const form = $("pair-form");
let loaded = false;

function blame(problem) {
  setText($("pair-problem"), problem ? inWords(problem) : "");
  setHidden($("pair-problem"), !problem);
}

function finish(text) {
  setHidden(form, true);
  setText($("pair-done"), text);
  setHidden($("pair-done"), false);
}

async function load() {
  const asks = await call("GET", pairing);
  const { accounts } = await call("GET", path`v1/accounts`);
  const seconds = Math.max(0, Math.round(Date.now() / 1000 - asks.asked_at));
  const { agent, address, base_url: url } = asks;
  setText(
    $("pair-asks"),
    agent
      ? t("{agent} asked from {address} at {url} {seconds} s ago.", { agent, address, url, seconds })
      : t("An agent asked from {address} at {url} {seconds} s ago.", { address, url, seconds }),
  );
  const names = accounts.map(({ name }) => name);
  const choices = names.map((name) => h("option", { value: name }, name));
  form.elements.account.append(h("option", { value: "" }), ...choices);
  if (names.includes(asks.account)) form.elements.account.value = asks.account;
  loaded = true;
  setHidden($("pair"), false);
  setHidden($("leave"), !signedIn());
}

async function approve(event) {
  event.preventDefault();
  const { account, consumer, groups, when_held } = Object.fromEntries(new FormData(form));
  try {
    const { digits } = await call("POST", pairing, { json: { account, consumer, groups, when_held } });
    blame(null);
    finish(
      digits
        ? t("Enter these digits in the agent: {digits}", { digits })
        : t("Approved. The agent receives its token now. You can close this page."),
    );
  } catch (problem) {
    blame(problem);
  }
}

async function refuse() {
  try {
    await call("DELETE", pairing);
    blame(null);
    finish(t("Refused. The agent gets no token."));
  } catch (problem) {
    blame(problem);
  }
}

setUpLogin((shown) => {
  setHidden($("login"), !shown);
  setHidden($("pair"), shown || !loaded);
});
form.addEventListener("submit", approve);
$("pair-refuse").addEventListener("click", refuse);
load().catch(blame);
