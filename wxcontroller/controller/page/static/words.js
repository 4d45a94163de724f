// Times and sizes in words.

import { language, t } from "./i18n.js";

// Formats are made when they are needed: to make one takes up to 4 ms.
export function formatOf(options) {
  let made = null;
  const make = () => new Intl.DateTimeFormat(language, { hourCycle: "h23", ...options });
  return (since) => (made ??= make()).format(since * 1000);
}

const day = formatOf({ dateStyle: "medium", timeStyle: "short" });

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

export const exactly = (since) => (since ? day(since) : "");

export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  if (bytes < 1024 * 1024) return `${Math.ceil(bytes / 1024)} KB`;
  return `${(bytes / 1024 / 1024).toFixed(bytes < 100 * 1024 * 1024 ? 1 : 0)} MB`;
}

// Return the last answer of a webhook, such as "200 · 14 ms".
export const answerWords = ({ status, milliseconds: n }) => `${status ?? t("no response")} · ${t("{n} ms", { n })}`;

export const count = (number) => (number === null || number === undefined ? "–" : String(number));
