// Times and sizes in words.

import { language, t } from "./i18n.js";

const hours = { hourCycle: "h23" };
const clock = new Intl.DateTimeFormat(language, { ...hours, timeStyle: "medium" });
const day = new Intl.DateTimeFormat(language, { ...hours, dateStyle: "medium", timeStyle: "short" });

// Return a duration, such as "5 min".
export function lasted(seconds) {
  if (seconds < 60) return t("{n} s", { n: Math.floor(seconds) });
  if (seconds < 3600) return t("{n} min", { n: Math.floor(seconds / 60) });
  if (seconds < 86400) return t("{n} h", { n: Math.floor(seconds / 3600) });
  return t("{n} d", { n: Math.floor(seconds / 86400) });
}

// Return an age for a table column: "now", "5 min", "–" for none.
export const age = (since) => aged(since, (old) => old);

// Return an age for a sentence: "now", "5 min ago".
export const ago = (since) => aged(since, (old) => t("{age} ago", { age: old }));

function aged(since, words) {
  if (!since) return "–";
  const seconds = Date.now() / 1000 - since;
  return seconds < 5 ? t("now") : words(lasted(seconds));
}

export const exactly = (since) => (since ? day.format(since * 1000) : "");

const minutes = new Intl.DateTimeFormat(language, { ...hours, hour: "2-digit", minute: "2-digit" });
const date = new Intl.DateTimeFormat(language, { month: "short", day: "numeric" });
const longDate = new Intl.DateTimeFormat(language, { dateStyle: "full" });

const DAY = 86_400_000;

// Whether a time is today, or `before` milliseconds earlier.
function isToday(when, before = 0) {
  return new Date(Date.now() - before).toDateString() === new Date(when * 1000).toDateString();
}

// Return the day, for date separators.
export function dayOf(since) {
  if (isToday(since)) return t("Today");
  return isToday(since, DAY) ? t("Yesterday") : longDate.format(since * 1000);
}

export const timeOf = (since) => minutes.format(since * 1000);

// Return the time of day if it is today, else the day: for a list.
export const shortly = (since) => (isToday(since) ? timeOf(since) : date.format(since * 1000));

// Return the time of day if it is today, else date and time.
export function moment(since) {
  const date = new Date(since * 1000);
  return date.toDateString() === new Date().toDateString() ? clock.format(date) : day.format(date);
}

export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  if (bytes < 1024 * 1024) return `${Math.ceil(bytes / 1024)} KB`;
  return `${(bytes / 1024 / 1024).toFixed(bytes < 100 * 1024 * 1024 ? 1 : 0)} MB`;
}

// Return the last answer of a webhook, such as "200 · 14 ms".
export const answerWords = ({ status, milliseconds: n }) => `${status ?? t("no answer")} · ${t("{n} ms", { n })}`;

export const count = (number) => (number === null || number === undefined ? "–" : String(number));
