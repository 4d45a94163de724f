// The avatar of an account: first the initial of its name, then the user's picture once the avatar is on screen.

import { picture } from "./api.js";
import { h } from "./dom.js";
import { can } from "./routes.js";

const HUES = 7;
// The account fetches pictures from WeChat, so request few at a time, and each once.
const AT_ONCE = 2;
const pictures = new Map(); // path → promise of an object URL, "" for none
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
  let path = "";

  function show(account) {
    const name = nickname(account) || account.name;
    const letter = initial(name);
    const now = (account.activity && can(account, "avatars") && account.avatar) || "";
    if (letter !== shown && !element.querySelector("img")) {
      element.textContent = letter;
      element.dataset.hue = hueOf(account.name);
      shown = letter;
    }
    if (now === path || !now) return;
    path = now;
    wanted.set(element, async () => {
      const image = h("img", { src: await pictureOf(now), alt: "" });
      // If the picture cannot be decoded, the letter stays.
      if (image.src && (await image.decode().then(() => path === now, () => false))) element.replaceChildren(image);
    });
    seen.observe(element);
  }

  return { element, show };
}

// Return an avatar with the initial of a name. Its colour is that of `coloured`, as in the list of accounts.
export function letterFace(name, coloured = name) {
  const element = h("span", { className: "face", "aria-hidden": "true" }, initial(name));
  element.dataset.hue = hueOf(coloured);
  return element;
}

// Prefer a letter or digit to a bracket or an emoji.
const initial = (name) => (name.match(/[\p{L}\p{N}]/u) ?? [...name, "?"])[0].toUpperCase();

function hueOf(name) {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 1_000_003;
  return sum % HUES;
}

function pictureOf(path) {
  if (!pictures.has(path)) {
    pictures.set(path, new Promise((done) => waiting.push({ path, done })));
    next();
  }
  return pictures.get(path);
}

async function next() {
  if (fetching >= AT_ONCE || !waiting.length) return;
  const { path, done } = waiting.shift();
  fetching++;
  try {
    done(URL.createObjectURL(await picture(path.replace(/^\//, ""))));
  } catch {
    done(""); // the letter stays
  }
  fetching--;
  next();
}
