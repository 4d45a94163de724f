// Shows a response: status, time, headers, and the content as formatted JSON, text, picture or file.

import { drawBlob, linkTo } from "./blobs.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { size } from "./words.js";

const MOST_CHARACTERS = 200000;
// Numbers that JavaScript would round. A response with one is shown unformatted.
const LONG_NUMBER = /[:[,]\s*-?\d{16,}/;

// Show a response in an element. `began` is performance.now() at the request.
export async function showAnswer(element, response, began) {
  const milliseconds = () => t("{n} ms", { n: Math.round(performance.now() - began) });
  const { status, statusText } = response;
  const code = h("span", { className: response.ok ? "status good" : "status bad" }, `${status} ${statusText}`);
  const facts = h("span", { className: "faint" }, milliseconds());
  const line = h("p", { className: "outcome", role: "status" }, code, " ", facts);
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  const details = h("details", {}, h("summary", {}, t("Headers")), block(headers, t("Headers")));
  element.replaceChildren(line, details);
  const kind = response.headers.get("Content-Type") ?? "";
  if (kind.startsWith("text/event-stream")) return showStream(element, response);
  const content = await response.blob();
  facts.textContent = `${milliseconds()} · ${size(content.size)}`;
  element.append(...(await shown(content, kind)));
  return undefined;
}

async function shown(content, kind) {
  if (!content.size) return [];
  if (kind.startsWith("image/")) {
    const image = h("img", { alt: t("The picture") });
    drawBlob(image, content);
    return [image];
  }
  if (!/json|text|xml|javascript/.test(kind)) {
    const link = linkTo(content, "answer");
    link.append(t("Save the content"));
    return [h("p", {}, link)];
  }
  const text = pretty(await content.text(), kind);
  return [block(text.slice(0, MOST_CHARACTERS)), ...(text.length > MOST_CHARACTERS ? [cut()] : [])];
}

// Read until the stream ends or the request is aborted.
async function showStream(element, response) {
  const place = block("");
  element.append(place);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let length = 0; length < MOST_CHARACTERS; ) {
    const { done, value } = await reader.read();
    if (done) return;
    length += value.length;
    place.firstChild.append(value);
  }
  element.append(cut());
  await reader.cancel();
}

function pretty(text, kind) {
  if (!kind.includes("json") || LONG_NUMBER.test(text)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

// Make a clipped block scrollable with the keyboard.
const block = (text, label = t("Content")) =>
  h("pre", { className: "content", tabIndex: 0, role: "region", "aria-label": label }, h("code", {}, text));
const cut = () => h("p", { className: "faint" }, t("The rest is not shown."));
