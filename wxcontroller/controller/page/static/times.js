// Times of day and days, as lists and date separators show them.

import { t } from "./i18n.js";
import { formatOf } from "./words.js";

export const clock = formatOf({ timeStyle: "medium" });
export const timeOf = formatOf({ hour: "2-digit", minute: "2-digit" });
const date = formatOf({ month: "short", day: "numeric" });
const dated = formatOf({ month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const longDate = formatOf({ dateStyle: "full" });
const DAY = 86_400_000;

// Whether a time is today, or `before` milliseconds earlier.
function isToday(when, before = 0) {
  return new Date(Date.now() - before).toDateString() === new Date(when * 1000).toDateString();
}

// Return the day, for date separators.
export function dayOf(since) {
  if (isToday(since)) return t("Today");
  return isToday(since, DAY) ? t("Yesterday") : longDate(since);
}

// Return the time of day if it is today, else the day: for a list.
export const shortly = (since) => (isToday(since) ? timeOf(since) : date(since));

// Return the time of day if it is today, else day and time.
export const moment = (since) => (isToday(since) ? clock(since) : dated(since));
