// The search over the operations. It hides those that lack one of the words, in the list and on the page.

import { $, setHidden, setText } from "./dom.js";
import { t } from "./i18n.js";

// cards: the sections of the operations, before forms are added to them.
export function setUpSearch(cards) {
  const texts = new Map(cards.map((card) => [card, card.textContent.toLowerCase()]));
  const search = $("search");
  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (card) => words.every((word) => texts.get(card).includes(word));
    for (const card of cards) {
      setHidden(card, !fits(card));
      setHidden(document.querySelector(`nav a[href="#${card.id}"]`).parentElement, card.hidden);
    }
    for (const heading of document.querySelectorAll("[data-part]")) {
      const part = cards.filter((card) => card.dataset.in === heading.dataset.part);
      setHidden(heading, part.every((card) => card.hidden));
    }
    const n = cards.filter((card) => !card.hidden).length;
    setText($("found"), words.length ? t("{n} operation", { n }, "{n} operations") : "");
  };
  search.addEventListener("input", show);
  // A link must reach its target, also if the search hides it.
  window.addEventListener("hashchange", () => {
    const target = document.getElementById(location.hash.slice(1));
    if (!target?.closest("[hidden]")) return;
    search.value = "";
    show();
    target.scrollIntoView();
  });
  setHidden(search.parentElement, false);
}
