// The list of all accounts, those in trouble first. Rows are updated one by one. Many rows are drawn in portions,
// from the top; search, filters, order and selection work on all rows, drawn or not.

import { onBusy } from "./actions.js";
import { may } from "./api.js";
import { $, setHidden, setText } from "./dom.js";
import { t } from "./i18n.js";
import { setUpMenu } from "./menu.js";
import { comparing, keepSorted, orderOf, setUpSorting } from "./order.js";
import { rowOf } from "./row.js";
import { enterBulk, select, selected, setUpSelection, showBulk } from "./selection.js";
import { accounts, listen } from "./store.js";

const TICK_SECONDS = 15;
const SECTIONS = ["attention", "running", "off"];
// Rows in the first portion, about a screenful. Between portions the browser paints and handles clicks.
const PORTION = 30;
// How long later portions are drawn without a pause: each pause costs a layout, and a longer task would delay clicks.
const MILLISECONDS = 30;
// Controls of a row, other than its link.
const CONTROLS = [".pick input", ".why button", ".fix *", ".more"];
const rows = new Map();
const placed = { attention: [], running: [], off: [] }; // the rows of each section in their order
const bodyOf = (section) => $(`rows-${section}`);
let shown = "all";
let isDrawing = false;
// The cell with the control under the mouse, which may be settling: rows stay until the mouse leaves it, or rests a while.
let aimed = null;
let isResting = false;
const late = new Set(); // sections whose rows could not move yet
let picked = null; // the last row whose box was clicked: Shift selects a range from it

export function setUpList() {
  listen(({ names, gone, all }) => {
    const moved = new Set(gone.map(drop));
    for (const name of names) for (const section of change(name)) moved.add(section);
    moved.forEach(arrange);
    if (all || gone.length || names.size) refresh();
    drawRest();
  });
  onBusy((name) => rows.get(name)?.drawing?.touch());
  setInterval(tick, TICK_SECONDS * 1000);
  $("search").addEventListener("input", refresh);
  $("chips").addEventListener("click", ({ target }) => {
    const chip = target.closest("[data-show]");
    if (chip) show(chip);
  });
  $("rows").addEventListener("pointerover", ({ target, pointerType }) => {
    rowAround(target)?.drawing.point();
    const control = pointerType === "mouse" && target.closest("tbody :is(a, button, input, .actions, .fix)");
    aim(control ? control.closest("td, th") : null);
  });
  $("rows").addEventListener("pointermove", () => (isResting = false));
  $("rows").addEventListener("pointerleave", () => aim(null));
  $("menu").addEventListener("toggle", settle);
  $("rows").addEventListener("keydown", walk);
  $("rows").addEventListener("focusin", ({ target }) => rowAround(target)?.drawing.point());
  $("rows").addEventListener("click", ({ target, shiftKey }) => {
    if (target.type === "checkbox") pick(target, shiftKey);
    else rowAround(target)?.drawing.click(target);
  });
  document.addEventListener("keydown", hotKey);
  window.addEventListener("beforeprint", () => drawSome(rows.size));
  setUpMenu();
  setUpSelection(showPicked);
  setUpSorting(() => SECTIONS.forEach(arrange));
}

const rowAround = (element) => rows.get(element.closest("[data-account]")?.dataset.account);

function show(chip) {
  shown = chip.dataset.show;
  for (const each of $("chips").children) each.setAttribute("aria-pressed", String(each === chip));
  refresh();
}

// "/" focuses the search, as on many sites.
function hotKey(event) {
  const writing = event.target.closest("input, textarea, select, dialog");
  if (event.key === "Escape" && event.target === $("search")) {
    $("search").value = "";
    refresh();
  } else if (event.key === "/" && !writing && !event.ctrlKey && !event.metaKey && !$("list").hidden) {
    event.preventDefault();
    $("search").focus();
  }
}

// Go to the same control of the row above or below, or from a box to the bar that acts on all selected rows.
function walk(event) {
  if (event.key === "Enter" && event.target.type === "checkbox") {
    enterBulk(event.target);
    event.preventDefault(); // it would click the bar's button
  }
  const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const row = way && rowAround(event.target);
  if (!row) return;
  const shown = SECTIONS.flatMap(visible).filter(({ drawing }) => drawing);
  const next = shown[shown.indexOf(row) + way]?.drawing.element;
  const same = CONTROLS.find((each) => event.target.matches(each));
  (next?.querySelector(same) ?? next?.querySelector("a"))?.focus();
  event.preventDefault();
}

function drop(name) {
  const row = rows.get(name);
  if (!row) return "off";
  row.drawing?.element.remove();
  rows.delete(name);
  placed[row.place] = placed[row.place].filter((each) => each !== row);
  return row.place;
}

// Update or create a row; return the sections whose order changes.
function change(name) {
  const row = rows.get(name);
  if (!row) {
    const made = rowOf(accounts.get(name));
    rows.set(name, made);
    return [made.section];
  }
  const [section, order] = [row.section, orderOf(row)];
  row.update(accounts.get(name));
  if (section !== row.section) return [section, row.section];
  return section === "attention" && order !== orderOf(row) ? [section] : [];
}

function arrange(section) {
  if (isHeld()) return late.add(section);
  placed[section] = [...rows.values()].filter((row) => row.section === section).sort(comparing(section));
  for (const row of placed[section]) row.settle();
  return stand(section);
}

