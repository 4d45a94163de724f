// What the controller and the accounts' programs say, in the reader's language. They say it in English; the catalog has
// their sentences, {1} and {2} standing for values. What it lacks is shown as it came, so that nothing is lost.

import { said } from "./i18n.js";

const JOINTS = [["; ", "；"], [": ", "："]];
const MOST_REMEMBERED = 500;
const remembered = new Map();
const whole = new Map();
const patterns = [];
for (const [sentence, translated] of said) {
  if (sentence.includes("{1}")) patterns.push({ sentence, translated, form: null });
  else whole.set(sentence, translated);
}
const fixed = ({ sentence }) => sentence.replace(/\{\d\}/g, "").length;
patterns.sort((one, other) => fixed(other) - fixed(one)); // what says the most is tried first

export function say(text) {
  if (!said.length || !text) return text;
  let words = remembered.get(text);
  if (words === undefined) {
    words = whole.get(text) ?? parted(text, (part) => whole.has(part)) ?? matched(text) ?? parted(text, known) ?? text;
    if (remembered.size >= MOST_REMEMBERED) remembered.clear();
    remembered.set(text, words);
  }
  return words;
}

function matched(text) {
  for (const pattern of patterns) {
    pattern.form ??= formOf(pattern.sentence);
    const values = pattern.form.exec(text);
    if (values) return pattern.translated.replace(/\{(\d)\}/g, (_, number) => say(values[number]));
  }
  return null;
}

function formOf(sentence) {
  const escaped = sentence.replace(/[.*+?^$()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replace(/\{\d\}/g, "(.*?)")}$`, "s");
}

const known = (text) => whole.has(text) || matched(text) !== null;

// "What failed; what to do", "whom it is about: what": one of the parts is a sentence of its own.
function parted(text, isSentence) {
  for (const [joint, translated] of JOINTS) {
    for (let at = text.indexOf(joint); at >= 0; at = text.indexOf(joint, at + 1)) {
      const [before, after] = [text.slice(0, at), text.slice(at + joint.length)];
      if (isSentence(after) || isSentence(before)) return say(before) + translated + say(after);
    }
  }
  return null;
}

// With a capital, where it begins with a common word.
export const sentence = (text) => text.replace(/^[a-z](?=[a-z']* )/, (letter) => letter.toUpperCase());
