// Texts in the reader's language. The English template is the key; what the catalog lacks stays English.

export const language = document.documentElement.lang;
const load = async (name) => (await import(`./${name}-${language}.js`)).default;
const messages = Object.assign(Object.create(null), await load("messages"));

// Data of the controller's code in the reader's language: "meanings" of options, "checks" that need root.
export { load as table };

// The other parts of the translations (catalogs.py), once each. In English the texts are the keys.
const added = new Map();
function add(part) {
  if (language === "en") return null;
  // English is better than nothing.
  if (!added.has(part)) added.set(part, load(part).then((words) => Object.assign(messages, words), () => {}));
  return added.get(part);
}

// Resolves once texts of views beside the list can be shown.
export const viewsKnown = async () => add("views");

const TEMPLATE = /"template": ?("(?:[^"\\]|\\.)*")/g;

// Returns what JSON says, once its texts can be shown.
export async function parsed(json) {
  const isKnown = ([, text]) => JSON.parse(text) in messages;
  if (language !== "en" && ![...json.matchAll(TEMPLATE)].every(isKnown)) await add("answers");
  return JSON.parse(json);
}

// Puts the value of each {name} in: as text, never as markup. Values are not translated.
// `plural` is the English template for any number `n` but one.
export const t = (template, values = {}, plural = "") => filled(translated(template, values, plural), values);

const translated = (template, values, plural) =>
  messages[template] ?? (plural && values.n !== 1 ? plural : template);
const filled = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

const MOST_CHARACTERS = 8000; // accounts, which are not trusted, make up texts too
const DEPTH = 8; // as in core/messages.py
// Which call at WeChat failed is for the journal and wxctl.
const CALL = /^\{call\}(: |：)/;

// A text as the API sends it. Each value is rendered once, however often it is in the text.
function shown({ template, values, plural }, depth = DEPTH) {
  if (!depth) return "";
  const rendered = Object.entries(values ?? {}).map(([name, value]) => [name, valueOf(value, depth)]);
  const given = Object.fromEntries(rendered);
  const text = translated(String(template).slice(0, MOST_CHARACTERS), given, plural);
  return filled(text.replace(CALL, ""), given).slice(0, MOST_CHARACTERS);
}

const valueOf = (value, depth) => (value?.template === undefined ? value : shown(value, depth - 1));

// The text called `name` of something that the API sent; older programs send it in English only.
export function textOf(sent, name) {
  const text = sent[`${name}_text`];
  return text ? shown(text) : (sent[name] ?? "");
}

// Whether a part of a text, as the API sends it, fits: a text is told by its template and the names of its values.
export function hasPart(sent, fits, depth = DEPTH) {
  if (!depth || sent?.template === undefined) return false;
  const { template, values = {} } = sent;
  return fits({ template, values }) || Object.values(values).some((value) => hasPart(value, fits, depth - 1));
}

// With a capital, where it begins with a common word; the names of WeChat's calls, which end in a colon, are none.
export const sentence = (text) =>
  text.replace(/^(?!system|wxctl |journalctl )[a-z](?=[a-z']*[;,]? |ffline: )/, (letter) => letter.toUpperCase());
