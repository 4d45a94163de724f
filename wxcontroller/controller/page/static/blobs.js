// Fetched content that is shown or saved. No other addresses are given to images and downloads.

const addresses = new WeakMap(); // blob → its object URL

function addressOf(blob) {
  if (!addresses.has(blob)) addresses.set(blob, URL.createObjectURL(blob));
  return addresses.get(blob);
}

export function drawBlob(image, blob) {
  image.src = addressOf(blob);
}

// Free the memory of content that is no longer shown.
export function freeBlob(blob) {
  if (!addresses.has(blob)) return;
  URL.revokeObjectURL(addresses.get(blob));
  addresses.delete(blob);
}

// Return a link, without a text, that saves content.
export const linkTo = (blob, name) =>
  Object.assign(document.createElement("a"), { href: addressOf(blob), download: name });

export function saveBlob(blob, name) {
  linkTo(blob, name).click();
  setTimeout(() => freeBlob(blob), 10_000); // the browser reads it after this handler
}
