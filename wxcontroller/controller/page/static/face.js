// The avatar of an account: first the initial of its name, then the user's picture once the avatar is on screen.

import { picture } from "./api.js";
import { drawBlob } from "./blobs.js";
import { h } from "./dom.js";
import { path } from "./paths.js";
import { can } from "./routes.js";

const HUES = 7;
// The account fetches pictures from WeChat, so request few at a time, and each once.
const AT_ONCE = 2;
const pictures = new Map(); // account and user → promise of a picture, null for none
const waiting = [];
let fetching = 0;

const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    wanted.get(target)?.();
  }
});
const wanted = new WeakMap();

// Return the nickname of the account's user, "" if the route knows only an id.
export function nickname({ user }) {
  return user?.name && !user.id?.startsWith(user.name) ? user.name : "";
}

export const drawnFace = (size = "") => h("span", { className: `face ${size}`.trim(), "aria-hidden": "true" });

// show(account) updates the element.
export function faceOf(element) {
  let shown = "";
  let known = "";

  function show(account) {
    const name = nickname(account) || account.name;
    const letter = initial(name);
    const id = account.activity && can(account, "avatars") && account.user?.id;
    const now = id ? JSON.stringify([account.name, id]) : "";
    if (letter !== shown && !element.querySelector("img")) {
      element.textContent = letter;
      element.dataset.hue = hueOf(account.name);
      shown = letter;
    }
    if (now === known || !now) return;
    known = now;
    wanted.set(element, async () => {
      const blob = await pictureOf(now);
      if (!blob) return;
      const image = h("img", { alt: "" });
      drawBlob(image, blob);
      // If the picture cannot be decoded, the letter stays.
      if (await image.decode().then(() => known === now, () => false)) element.replaceChildren(image);
    });
    seen.observe(element);
  }

  return { element, show };
}

// Return an avatar with the initial of a name.
function letterFace(name) {
  const element = h("span", { className: "face", "aria-hidden": "true" }, initial(name));
  element.dataset.hue = hueOf(name);
  return element;
}

// Return the parts of an entry in a list of people: the avatar, the name with a line below, and the time.
export const entryParts = (name, below, when) => [
  letterFace(name),
  h("span", { className: "words" }, h("span", {}, name), h("small", {}, below)),
  h("small", { className: "when" }, when),
];

// Prefer a letter or digit to a bracket or an emoji.
const initial = (name) => (name.match(/[\p{L}\p{N}]/u) ?? [...name, "?"])[0].toUpperCase();

function hueOf(name) {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 1_000_003;
  return sum % HUES;
}

function pictureOf(whose) {
  if (!pictures.has(whose)) {
    pictures.set(whose, new Promise((done) => waiting.push({ whose, done })));
    next();
  }
  return pictures.get(whose);
}

async function next() {
  if (fetching >= AT_ONCE || !waiting.length) return;
  const { whose, done } = waiting.shift();
  const [client, id] = JSON.parse(whose);
  fetching++;
  try {
    done(await picture(path`openwx/get_avatar`.query({ client, id })));
  } catch {
    done(null); // the letter stays
  }
  fetching--;
  next();
}
