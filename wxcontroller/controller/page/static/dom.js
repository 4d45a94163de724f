// Making and finding elements. Texts only ever get in as text nodes.

export const $ = (id) => document.getElementById(id);

// h("td", { className: "number", "data-x": 1 }, "text", element, …): properties by name, attributes by a dash in it
// (and role).
export function h(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.includes("-") || name === "role" || name === "for") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== "" && child !== null && child !== undefined));
  return made;
}

// The same for parts of a drawing; all of them are attributes.
export function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS($("icons").namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// One of the drawings of icons.html.j2.
export const icon = (name) =>
  drawn("svg", { class: "icon", "aria-hidden": "true" }, drawn("use", { href: `#i_${name}` }));

// Writes only what is different: the browser then lays out only what changed.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setHidden(element, hidden) {
  if (element.hidden !== hidden) element.hidden = hidden;
}

export function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

// Which control of a list this is, however often the list is drawn.
const identity = (one) => [one.closest("[data-id]")?.dataset.id, one.dataset.action, one.getAttribute("href")].join();

// Draw a list again. The focus stays on what does the same for the same thing, if it is still there.
export function redraw(place, items) {
  const held = place.contains(document.activeElement) && identity(document.activeElement);
  place.replaceChildren(...items);
  if (held === false) return;
  const next = [...place.querySelectorAll("a, button, input")].find((one) => identity(one) === held);
  next?.focus({ preventScroll: true });
}

// Has each cell of a table know its column's head: a phone shows a row as lines, each with its head before it.
export function labelCells({ tHead, tBodies: [body] }) {
  const heads = [...tHead.rows[0].cells].map(({ textContent }) => textContent);
  for (const row of body.rows) [...row.cells].forEach((cell, at) => (cell.dataset.head = heads[at]));
}
