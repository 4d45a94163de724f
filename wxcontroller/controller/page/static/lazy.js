// Parts that are loaded when somebody needs them, so that the list is there sooner.

import { call } from "./api.js";
import { viewsKnown } from "./i18n.js";

// Returns load() of a dynamic import, remembered; prepare(module) is called once. A page that was open while the
// controller was upgraded no longer finds its parts, and is loaded again. Raises a Problem when nobody answers.
export function lazily(load, prepare = () => {}) {
  let loaded = null;
  return async function part() {
    if (loaded) return loaded;
    try {
      const [found] = await Promise.all([load(), viewsKnown()]);
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
