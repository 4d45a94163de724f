// Times and sizes in words.

import { language, t } from "./i18n.js";

const UNITS = [
  [86400, "day"],
  [3600, "hour"],
  [60, "minute"],
  [1, "second"],
];
const hours = { hourCycle: "h23" };
const clock = new Intl.DateTimeFormat(language, { ...hours, timeStyle: "medium" });
const day = new Intl.DateTimeFormat(language, { ...hours, dateStyle: "medium", timeStyle: "short" });

// "5 min": how long ago some seconds since 1970 were.
export function ago(since) {
  if (!since) return "–";
  const seconds = Math.max(0, Date.now() / 1000 - since);
  if (seconds < 5) return t("now");
  if (seconds < 60) return t("{n} s", { n: Math.floor(seconds) });
  if (seconds < 3600) return t("{n} min", { n: Math.floor(seconds / 60) });
  if (seconds < 86400) return t("{n} h", { n: Math.floor(seconds / 3600) });
  return t("{n} d", { n: Math.floor(seconds / 86400) });
}

// "5 min", "5分钟": how long some seconds last.
export function lasted(seconds) {
  const [size, unit] = UNITS.find(([least]) => seconds >= least) ?? UNITS.at(-1);
  const words = new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short" });
  return words.format(Math.floor(seconds / size));
}

export const exactly = (since) => (since ? day.format(since * 1000) : "");

const minutes = new Intl.DateTimeFormat(language, { ...hours, hour: "2-digit", minute: "2-digit" });
const date = new Intl.DateTimeFormat(language, { month: "short", day: "numeric" });
const longDate = new Intl.DateTimeFormat(language, { dateStyle: "full" });

const DAY = 86_400_000;

// Whether a moment is of today, or of the day so many milliseconds before.
function isToday(when, before = 0) {
  return new Date(Date.now() - before).toDateString() === new Date(when * 1000).toDateString();
}

// The day of a moment, as it stands between messages and events.
export function dayOf(since) {
  if (isToday(since)) return t("Today");
  return isToday(since, DAY) ? t("Yesterday") : longDate.format(since * 1000);
}

export const timeOf = (since) => minutes.format(since * 1000);

// The time of day for today, the day before that: for a list.
export const shortly = (since) => (isToday(since) ? timeOf(since) : date.format(since * 1000));

// The time of day for today, the date before that.
export function moment(since) {
  const date = new Date(since * 1000);
  return date.toDateString() === new Date().toDateString() ? clock.format(date) : day.format(date);
}

export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  if (bytes < 1024 * 1024) return `${Math.ceil(bytes / 1024)} KB`;
  return `${(bytes / 1024 / 1024).toFixed(bytes < 100 * 1024 * 1024 ? 1 : 0)} MB`;
}

// "200 · 14 ms": what a webhook answered last.
export const answerWords = ({ status, milliseconds: n }) => `${status ?? t("no answer")} · ${t("{n} ms", { n })}`;

export const count = (number) => (number === null || number === undefined ? "–" : String(number));
