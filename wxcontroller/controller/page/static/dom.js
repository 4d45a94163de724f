// Create and find elements. Text is only inserted as text nodes.

export const $ = (id) => document.getElementById(id);

// Create an element: h("td", { className: "number", "data-x": 1 }, "text", element, …). Names with a dash, role and
// for are attributes, others are properties.
export function h(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.includes("-") || name === "role" || name === "for") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== "" && child !== null && child !== undefined).flatMap(unbroken));
  return made;
}

// Browsers break a line after the hyphens of an option like --dead: keep each in one piece. No option is longer, and a
// long word of a message must break.
const OPTION = /(--[a-z][\w-]{0,30}(?![\w-]))/;

function unbroken(child) {
  if (typeof child !== "string" || !OPTION.test(child)) return child;
  const whole = (word) => Object.assign(document.createElement("span"), { className: "unbroken", textContent: word });
  return child.split(OPTION).map((part, n) => (n % 2 ? whole(part) : part));
}

// The same for SVG elements, with attributes only.
export function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS($("icons").namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Returns a function that copies what make() returns. Copying takes a fraction of the time that making it takes.
export function copies(make) {
  let made = null;
  return () => (made ??= make()).cloneNode(true);
}

// Return one of the icons of icons.html.j2.
export const icon = (name) =>
  drawn("svg", { class: "icon", "aria-hidden": "true" }, drawn("use", { href: `#i_${name}` }));

// The setters write only what differs, because each write makes the browser lay out again.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setHidden(element, hidden) {
  if (element.hidden !== hidden) element.hidden = hidden;
}

export function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

// A click may be meant for the control that was under the pointer a moment ago, and a double click is meant for one. So
// the pointer cannot click yet on one that takes the place of another. Focus, keys and screen readers can use it at once.
const MOMENT = 1000;
const settling = new WeakMap(); // by control: its timer, and the control that it frees

export function settle(control) {
  const place = placeOf(control);
  clearTimeout(settling.get(place)?.timer);
  const wait = { timer: setTimeout(() => delete wait.place.dataset.settling, MOMENT) };
  keepSettling(place, wait);
}

function keepSettling(place, wait) {
  wait.place = place;
  place.dataset.settling = "";
  settling.set(place, wait);
}

// A click on a label is one on its control.
const placeOf = (control) => control.closest("label") ?? control;

// What identifies a control when its list is redrawn.
const identity = (one) => [one.closest("[data-id]")?.dataset.id, one.dataset.action, one.getAttribute("href")].join();

const controlsIn = (place) => [...place.querySelectorAll("a, button, input")];

// Redraw a list. The focus stays on the same control, if it still exists, and one that cannot be clicked yet still cannot.
export function redraw(place, items) {
  const held = place.contains(document.activeElement) && identity(document.activeElement);
  const hovered = place.querySelector("button:hover");
  const pointed = hovered && identity(hovered); // now, as the place itself may carry the id
  const unsettled = controlsIn(place).filter((one) => placeOf(one).dataset.settling !== undefined);
  const waits = new Map(unsettled.map((one) => [identity(one), settling.get(placeOf(one))]));
  place.replaceChildren(...items);
  const controls = controlsIn(place);
  for (const one of controls) if (waits.has(identity(one))) keepSettling(placeOf(one), waits.get(identity(one)));
  const next = controls.find((one) => identity(one) === held);
  const isGone = pointed && !controls.some((one) => identity(one) === pointed);
  if (isGone) controls.filter((one) => one !== next).forEach(settle);
  next?.focus({ preventScroll: true });
}

// Note the column's head in each cell. Phones show each cell on its own line, after its head.
export function labelCells({ tHead, tBodies: [body] }) {
  const heads = [...tHead.rows[0].cells].map(({ textContent }) => textContent);
  for (const row of body.rows) [...row.cells].forEach((cell, at) => (cell.dataset.head = heads[at]));
}
