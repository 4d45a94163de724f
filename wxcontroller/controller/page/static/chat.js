// The right side of Conversations: messages with pictures and the state of each send, and the reply window.

import { call, may, picture } from "./api.js";
import { drawBlob, freeBlob, saveBlob } from "./blobs.js";
import { $, h, icon, redraw, setHidden, setText } from "./dom.js";
import { composer } from "./compose.js";
import { deliveryOf } from "./deliverywords.js";
import { inWords } from "./failures.js";
import { t } from "./i18n.js";
import { inOrder } from "./inorder.js";
import { complain, tell } from "./notices.js";
import { contentWords, outcomeOf } from "./messagewords.js";
import { path, placeOf } from "./paths.js";
import { openRename } from "./rename.js";
import { accounts } from "./store.js";
import { dayOf, moment, timeOf } from "./times.js";
import { exactly, lasted } from "./words.js";

const PAGE = 50;
const DAY = 86_400; // seconds
const NEAR = 80; // pixels from the end within which new messages scroll into view
// WeChat allows recalls for this long.
const RECALL_MILLISECONDS = 120_000;
const PICTURES = new Set(["image", "emoticon"]);

// Return { choose(entry), refresh(), focus(), end() } for the conversations of an account; renamed() is called when a
// person got another name.
export function chatOf(name, signal, renamed) {
  let who = null;
  let shown = "";
  let older = []; // messages before the page that is refreshed
  let more = false;
  const pictures = new Map(); // name of the content → promise of it
  const compose = composer(name, signal, refresh);
  const asked = inOrder();

  function choose(entry) {
    const other = entry?.id !== who?.id;
    who = entry;
    compose.choose(entry);
    setText($("send-to"), entry ? entry.label : "");
    setHidden($("chat-rename"), !entry?.isContact || !may("send"));
    if (!other) return;
    empty();
    if (entry) refresh();
  }

  function empty() {
    [older, shown, more] = [[], "", false];
    $("messages").replaceChildren();
    setText($("chat-window"), "");
    setHidden($("chat-earlier"), true);
    setText($("chat-note"), who ? t("Loading…") : t("Choose a recipient from the list."));
  }

  async function refresh() {
    if (!who) return;
    const { id } = who;
    const isNew = asked();
    try {
      const [answer, account] = await Promise.all([
        call("GET", path`v1/accounts/${name}/messages`.query({ chat: id, limit: PAGE }), { signal }),
        call("GET", path`v1/accounts/${name}`, { signal }),
      ]);
      if (who?.id !== id || !isNew()) return;
      if (!older.length) more = answer.more;
      showWindow(account.windows?.find(({ peer }) => peer === id));
      showLimits(account);
      compose.offerFiles(takesMedia(account));
      show(answer.messages, answer.pending);
    } catch (problem) {
      if (problem.name !== "AbortError" && who?.id === id) setText($("chat-note"), inWords(problem));
    }
  }

  async function earlier() {
    const first = older[0]?.cursor ?? $("messages").querySelector("[data-cursor]")?.dataset.cursor;
    if (!who || !first) return;
    const { id } = who;
    const target = path`v1/accounts/${name}/messages`.query({ chat: id, limit: PAGE, before: first });
    try {
      const answer = await call("GET", target, { signal });
      if (who?.id !== id) return;
      older = [...answer.messages, ...older];
      more = answer.more;
      shown = "";
      await refresh();
    } catch (problem) {
      if (problem.name !== "AbortError") complain(problem);
    }
  }

  function show(messages, pending) {
    const ids = new Set();
    const all = [...older, ...messages, ...pending].filter(({ id }) => !ids.has(id) && ids.add(id));
    const now = JSON.stringify(all);
    setHidden($("chat-earlier"), !more);
    setText($("chat-note"), all.length ? "" : t("No messages yet."));
    if (now === shown) return;
    const body = $("chat-body");
    const atEnd = !shown || body.scrollHeight - body.scrollTop - body.clientHeight < NEAR;
    const from = body.scrollHeight - body.scrollTop;
    shown = now;
    let day = "";
    const items = [];
    for (const message of all) {
      if (dayOf(message.time) !== day) items.push(h("li", { className: "day" }, (day = dayOf(message.time))));
      items.push(item(message));
    }
    redraw($("messages"), items);
    body.scrollTop = atEnd ? body.scrollHeight : body.scrollHeight - from;
  }

  function item(message) {
    const { id, direction, sender, text, time, quote, cursor } = message;
    const mine = direction === "out";
    const outcome = mine && outcomeOf(message);
    const parts = [
      who.kind === "group" && !mine && sender && h("small", { className: "from" }, sender.name),
      quote && h("blockquote", {}, quote.text),
      content(message),
      text && h("span", { className: "bubble" }, text),
      meta(message, outcome),
    ];
    const made = h("li", { className: mine ? "me" : "", "data-id": id, "data-state": message.state ?? "" });
    if (cursor) made.dataset.cursor = cursor;
    made.append(...parts.filter(Boolean));
    made.title = exactly(time);
    return made;
  }

  function meta(message, outcome) {
    const words = [timeOf(message.time), contentWords(message), outcome?.[1]].filter(Boolean).join(" · ");
    const line = h("small", { className: `meta ${outcome?.[0] ?? ""}`.trim() }, words, webhook(message) ?? "");
    const { id, state } = message;
    if (!may("send")) return line;
    if (state === "waiting" || state === "held") {
      line.append(withdrawing(id, "cancel", t("Cancel send"), t("The send was cancelled.")));
    }
    const left = message.time * 1000 + RECALL_MILLISECONDS - Date.now();
    if (state === "delivered" && !message.recalled && left > 0 && recalls()) {
      const recall = withdrawing(id, "recall", t("Recall"), t("The message was recalled."));
      setTimeout(() => recall.remove(), left);
      line.append(recall);
    }
    return line;
  }

  function webhook(message) {
    const [tone, words] = deliveryOf(message) ?? [];
    return words && h("a", { className: tone, href: placeOf(name, "deliveries") }, words);
  }

  const recalls = () => accounts.get(name)?.activity?.capabilities?.recall === true;

  function withdrawing(id, action, word, done) {
    const button = h("button", { type: "button", className: "plain", "data-action": action }, word);
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        await call("DELETE", path`v1/accounts/${name}/messages/${id}`, { signal });
        tell(done);
      } catch (problem) {
        if (problem.name !== "AbortError") complain(problem);
      }
      if (signal.aborted) return;
      await refresh();
      if (document.activeElement === document.body) compose.focus(); // it was on the button
    });
    return button;
  }

  function content({ kind, media }) {
    if (!media) return null;
    if (!media.file) return h("span", { className: "bubble faint" }, media.error || contentWords({ kind, media }));
    if (PICTURES.has(media.type)) return pictureOf(media.file);
    const link = h("button", { type: "button", className: "bubble file", "data-action": "save" }, icon("save"));
    link.append(media.name || contentWords({ kind, media }));
    link.addEventListener("click", () => saved(media.file, media.name || kind).catch(complain));
    return link;
  }

  const contentOf = (file) => picture(path`v1/accounts/${name}/media/${file}`, signal);

  async function saved(file, as) {
    saveBlob(await contentOf(file), as);
  }

  function pictureOf(file) {
    const image = h("img", { className: "bubble", alt: t("Picture"), loading: "lazy" });
    if (!pictures.has(file)) pictures.set(file, contentOf(file));
    pictures.get(file).then(
      (blob) => {
        drawBlob(image, blob);
        image.addEventListener("load", stay, { once: true });
      },
      () => image.replaceWith(h("span", { className: "bubble faint" }, t("The picture is no longer available."))),
    );
    return image;
  }

  // A picture that loads late must not move the text being read.
  function stay() {
    const body = $("chat-body");
    if (body.scrollHeight - body.scrollTop - body.clientHeight < NEAR + 400) body.scrollTop = body.scrollHeight;
  }

  function showWindow(window) {
    const words = window ? windowWords(window, who.called) : "";
    setText($("chat-window"), words);
  }

  $("chat-earlier").addEventListener("click", earlier, { signal });
  $("chat-rename").addEventListener("click", () => openRename(name, who, renamed), { signal });
  // What is there may be of another account.
  empty();
  setText($("sends-note"), "");
  choose(null);
  return {
    choose,
    refresh,
    focus: compose.focus,
    end() {
      for (const each of pictures.values()) each.then(freeBlob, () => {});
    },
  };
}

