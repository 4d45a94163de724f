// Buttons that test an option, with the result: the webhook with a test event, the proxy with a request to WeChat.

import { call } from "./api.js";
import { h, icon, setText } from "./dom.js";
import { inWords } from "./failures.js";
import { t, textOf } from "./i18n.js";
import { path } from "./paths.js";

const TRIALS = {
  post_api: { what: "webhook", word: () => t("Send a test event"), told: webhookAnswer },
  proxy: { what: "proxy", word: () => t("Test"), told: proxyAnswer },
};

// Return { button, answer } for an option that can be tested, null for others.
export function trialOf(name, option, signal) {
  const trial = TRIALS[option];
  if (!trial) return null;
  const button = h("button", { type: "button", "data-action": "try" }, icon("send"), trial.word());
  const answer = h("div", { role: "status" });
  button.addEventListener("click", async () => {
    button.disabled = true;
    setText(answer, t("One moment…"));
    try {
      const target = path`v1/accounts/${name}/${trial.what}/test`;
      answer.replaceChildren(...trial.told(await call("POST", target, { signal })));
    } catch (problem) {
      if (problem.name !== "AbortError") answer.replaceChildren(h("span", { className: "bad" }, inWords(problem)));
    } finally {
      button.disabled = false;
    }
  });
  return { button, answer: h("dd", { className: "trial" }, answer) };
}

function webhookAnswer(told) {
  const { status, milliseconds: ms, answer } = told;
  const none = t("No response after {ms} ms: {error}", { ms, error: textOf(told, "error") });
  if (!status) return [h("span", { className: "bad" }, none)];
  const good = status >= 200 && status < 300;
  const words = t("It returned {status} after {ms} ms.", { status, ms });
  const line = h("span", { className: good ? "good" : "bad" }, words);
  return [line, answer ? h("pre", {}, answer) : h("small", {}, t("The response is empty."))];
}

function proxyAnswer(told) {
  const { reached, host, status, milliseconds: ms } = told;
  const answered = t("{host} returned {status} after {ms} ms.", { host, status, ms });
  if (reached) return [h("span", { className: "good" }, answered)];
  const words = [textOf(told, "error"), textOf(told, "remedy")].filter(Boolean).join(" · ");
  return [h("span", { className: "bad" }, t("cannot reach {host}: {error}", { host, error: words }))];
}
