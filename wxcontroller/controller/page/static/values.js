// Values of options as people read and write them: switches, choices, durations and sizes in the unit that fits.

import { h, setText } from "./dom.js";
import { t } from "./i18n.js";
import { routeName } from "./routes.js";
import { size } from "./words.js";

const DAYS = { name: () => t("days"), words: (n) => t("{n} day", { n }, "{n} days") };
const HOURS = { name: () => t("hours"), words: (n) => t("{n} hour", { n }, "{n} hours") };
const MINUTES = { name: () => t("minutes"), words: (n) => t("{n} minute", { n }, "{n} minutes") };
const SECONDS = { name: () => t("seconds"), words: (n) => t("{n} second", { n }, "{n} seconds") };
const BYTES = { name: () => t("bytes"), words: (n) => t("{n} bytes", { n }) };
const sized = (word) => ({ name: () => word, words: (n) => `${n} ${word}` });
// The units in which a value may be read and written, by the one that it is stored in; how many of that each is.
const UNITS = {
  seconds: [[86_400, DAYS], [3600, HOURS], [60, MINUTES], [1, SECONDS]],
  days: [[1, DAYS]],
  bytes: [[1 << 30, sized("GB")], [1 << 20, sized("MB")], [1024, sized("KB")], [1, BYTES]],
};
const NUMBER = /^[0-9]+(\.[0-9]+)?$/;

// The largest unit of which a value is a whole number, else the one it is stored in.
const fitting = (units, value) => units.find(([many]) => value > 0 && value % many === 0) ?? units.at(-1);

export const isSwitch = ({ words }) => words.join() === "0,1";

// In words; `about` is what the table of options says: { unit, words }.
export function valueWords(option, value, about) {
  if (isSwitch(about)) return value === "1" ? t("on") : t("off");
  if (option === "driver") return routeName(value);
  const units = NUMBER.test(value) && UNITS[about.unit];
  if (!units) return value || "–";
  const [many, { words }] = fitting(units, Number(value));
  const whole = words(Number(value) / many);
  const roughly = about.unit === "bytes" && many === 1 && value >= 1024;
  return roughly ? `${whole} (${size(Number(value))})` : whole;
}

// What to change it with: { field, parts, value }, the parts with the field among them; value() is what to store.
export function valueField(option, value, about) {
  if (about.words.length) return choiceOf(option, value, about.words);
  const units = NUMBER.test(value) && UNITS[about.unit];
  if (units) return amountOf(Number(value), units);
  // Secrets in it are not told: what would be stored with them left out is another value.
  const given = value.includes("…") ? { value: "", placeholder: value } : { value };
  const field = h("input", { ...given, spellcheck: false });
  return { field, parts: [field], value: () => field.value.trim() };
}

// What a route is for, in the words of "Add account".
const routeMeaning = (driver) =>
  document.querySelector(`#add-form label:has([value="${CSS.escape(driver)}"]) small`)?.textContent ?? "";

function choiceOf(option, value, words) {
  const isRoute = option === "driver";
  const field = h("select");
  const label = (word) => (isRoute ? routeName(word) : word);
  field.append(...words.map((word) => h("option", { value: word, selected: word === value }, label(word))));
  const meaning = isRoute && h("p", { className: "faint", role: "status" }, routeMeaning(value));
  if (isRoute) field.addEventListener("change", () => setText(meaning, routeMeaning(field.value)));
  return { field, parts: [field, meaning].filter(Boolean), value: () => field.value };
}

function amountOf(value, units) {
  const [many] = fitting(units, value);
  const field = h("input", { value: value / many, inputMode: "decimal", className: "amount" });
  if (units.length === 1) return { field, parts: [field, units[0][1].name()], value: () => field.value.trim() };
  const unit = h("select", { className: "unit", "aria-label": t("Unit of the number") });
  unit.append(...units.map(([each, { name }]) => h("option", { value: each, selected: each === many }, name())));
  function stored() {
    const written = field.value.trim();
    // What is no number is refused in the controller's words.
    return NUMBER.test(written) ? String(Number((Number(written) * Number(unit.value)).toFixed(6))) : written;
  }
  return { field, parts: [field, unit], value: stored };
}
