// The form of an operation: a field for each parameter, and the body as JSON or as a form.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { documented } from "./paths.js";

const FEW = 5;
// Fields with the same meaning in every form. A value entered once is filled into the next form.
const SHARED = ["name", "client"];
const entered = {};

// Return { element, request() }: the fields, and the request they describe.
export function formOf(operation) {
  const controls = operation.fields.map((field) => [field, controlOf(field)]);
  const body = operation.body && h("textarea", { rows: 4 });
  if (body) body.value = JSON.stringify(operation.body.sample, null, 2);
  const labelled = controls.map(([field, control]) => [field, labelOf(field, control)]);
  const optional = labelled.filter(([field]) => !field.required);
  const first = labelled.filter(([field]) => field.required || optional.length <= FEW);
  const rest = labelled.filter((one) => !first.includes(one));
  const element = h("div", { className: "fields" }, ...first.map(([, label]) => label));
  if (rest.length) {
    const summary = h("summary", {}, t("{n} more parameters", { n: rest.length }));
    element.append(h("details", {}, summary, ...rest.map(([, label]) => label)));
  }
  if (body) element.append(h("label", { className: "wide-field" }, t("JSON body"), body));
  return { element, request: () => requestOf(operation, controls, body?.value) };
}

function controlOf({ name, place, type, words, required, sample, minimum, maximum }) {
  const shared = { name, required, autocomplete: "off" };
  if (type === "words" || type === "boolean") {
    const choices = (words ?? ["true", "false"]).map((each) => h("option", {}, String(each)));
    return h("select", shared, required ? "" : h("option", {}, ""), ...choices);
  }
  if (type === "file") return h("input", { ...shared, type: "file" });
  const numeric = type === "integer" || type === "number";
  const bounds = numeric ? { type: "number", min: minimum, max: maximum, step: type === "integer" ? 1 : "any" } : {};
  const placeholder = sample === undefined ? "" : String(sample);
  const pattern = place === "path" && "(?!\\.{1,2}$).+"; // . and .. name no part of a path
  const control = h("input", { ...shared, ...bounds, placeholder, pattern });
  if (SHARED.includes(name)) {
    control.value = entered[name] ?? "";
    control.addEventListener("input", () => (entered[name] = control.value));
  }
  return control;
}

function labelOf({ name, place, required, description }, control) {
  control.title = description ?? "";
  const note = required ? t("required") : "";
  return h("label", {}, h("code", {}, name), " ", h("small", {}, [place, note].filter(Boolean).join(", ")), control);
}

// Empty fields are not sent.
function requestOf(operation, controls, json) {
  const { method, path, form, needsToken, streams, binary } = operation;
  const given = controls.flatMap(([field, control]) => {
    const value = field.type === "file" ? control.files[0] : control.value;
    return value && !control.validity.patternMismatch ? [{ ...field, value }] : [];
  });
  const of = (place) => given.filter((one) => one.place === place).map(({ name, value }) => [name, value]);
  // Snippets are shown even while the form is incomplete.
  const missing = operation.fields.map(({ name }) => [name, name.toUpperCase()]);
  const target = documented(path, Object.fromEntries([...missing, ...of("path")]));
  const query = of("query");
  return {
    method,
    target: query.length ? target.query(Object.fromEntries(query)) : target,
    headers: Object.fromEntries(of("header")),
    json: json?.trim() || undefined,
    form: form ? of("form") : undefined,
    needsToken,
    streams,
    binary,
  };
}
