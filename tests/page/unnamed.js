// Controls that can be seen and have no name for a screen reader.
const found = [];
for (const each of document.querySelectorAll("button, a[href], input, select, textarea, [role=tab], dialog[open], img")) {
  if (!each.checkVisibility()) continue;
  const labels = [...(each.labels ?? [])].map((label) => label.textContent).join("");
  const ids = (each.getAttribute("aria-labelledby") ?? "").split(" ");
  const by = ids.map((id) => document.getElementById(id)?.textContent ?? "");
  const name = each.getAttribute("aria-label") || by.join("") || labels || each.alt || each.textContent;
  if (!name.trim() && each.getAttribute("alt") === null) found.push(each.outerHTML.slice(0, 200));
}
return found;
