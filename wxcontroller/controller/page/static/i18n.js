// Texts in the reader's language. The English text is the key; what the catalog lacks stays English.

export const language = document.documentElement.lang;
const { default: messages, meanings, said } = await import(`./messages-${language}.js`);

// What programs say in English, and how it is said in the reader's language: [sentence, translation], see said.js.
// What each option means, by its name.
export { meanings, said };

// A second argument { name } puts its value in where the text says {name}: as text, never as markup.
export function t(text, values = {}) {
  return (messages[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}
