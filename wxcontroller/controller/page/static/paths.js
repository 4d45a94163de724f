// Paths at the controller, and requests of them. Ids and names in responses come from accounts and other hosts, which
// are not trusted: path`…` makes each of them one encoded segment, and nothing else can be requested. No other module
// uses fetch or encodeURIComponent (tests/lint/test_page.py).

// The controller's URL, also behind a proxy that serves it under a path: this file is page/DIGEST/paths.js.
const root = new URL("../../", import.meta.url);
const texts = new WeakMap(); // path → its text; null: a value cannot be a segment
const NO_SEGMENTS = new Set(["", ".", ".."]);

class Path {
  // Return the same path with parameters. Those that are undefined are left out.
  query(values) {
    const given = Object.entries(values).filter(([, value]) => value !== undefined);
    const text = texts.get(this);
    return made(text && `${text}?${new URLSearchParams(given)}`);
  }
}

function made(text) {
  const path = new Path();
  texts.set(path, text);
  return path;
}

const encoded = (value) => encodeURIComponent(String(value).toWellFormed());
const isSegment = (value) => typeof value === "string" && !NO_SEGMENTS.has(value);

const joined = (fixed, values) =>
  made(values.every(isSegment) ? String.raw({ raw: fixed }, ...values.map(encoded)) : null);

// path`v1/accounts/${name}/media/${file}`. Only requests fail because of an unusable value, and so where failures of
// requests are shown.
export function path(fixed, ...values) {
  if (!Array.isArray(fixed?.raw) || !Object.isFrozen(fixed)) throw new RangeError("not a template");
  return joined(fixed, values);
}

// Return a path from a template of the controller's own document, such as "/v1/accounts/{name}".
export function documented(template, values) {
  const names = [...template.matchAll(/\{(\w+)\}/g)].map(([, name]) => values[name]);
  return joined(template.slice(1).split(/\{\w+\}/), names);
}

// Return the URL of a path. Raises a RangeError for one that was not made here, or has an unusable value.
export function urlOf(path) {
  const text = texts.get(path);
  if (!text) throw new RangeError("not a path");
  return new URL(text, root);
}

// The controller never redirects. A proxy or an account that does must not get the token.
export const fetched = async (path, options) =>
  fetch(urlOf(path), { ...options, cache: "no-store", redirect: "error" });

// Return where this page shows an account, a tab of it, or a chat in the tab.
export const placeOf = (name, ...parts) => `#/a/${[name, ...parts.filter(Boolean)].map(encoded).join("/")}`;
