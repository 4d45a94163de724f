// Values of options as people read and enter them: switches, choices, and durations and sizes with units.

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
// Units by the unit of the stored value, each with how many of that it is.
const UNITS = {
  seconds: [[86_400, DAYS], [3600, HOURS], [60, MINUTES], [1, SECONDS]],
  days: [[1, DAYS]],
  bytes: [[1 << 30, sized("GB")], [1 << 20, sized("MB")], [1024, sized("KB")], [1, BYTES]],
};
const NUMBER = /^[0-9]+(\.[0-9]+)?$/;

// Return the largest unit that divides the value, else the stored one.
const fitting = (units, value) => units.find(([many]) => value > 0 && value % many === 0) ?? units.at(-1);

export const isSwitch = ({ words }) => words.join() === "0,1";

// Return a value in words; `about` is { unit, words } from the table of options.
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

// Return { field, parts, value }: the input, all elements of the form, and value(), which returns what to store.
export function valueField(option, value, about) {
  if (about.words.length) return choiceOf(option, value, about.words);
  const units = NUMBER.test(value) && UNITS[about.unit];
  if (units) return amountOf(Number(value), units);
  // The API hides secrets as "…". Storing such a value would lose the secret, so it is only the placeholder.
  const given = value.includes("…") ? { value: "", placeholder: value } : { value };
  const field = h("input", { ...given, spellcheck: false });
  return { field, parts: [field], value: () => field.value.trim() };
}

// Return the description of a route, as in "Add account".
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
    // The controller refuses other input, with an explanation.
    return NUMBER.test(written) ? String(Number((Number(written) * Number(unit.value)).toFixed(6))) : written;
  }
  return { field, parts: [field, unit], value: stored };
}
