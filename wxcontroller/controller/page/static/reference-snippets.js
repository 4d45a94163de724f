// A request as a command or program. The token is left out, because snippets are passed on.

import { signedIn } from "./api.js";
import { urlOf } from "./paths.js";

export const SNIPPETS = { curl, Python: python, JavaScript: javascript };

const quoted = JSON.stringify; // valid in Python and in JavaScript
const shell = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const addressOf = ({ target }) => urlOf(target).href;
const indented = (text) => text.replaceAll("\n", "\n  ");

function headersOf({ headers, json, needsToken }) {
  const who = needsToken && signedIn() ? { Authorization: "Bearer TOKEN" } : {};
  return { ...who, ...(json ? { "Content-Type": "application/json" } : {}), ...headers };
}

function curl(request) {
  const { method, json, form, streams, binary } = request;
  const options = Object.entries(headersOf(request)).map(([name, value]) => `-H ${shell(`${name}: ${value}`)}`);
  if (json) options.push(`--data-raw ${shell(json)}`);
  for (const [name, value] of form ?? []) {
    const file = value instanceof File;
    options.push(file ? `-F ${shell(`${name}=@"${value.name}"`)}` : `--form-string ${shell(`${name}=${value}`)}`);
  }
  if (method !== (json || form?.length ? "POST" : "GET")) options.unshift(`-X ${method}`);
  if (streams) options.unshift("-N");
  if (binary) options.unshift("-o answer");
  return ["curl", ...options, shell(addressOf(request))].join(options.length ? " \\\n  " : " ");
}

function python(request) {
  const { method, json, form, streams, binary } = request;
  const headers = Object.entries(headersOf(request)).map(([name, value]) => `${quoted(name)}: ${quoted(value)}`);
  const parts = (form ?? []).map(([name, value]) => {
    const content = value instanceof File ? `open(${quoted(value.name)}, "rb")` : `(None, ${quoted(value)})`;
    return `(${quoted(name)}, ${content})`;
  });
  const lines = [
    ...(headers.length ? [`headers={${headers.join(", ")}},`] : []),
    ...(json ? [`data=${quoted(json)}.encode(),`] : []),
    ...(parts.length ? [`files=[${parts.join(", ")}],`] : []),
    streams ? "stream=True," : "timeout=90,",
  ].map((line) => `    ${line}\n`);
  const given = [`${quoted(method)},`, `${quoted(addressOf(request))},`].map((line) => `    ${line}\n`);
  const call = `response = requests.request(\n${[...given, ...lines].join("")})`;
  const rest = streams
    ? "for line in response.iter_lines():\n    print(line.decode())"
    : binary
      ? 'print(response.status_code)\nopen("answer", "wb").write(response.content)'
      : "print(response.status_code)\nprint(response.text)";
  return `import requests\n\n${call}\n${rest}`;
}

function javascript(request) {
  const { method, json, form, streams, binary } = request;
  const headers = headersOf(request);
  const parts = (form ?? []).map(([name, value]) => {
    const content = value instanceof File ? "file" : quoted(value); // from an <input type="file">
    return `form.append(${quoted(name)}, ${content});\n`;
  });
  const options = [
    `method: ${quoted(method)},`,
    ...(Object.keys(headers).length ? [`headers: ${indented(quoted(headers, null, 2))},`] : []),
    ...(json ? [`body: ${quoted(json)},`] : parts.length ? ["body: form,"] : []),
  ].map((line) => `  ${line}\n`);
  const begin = parts.length ? `const form = new FormData();\n${parts.join("")}` : "";
  const call = `const response = await fetch(${quoted(addressOf(request))}, {\n${options.join("")}});`;
  const rest = streams
    ? "for await (const part of response.body.pipeThrough(new TextDecoderStream())) console.log(part);"
    : `console.log(response.status);\nconsole.log(await response.${binary ? "blob" : "text"}());`;
  return `${begin}${call}\n${rest}`;
}
