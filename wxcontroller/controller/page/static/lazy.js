// Loads parts when they are needed, so that the list appears sooner.

import { call } from "./api.js";
import { h } from "./dom.js";
import { viewsKnown } from "./i18n.js";
import { path } from "./paths.js";

// Load the style sheet of all parts with the first of them. Raises a TypeError if it fails, as import() does.
let styled = null;
function viewsStyled() {
  styled ??= new Promise((done, failed) => {
    const sheet = h("link", { rel: "stylesheet", href: new URL("./views.css", import.meta.url).href, onload: done });
    sheet.onerror = () => {
      sheet.remove();
      styled = null;
      failed(new TypeError("views.css"));
    };
    document.head.append(sheet);
  });
  return styled;
}

// Return a function that loads a module once and calls prepare(module). A page that was open during an upgrade of the
// controller no longer finds its parts, and reloads. Raises a Problem if the controller does not answer.
export function lazily(load, prepare = () => {}) {
  let loaded = null;
  return async function part() {
    if (loaded) return loaded;
    try {
      const [found] = await Promise.all([load(), viewsKnown(), viewsStyled()]);
      if (!loaded) prepare(found);
      loaded = found;
    } catch (failure) {
      await call("GET", path`v1/access`);
      if (!(failure instanceof TypeError)) throw failure;
      location.reload();
      await new Promise(() => {}); // wait for the reload
    }
    return loaded;
  };
}
