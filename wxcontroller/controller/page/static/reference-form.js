// The form of an operation: a field for each parameter, and the body as JSON or as a form.

import { h } from "./dom.js";
import { t } from "./i18n.js";

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

function controlOf({ name, type, words, required, sample, minimum, maximum }) {
  const shared = { name, required, autocomplete: "off" };
  if (type === "words" || type === "boolean") {
    const choices = (words ?? ["true", "false"]).map((each) => h("option", {}, String(each)));
    return h("select", shared, required ? "" : h("option", {}, ""), ...choices);
  }
  if (type === "file") return h("input", { ...shared, type: "file" });
  const numeric = type === "integer" || type === "number";
  const bounds = numeric ? { type: "number", min: minimum, max: maximum, step: type === "integer" ? 1 : "any" } : {};
  const placeholder = sample === undefined ? "" : String(sample);
  const control = h("input", { ...shared, ...bounds, placeholder });
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

// Empty fields are not sent. The path is relative to the controller's URL.
function requestOf({ method, path, form, needsToken, streams, binary }, controls, json) {
  const given = controls.flatMap(([field, control]) => {
    const value = field.type === "file" ? control.files[0] : control.value;
    return value ? [{ ...field, value }] : [];
  });
  const of = (place) => given.filter((one) => one.place === place).map(({ name, value }) => [name, value]);
  const values = Object.fromEntries(of("path"));
  // Snippets are shown even while the form is incomplete.
  const filled = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values[name] ?? name.toUpperCase()));
  const query = new URLSearchParams(of("query")).toString();
  return {
    method,
    path: filled.slice(1) + (query && `?${query}`),
    headers: Object.fromEntries(of("header")),
    json: json?.trim() || undefined,
    form: form ? of("form") : undefined,
    needsToken,
    streams,
    binary,
  };
}
