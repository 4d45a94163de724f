// Texts in the reader's language. The English template is the key; what the catalog lacks stays English.

export const language = document.documentElement.lang;
const { default: messages, meanings } = await import(`./messages-${language}.js`);

// What each option means, by its name.
export { meanings };

// Puts the value of each {name} in: as text, never as markup. Values are not translated, except texts of the API.
// `plural` is the English template for any number `n` but one.
export function t(template, values = {}, plural = "") {
  const found = messages[template] ?? (plural && values.n !== 1 ? plural : template);
  return found.replace(/\{(\w+)\}/g, (whole, name) => valueOf(values[name]) ?? whole);
}

const valueOf = (value) => (value?.template === undefined ? value : shown(value));

// A text as the API sends it.
const shown = ({ template, values, plural }) => t(template, values ?? {}, plural);

// The text called `name` of something that the API sent; older programs send it in English only.
export function textOf(sent, name) {
  const text = sent[`${name}_text`];
  return text ? shown(text) : (sent[name] ?? "");
}

// With a capital, where it begins with a common word.
export const sentence = (text) =>
  text.replace(/^(?!system|wxctl |journalctl )[a-z](?=[a-z']* )/, (letter) => letter.toUpperCase());
