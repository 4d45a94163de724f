// Small charts in a row: the last minutes of an account, and its messages per hour.

import { drawn } from "./dom.js";
import { t } from "./i18n.js";

const STEP = 3;
const HEIGHT = 14;
const CLASSES = { r: "up", o: "off", n: "none" };
const SPARK = { width: 84, height: 20 };
// Most accounts were running all the time, so their charts have the same paths.
const paths = new Map();
const MOST_PATHS = 500;

function pathsOf(beats) {
  let made = paths.get(beats);
  if (made) return made;
  made = { r: "", o: "", n: "" };
  [...beats].forEach((beat, index) => (made[beat] += `M${index * STEP + 1} 0v${HEIGHT}`));
  if (paths.size > MOST_PATHS) paths.clear();
  paths.set(beats, made);
  return made;
}

export function drawnBeats() {
  const lines = Object.values(CLASSES).map((name) => drawn("path", { class: name }));
  return drawn("svg", { class: "beats", role: "img", height: HEIGHT, preserveAspectRatio: "none" }, ...lines);
}

// show(beats) updates the chart; "" hides it.
export function beatsBar(element = drawnBeats()) {
  let shown = null;
  function show(beats) {
    if (beats === shown) return;
    shown = beats;
    element.toggleAttribute("hidden", !beats);
    if (!beats) return;
    const found = pathsOf(beats);
    Object.keys(CLASSES).forEach((beat, index) => element.children[index].setAttribute("d", found[beat]));
    element.setAttribute("viewBox", `0 0 ${beats.length * STEP} ${HEIGHT}`);
    element.setAttribute("width", String(beats.length * STEP));
    element.setAttribute("aria-label", beatsWords(beats));
  }
  return { element, show };
}

export function beatsWords(beats) {
  const running = beats.split("r").length - 1;
  return t("Running in {n} of {all} minutes", { n: running, all: beats.length });
}

export const drawnSpark = () =>
  drawn("svg", { class: "spark", role: "img", ...SPARK, viewBox: "0 0 84 20" }, drawn("path"));

// The same for messages per hour; without messages, the chart is hidden.
export function sparkLine(element) {
  let shown = null;
  function show(hours) {
    const now = hours?.join() ?? "";
    if (now === shown) return;
    shown = now;
    const sum = (hours ?? []).reduce((one, other) => one + other, 0);
    element.toggleAttribute("hidden", !sum);
    if (!sum) return;
    const most = Math.max(...hours);
    const step = SPARK.width / (hours.length - 1);
    const points = hours.map((n, index) => `${(index * step).toFixed(1)} ${(18 - (n / most) * 16).toFixed(1)}`);
    element.firstChild.setAttribute("d", `M${points.join("L")}`);
    const label = t("{n} messages in 24 hours, {hour} in this one", { n: sum, hour: hours.at(-1) });
    element.setAttribute("aria-label", label);
  }
  return { element, show };
}