function windowWords({ state, left, closes, restricted }, who) {
  if (restricted) return t("WeChat accepts messages for this person but does not show them");
  if (state === "open" || state === "low") {
    const time = lasted(Math.max(0, closes - Date.now() / 1000));
    return [
      t("window open for {time}", { time }),
      left !== null && t("{n} send left", { n: left }, "{n} sends left"),
    ].filter(Boolean).join(" · ");
  }
  if (state === "throttled") return t("WeChat throttles the bot");
  return t("window closed until {who} writes", { who });
}

// Whether media can be sent now: the route must support it, and WeChat must not have refused it within the last day.
// After that, the account tries again.
function takesMedia({ capabilities, sending }) {
  const kinds = capabilities?.sends ?? ["file"]; // older programs report nothing, and their route can
  const refused = sending?.media_since && Date.now() / 1000 - sending.media_since < DAY;
  return !refused && kinds.some((kind) => kind !== "text");
}

// Return why all sends of the account are held.
function showLimits({ sending }) {
  const { throttled_until: throttled, limit_24h: limit, sent_24h: sent, media_since: media } = sending ?? {};
  const notes = [
    throttled && t("WeChat throttles the bot; nothing is sent before {when}.", { when: moment(throttled) }),
    limit && t("{sent} of {limit} sends in 24 hours.", { sent, limit }),
    media && t("WeChat has not let this account send media since {when}.", { when: moment(media) }),
  ];
  setText($("sends-note"), notes.filter(Boolean).join(" "));
}
