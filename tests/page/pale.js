// Text with too little contrast to what is behind it (WCAG 2.1, 1.4.3: 4.5), where that is one plain colour.
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const rgb = (colour) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return canvas.getImageData(0, 0, 1, 1).data;
};
const light = ([...channels]) => {
  const [r, g, b] = channels.slice(0, 3).map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const found = [];
for (const each of document.querySelectorAll("body *")) {
  const text = [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!text || !each.checkVisibility() || each.closest(":disabled, .unseen, .skip, noscript")) continue;
  let behind = each;
  while (behind && rgb(getComputedStyle(behind).backgroundColor)[3] < 255) behind = behind.parentElement;
  const colours = [getComputedStyle(each).color, getComputedStyle(behind ?? document.body).backgroundColor];
  const [one, other] = colours.map((colour) => light(rgb(colour)));
  const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${each.outerHTML.slice(0, 150)}`);
}
return found;
