// The operations of the OpenAPI document, as forms and snippets need them.

import { fetched, path } from "./paths.js";

const MOST_FIELDS = 8; // of an object with optional fields only: more would bury those that matter
let loading = null;
let schemas = {};

// Resolves to lists of operations by id, with one operation for each kind of body. The document needs no token.
export const operations = () => (loading ??= load().catch((problem) => ((loading = null), Promise.reject(problem))));

async function load() {
  const document = await (await fetched(path`v1/openapi.json`)).json();
  schemas = document.components.schemas;
  const found = new Map();
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      found.set(operation.operationId, described(method.toUpperCase(), path, operation));
    }
  }
  return found;
}

function described(method, path, operation) {
  const kinds = Object.keys(operation.requestBody?.content ?? { "": null });
  return kinds.map((kind) => withBody(method, path, operation, kind, kinds.length > 1));
}

function withBody(method, path, { parameters, requestBody, responses, security }, kind, isChoice) {
  const schema = kind && resolved(requestBody.content[kind].schema);
  // Only a form can have files; the other method of the same call takes one.
  const fields = parameters.map((one) => field(one, one.in)).filter((one) => one.type !== "file");
  if (kind === "multipart/form-data") {
    for (const [name, one] of Object.entries(schema.properties)) {
      const required = schema.required.includes(name);
      fields.push(field({ name, required, description: one.description, schema: one }, "form"));
    }
  }
  const answered = Object.keys(responses["200"]?.content ?? {});
  return {
    label: isChoice ? `${method} ${kind}` : method,
    method,
    path,
    fields,
    body: kind === "application/json" ? { sample: sampleOf(schema) } : null,
    form: kind === "multipart/form-data",
    needsToken: security.length > 0,
    streams: answered.includes("text/event-stream"),
    binary: answered.some((each) => !/json|text/.test(each)),
  };
}

function field({ name, required, description, example, schema }, place) {
  const { type, format, enum: words, examples = [], minimum, maximum } = resolved(schema);
  const sample = example ?? examples[0];
  const kind = format === "binary" ? "file" : words ? "words" : type;
  return { name, place, required, description, type: kind, words, sample, minimum, maximum };
}

function resolved(schema) {
  const name = schema.$ref?.split("/").at(-1);
  return name ? resolved(schemas[name]) : schema;
}

// Return a value that fits a schema: its example, or the minimum.
export function sampleOf(schema) {
  const one = resolved(schema);
  if (one.examples?.length) return one.examples[0];
  if (one.enum) return one.enum[0];
  if (one.anyOf) return sampleOf(one.anyOf[0]);
  if (one.allOf) return Object.assign({}, ...one.allOf.map(sampleOf));
  if (one.type === "array") return [sampleOf(one.items)];
  if (one.type === "object") return objectOf(one);
  if (one.type === "integer" || one.type === "number") return one.minimum ?? 0;
  return one.type === "boolean" ? false : "";
}

function objectOf({ properties = {}, required = [] }) {
  const all = Object.entries(properties);
  const wanted = all.filter(([name, one]) => required.includes(name) || resolved(one).examples);
  const shown = wanted.length || all.length > MOST_FIELDS ? wanted : all;
  return Object.fromEntries(shown.map(([name, one]) => [name, sampleOf(one)]));
}
