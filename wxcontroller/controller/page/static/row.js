// One account's line in the list: drawn once, then changed where it differs. A row in trouble shows why, and what to
// do; the others their last minutes, their messages, and what is not as it usually is.

import { isBusy, possible } from "./actions.js";
import { lineOf, shownState } from "./advice.js";
import { may } from "./api.js";
import { detailOf, fixOf } from "./detail.js";
import { h, icon, setClass, setHidden, setText } from "./dom.js";
import { faceOf, nickname } from "./face.js";
import { beatsBar, sparkLine } from "./graphics.js";
import { t } from "./i18n.js";
import { iconOf, openMenu, perform, wordOf } from "./menu.js";
import { routeShort } from "./routes.js";
import { groupsOf, noteOf, sectionOf } from "./states.js";
import { age, exactly } from "./words.js";

// Those of a row that is pointed at, beside the menu with all of them.
const QUICK = ["start", "restart", "stop"];

const cell = (className, ...children) => h("td", { role: "cell", className }, ...children);

// What the list knows of an account: its section, whether it is about to run or stop, and what a search looks at. The
// line itself is `drawing`, null until draw(): drawing all of many accounts at once would keep a click waiting.
export function rowOf(account) {
  const row = { drawing: null, fits: true, update, draw };

  function update(now) {
    row.account = now;
    row.key = `${now.name}\n${now.instance}\n${nickname(now)}\n${now.host ?? ""}`.toLowerCase();
    row.section = sectionOf(now);
    row.isBusy = groupsOf(now).has("busy");
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
  const face = faceOf();
  const link = h("a", { href: `#/a/${encodeURIComponent(name)}` }, name);
  const user = h("small");
  const state = h("span");
  const pick = h("input", { type: "checkbox", "aria-label": t("Select {name}", { name }) });
  const more = h("button", { type: "button", className: "plain more" }, icon("more"));
  more.setAttribute("aria-label", t("Actions: {name}", { name }));
  more.setAttribute("aria-haspopup", "menu");
  more.addEventListener("click", () => openMenu(more, name));
  const actions = cell("actions", more);
  const who = h("th", { scope: "row", role: "rowheader" }, face.element, h("span", {}, link, user));
  const ends = [cell("pick", pick), who, cell("told", state)];
  const element = h("tr", { role: "row", "data-account": name }, ...ends, actions);
  let quick = null;
  let middle = null; // the cells that depend on whether it is in trouble
  let troubled = null;

  function update() {
    const { account: now, section } = row;
    if (troubled !== (section === "attention")) {
      troubled = section === "attention";
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
    for (const each of to.after ?? []) element.append(each);
    for (const each of element.querySelectorAll(".detail")) if (!to.after?.includes(each)) each.remove();
  }

  function trouble() {
    const text = h("span");
    const why = h("button", { type: "button", className: "why plain", "aria-expanded": "false" }, icon("open"), text);
    const since = h("span");
    const fix = cell("fix");
    const detail = cell("detail");
    detail.hidden = true;
    why.addEventListener("click", () => {
      detail.hidden = !detail.hidden;
      why.setAttribute("aria-expanded", String(!detail.hidden));
      if (!detail.hidden) detail.replaceChildren(...detailOf(row.account));
    });
    return {
      cells: [cell("why", why), cell("number", since), fix],
      after: [detail],
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
    };
  }

  function plain() {
    const [route, last, note] = [h("span"), h("span"), h("span")];
    const [beats, spark] = [beatsBar(), sparkLine()];
    const cells = [cell("route", route), cell("minutes", beats.element), cell("hours", spark.element)];
    return {
      cells: [...cells, cell("number", last), cell("note", note)],
      update(now) {
        setText(route, routeShort(now.driver));
        beats.show(now.heartbeats ?? "");
        spark.show(now.hourly_messages);
        setText(note, noteOf(now));
        note.title = note.textContent;
      },
      tick({ activity }) {
        setText(last, activity?.last_message ? age(activity.last_message) : "");
        last.title = exactly(activity?.last_message);
      },
    };
  }

  // Times go by without any news.
  function tick() {
    middle.tick(row.account);
  }

  // What can be done has changed, or is being done.
  function touch() {
    const can = possible(row.account);
    const busy = isBusy(name);
    setClass(element, busy ? "busy" : "");
    for (const each of element.querySelectorAll("[data-action]")) {
      const lost = each === document.activeElement && (busy || !can[each.dataset.action]);
      setHidden(each, !can[each.dataset.action]);
      if (each.disabled !== busy) each.disabled = busy;
      if (lost) link.focus();
    }
    setHidden(more, !may("read"));
  }

  // Buttons for a row that is pointed at: made when it is the first time.
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

  update();
  return { element, pick, update, tick, touch, point };
}
