// Parts that are loaded when somebody needs them, so that the list is there sooner.

import { call } from "./api.js";
import { h } from "./dom.js";
import { viewsKnown } from "./i18n.js";

// The style sheet of all parts comes with the first of them. Raises a TypeError where import() would.
let styled = null;
function viewsStyled() {
  styled ??= new Promise((done, failed) => {
    const href = new URL("./views.css", import.meta.url).href;
    const sheet = h("link", { rel: "stylesheet", href, onload: done });
    sheet.onerror = () => {
      sheet.remove();
      styled = null;
      failed(new TypeError(href));
    };
    document.head.append(sheet);
  });
  return styled;
}

// Returns load() of a dynamic import, remembered; prepare(module) is called once. A page that was open while the
// controller was upgraded no longer finds its parts, and is loaded again. Raises a Problem when nobody answers.
export function lazily(load, prepare = () => {}) {
  let loaded = null;
  return async function part() {
    if (loaded) return loaded;
    try {
      const [found] = await Promise.all([load(), viewsKnown(), viewsStyled()]);
      if (!loaded) prepare(found);
      loaded = found;
    } catch (failure) {
      await call("GET", "v1/access");
      if (!(failure instanceof TypeError)) throw failure;
      location.reload();
      await new Promise(() => {}); // until it is
    }
    return loaded;
  };
}
