// Texts in the reader's language. The English template is the key; untranslated texts appear in English.

export const language = document.documentElement.lang;
const load = async (name) => (await import(`./${name}-${language}.js`)).default;
const messages = Object.assign(Object.create(null), await load("messages"));

// Load tables of the controller in the reader's language: "meanings" of options, "checks" that need root.
export { load as table };

// Load another part of the translations (catalogs.py), once. English needs none: its texts are the keys.
const added = new Map();
function add(part) {
  if (language === "en") return null;
  // If it fails to load, its texts stay English.
  if (!added.has(part)) added.set(part, load(part).then((words) => Object.assign(messages, words), () => {}));
  return added.get(part);
}

// Resolves once texts of views other than the list can be shown.
export const viewsKnown = async () => add("views");

const TEMPLATE = /"template": ?("(?:[^"\\]|\\.)*")/g;

// Parse JSON; resolves once the texts in it can be shown.
export async function parsed(json) {
  const isKnown = ([, text]) => JSON.parse(text) in messages;
  if (language !== "en" && ![...json.matchAll(TEMPLATE)].every(isKnown)) await add("answers");
  return JSON.parse(json);
}

// Translate a template and fill in the value of each {name}, as text and untranslated. `plural` is the English
// template for any `n` other than one.
export const t = (template, values = {}, plural = "") => filled(translated(template, values, plural), values);

const translated = (template, values, plural) =>
  messages[template] ?? (plural && values.n !== 1 ? plural : template);
const filled = (text, values) =>
  text.includes("{") ? text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole) : text;

const MOST_CHARACTERS = 8000; // texts may come from accounts, which are not trusted
const DEPTH = 8; // as in core/text/templates.py
// The name of the failed call at WeChat is only for the journal and wxctl.
const CALL = /^\{call\}(: |：)/;

// Render a text as the API sends it. Each value is rendered once, even if the text has it several times.
function shown({ template, values, plural }, depth = DEPTH) {
  if (!depth) return "";
  const rendered = Object.entries(values ?? {}).map(([name, value]) => [name, valueOf(value, depth)]);
  const given = Object.fromEntries(rendered);
  const text = translated(String(template).slice(0, MOST_CHARACTERS), given, plural);
  return filled(text.replace(CALL, ""), given).slice(0, MOST_CHARACTERS);
}

const valueOf = (value, depth) => (value?.template === undefined ? value : shown(value, depth - 1));

// Return the text `name` of an object from the API; older programs send it only in English.
export function textOf(sent, name) {
  const text = sent[`${name}_text`];
  return text ? shown(text) : (sent[name] ?? "");
}

// Whether a text from the API, or a text in it, fits. Texts are recognized by template and names of values, because
// rendered text is never parsed.
export function hasPart(sent, fits, depth = DEPTH) {
  if (!depth || sent?.template === undefined) return false;
  const { template, values = {} } = sent;
  return fits({ template, values }) || Object.values(values).some((value) => hasPart(value, fits, depth - 1));
}

// Capitalize the first letter, unless the text begins with a command or with the name of a WeChat call and a colon.
export const sentence = (text) =>
  text.replace(/^(?!system|wxctl |journalctl )[a-z](?=[a-z']*[;,]? |ffline: )/, (letter) => letter.toUpperCase());
