// What the controller and the accounts' programs say, in the reader's language. They say it in English; the catalog
// has their sentences, {1} and {2} standing for values. What it lacks is shown as it came, so that nothing is lost.

import { said } from "./i18n.js";

const JOINTS = [["; ", "；"], [": ", "："]];
const MOST_PARTS = 8;
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
    words = whole.get(text) ?? best([matched(text), ...parted(text), text]);
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

// "What failed; what to do", "whom it is about: what": one of the parts is a sentence of its own.
function* parted(text) {
  for (const [joint, translated] of JOINTS) {
    if (text.split(joint).length > MOST_PARTS) continue; // nothing of ours
    for (let at = text.indexOf(joint); at >= 0; at = text.indexOf(joint, at + 1)) {
      const [before, after] = [say(text.slice(0, at)), say(text.slice(at + joint.length))];
      const unchanged = before.length + joint.length + after.length === text.length && text.endsWith(after);
      if (!unchanged) yield before + translated + after;
    }
  }
}

// The one that leaves the fewest words as they were: a sentence may take the next one for a value.
function best(ways) {
  const left = (words) => words.match(/[a-z']{2,}(?= [a-z]{2})/g)?.length ?? 0;
  return ways.filter((words) => words !== null).reduce((one, other) => (left(other) < left(one) ? other : one));
}

// With a capital, where it begins with a common word.
export const sentence = (text) =>
  text.replace(/^(?!system|wxctl |journalctl )[a-z](?=[a-z']* )/, (letter) => letter.toUpperCase());
