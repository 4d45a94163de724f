// A row of the list. It is drawn once; later only the parts that differ are changed. A row in trouble shows
// what to do and the reason, other rows show their last minutes, their messages and what is unusual.

import { isBusy, offer } from "./actions.js";
import { lineOf, shownState } from "./advice.js";
import { may } from "./api.js";
import { detailOf, fixOf } from "./detail.js";
import { copies, h, icon, setClass, setHidden, setText } from "./dom.js";
import { drawnFace, faceOf, nickname } from "./face.js";
import { beatsBar, drawnBeats, drawnSpark, sparkLine } from "./graphics.js";
import { t } from "./i18n.js";
import { iconOf, openMenu, perform, wordOf } from "./menu.js";
import { placeOf } from "./paths.js";
import { routeShort } from "./routes.js";
import { groupsOf, noteOf, sectionOf } from "./states.js";
import { age, exactly } from "./words.js";

// Shown on hover, next to the menu with all actions.
const QUICK = ["start", "restart", "stop"];

const cell = (className, ...children) => h("td", { role: "cell", className }, ...children);

const cellsOf = (...cells) => {
  const made = document.createDocumentFragment();
  made.append(...cells);
  return made;
};

const copyRow = copies(() => {
  const more = h("button", { type: "button", className: "plain more", "aria-haspopup": "menu" }, icon("more"));
  const who = h("th", { scope: "row", role: "rowheader" }, drawnFace(), h("span", {}, h("a"), h("small")));
  const pick = cell("pick", h("input", { type: "checkbox" }));
  return h("tr", { role: "row" }, pick, who, cell("told", h("span")), cell("actions", more));
});
const copyTrouble = copies(() => {
  const why = h("button", { type: "button", className: "plain", "aria-expanded": "false" }, icon("open"), h("span"));
  return cellsOf(cell("fix"), cell("why", why), cell("number", h("span")), cell("detail"));
});
const copyPlain = copies(() => {
  const drawings = [cell("minutes", drawnBeats()), cell("hours", drawnSpark())];
  return cellsOf(cell("route", h("span")), ...drawings, cell("number", h("span")), cell("note", h("span")));
});

// Keeps of an account what the list needs to sort, count and search. The visible part is `drawing`, null until
// draw(): drawing hundreds of accounts at once would block clicks. A row stands in the section `place` until settle()
// moves it to `section`, where it belongs.
export function rowOf(account) {
  const row = { drawing: null, fits: true, update, draw, settle };

  function update(now) {
    row.account = now;
    row.key = `${now.name}\n${now.instance}\n${nickname(now)}\n${now.host ?? ""}`.toLowerCase();
    row.section = sectionOf(now);
    row.isBusy = groupsOf(now).has("busy");
    row.place ??= row.section;
    row.drawing?.update();
  }

  function settle() {
    if (row.place === row.section) return;
    row.place = row.section;
    row.drawing?.update();
  }

  function draw() {
    row.drawing = drawingOf(row);
    return row.drawing.element;
  }

  update(account);
  return row;
}

function drawingOf(row) {
  const { name } = row.account;
  const element = copyRow();
  const [{ firstChild: pick }, who, { firstChild: state }, actions] = element.children;
  const face = faceOf(who.firstChild);
  const [link, user] = who.lastChild.children;
  const more = actions.firstChild;
  element.dataset.account = name;
  pick.setAttribute("aria-label", t("Select {name}", { name }));
  link.href = placeOf(name);
  link.textContent = name;
  more.setAttribute("aria-label", t("Actions: {name}", { name }));
  let quick = null;
  let middle = null; // the cells that depend on whether the account is in trouble
  let troubled = null;

  function update() {
    const { account: now, place } = row;
    if (troubled !== (place === "attention")) {
      troubled = place === "attention";
      change(troubled ? trouble() : plain());
    }
    face.show(now);
    const about = nickname(now) || (now.instance === now.name ? "" : now.instance);
    setText(user, [about, now.host].filter(Boolean).join(" · "));
    const { tone, word } = shownState(now);
    setClass(state, `state ${tone}`);
    setText(state, word);
    middle.update(now);
    tick();
    touch();
  }

  function change(to) {
    for (const each of middle?.cells ?? []) each.remove();
    middle = to;
    actions.before(...to.cells);
    if (to.detail) element.append(to.detail);
  }

  function trouble() {
    const cells = [...copyTrouble().children];
    const [fix, { firstChild: why }, { firstChild: since }, detail] = cells;
    const text = why.lastChild;
    detail.hidden = true;
    return {
      cells,
      detail, // below the others
      update(now) {
        setText(text, lineOf(now));
        setHidden(why, !lineOf(now));
        fixOf(now, fix);
        if (!detail.hidden) detail.replaceChildren(...detailOf(now));
      },
      tick(now) {
        const began = now.advice?.since ?? now.since;
        setText(since, began ? age(began) : "");
        since.title = exactly(began);
      },
      unfold() {
        detail.hidden = !detail.hidden;
        why.setAttribute("aria-expanded", String(!detail.hidden));
        if (!detail.hidden) detail.replaceChildren(...detailOf(row.account));
      },
    };
  }

  function plain() {
    const cells = [...copyPlain().children];
    const [route, minutes, hours, last, note] = cells.map(({ firstChild }) => firstChild);
    const [beats, spark] = [beatsBar(minutes), sparkLine(hours)];
    return {
      cells,
      update(now) {
        setText(route, routeShort(now.driver));
        beats.show(now.heartbeats ?? "");
        spark.show(now.hourly_messages);
        const words = noteOf(now);
        setText(note, words);
        if (note.title !== words) note.title = words;
      },
      tick({ activity }) {
        const at = activity?.last_message;
        setText(last, at ? age(at) : "");
        if (at) last.title = exactly(at);
      },
    };
  }

  // Ages change without news.
  function tick() {
    middle.tick(row.account);
  }

  // Offers what can be done now; nothing while an action is running.
  function touch() {
    setClass(element, isBusy(name) ? "busy" : "");
    if (offer(element.querySelectorAll("[data-action]"), row.account)) link.focus();
    setHidden(more, !may("read"));
  }

  // Makes the buttons that are shown on hover, the first time.
  function point() {
    if (quick) return;
    quick = h("span", { className: "quick" }, ...QUICK.map(quickButton));
    actions.prepend(quick);
    touch();
  }

  function quickButton(action) {
    const made = h("button", { type: "button", className: "plain", "data-action": action }, iconOf(action));
    made.setAttribute("aria-label", `${wordOf(action)}: ${name}`);
    made.title = wordOf(action);
    made.addEventListener("click", () => perform(name, action));
    return made;
  }

  function click(target) {
    if (target.closest(".more")) openMenu(more, name);
    else if (target.closest(".why")) middle.unfold();
  }

  update();
  return { element, pick, update, tick, touch, point, click };
}