// A row that moves between aiming and clicking, or below an open menu, makes people act on another account.
const isHeld = () => Boolean(aimed?.isConnected) || $("menu").matches(":popover-open");

function aim(cell) {
  aimed = cell;
  settle();
}

function settle() {
  if (isHeld() || !late.size) return;
  const sections = [...late];
  late.clear();
  sections.forEach(arrange);
  refresh();
  drawRest();
}

// Put the drawn rows of a section in order, without moving rows that are in place.
function stand(section) {
  const body = bodyOf(section);
  let next = body.firstElementChild;
  for (const { drawing } of placed[section]) {
    if (!drawing) continue;
    const { element } = drawing;
    if (element === next) {
      next = next.nextElementSibling;
      continue;
    }
    const focused = element.contains(document.activeElement) ? document.activeElement : null;
    body.insertBefore(element, next);
    focused?.focus({ preventScroll: true }); // moving the element loses the focus
  }
}

// Draw new rows, the first portion at once.
async function drawRest() {
  if (isDrawing) return;
  isDrawing = true;
  try {
    for (let end = 0; drawSome(PORTION); ) {
      if (performance.now() < end) continue;
      await pause();
      end = performance.now() + MILLISECONDS;
    }
  } finally {
    isDrawing = false;
  }
  if (!performance.getEntriesByName("accounts").length) performance.mark("accounts");
}

// Not all browsers have scheduler.yield.
const pause = () => globalThis.scheduler?.yield?.() ?? new Promise((done) => setTimeout(done));

// Draw up to `most` missing rows in their order, filtered rows last; return whether some are left.
function drawSome(most) {
  const missing = SECTIONS.flatMap((section) => placed[section]).filter((row) => !row.drawing);
  const next = [...missing.filter(({ fits }) => fits), ...missing.filter(({ fits }) => !fits)].slice(0, most);
  for (const row of next) {
    setHidden(row.draw(), !row.fits);
    row.drawing.pick.checked = selected.has(row.account.name);
  }
  new Set(next.map(({ section }) => section)).forEach(stand);
  return missing.length > next.length;
}

function tick() {
  for (const { drawing } of rows.values()) drawing?.tick();
  if (isResting) aim(null);
  isResting = true;
  if (keepSorted() && !$("rows").matches(":hover, :focus-within")) SECTIONS.forEach(arrange);
}

function pick(box, shift) {
  if (box.dataset.all) {
    const names = visible(box.dataset.all).map(({ account }) => account.name);
    const others = [...selected].filter((name) => !names.includes(name));
    picked = null;
    return select(box.checked ? [...others, ...names] : others);
  }
  const { name } = rowAround(box).account;
  const names = SECTIONS.flatMap(visible).map(({ account }) => account.name);
  const [one, other] = [names.indexOf(picked), names.indexOf(name)];
  const range = shift && one >= 0 ? names.slice(Math.min(one, other), Math.max(one, other) + 1) : [name];
  const rest = [...selected].filter((each) => !range.includes(each));
  picked = name;
  return select(box.checked ? [...rest, ...range] : rest);
}

// The rows of a section in order, without filtered ones.
const visible = (section) => placed[section].filter(({ fits }) => fits);

function showPicked() {
  for (const [name, { drawing }] of rows) if (drawing) drawing.pick.checked = selected.has(name);
  for (const section of SECTIONS) {
    const names = visible(section).map(({ account }) => account.name);
    const some = names.filter((name) => selected.has(name)).length;
    const box = document.querySelector(`#rows [data-all=${section}]`);
    box.checked = some > 0 && some === names.length;
    box.indeterminate = some > 0 && some < names.length;
  }
}

// Apply search and filter, and update all counts. A chip shows the same number as the head of its section.
function refresh() {
  const wanted = $("search").value.trim().toLowerCase();
  const counts = { all: 0, attention: 0, running: 0, off: 0, busy: 0 };
  const inSection = { attention: 0, running: 0, off: 0 };
  const routes = new Set();
  let some = false;
  for (const row of rows.values()) {
    counts.all++;
    counts[row.section]++;
    if (row.section === "running" && row.isBusy) counts.busy++;
    routes.add(row.account.driver);
    row.fits = (shown === "all" || row.place === shown) && row.key.includes(wanted);
    if (row.drawing) setHidden(row.drawing.element, !row.fits);
    if (row.fits) inSection[row.place]++;
    some ||= row.fits;
  }
  for (const section of SECTIONS) {
    setHidden($(`section-${section}`), !inSection[section]);
    setText($(`number-${section}`), String(inSection[section]));
  }
  for (const chip of $("chips").children) setText(chip.querySelector("b"), String(counts[chip.dataset.show]));
  outline(counts, routes);
  setHidden($("no-match"), counts.all === 0 || some);
  if (selected.size) showBulk();
}

function outline({ all, running, busy, attention }, routes) {
  setHidden($("loading"), true);
  setHidden($("empty"), all > 0);
  setHidden($("filters"), all === 0);
  setHidden($("search").parentElement, all === 0);
  setHidden($("open-add"), all === 0 || !may("control"));
  setHidden($("empty-add"), !may("control"));
  $("rows").classList.toggle("one-route", routes.size < 2);
  $("rows").classList.toggle("read-only", !may("control"));
  const needs = t("{n} needs attention", { n: attention }, "{n} need attention");
  const parts = [t("{n} running", { n: running - busy }), attention && needs].filter(Boolean);
  setText($("summary"), all ? parts.join(" · ") : "");
}
