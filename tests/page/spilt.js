// Elements whose content is wider than they are, and stands on what is beside them.
const found = [];
for (const each of document.querySelectorAll("body *")) {
  if (!each.checkVisibility() || each.closest(".unseen, .skip, thead, noscript") || !each.clientWidth) continue;
  if (getComputedStyle(each).overflowX !== "visible") continue;
  if (each.scrollWidth > each.clientWidth + 1) found.push(`${each.scrollWidth} > ${each.clientWidth} ${each.outerHTML.slice(0, 150)}`);
}
return found;
