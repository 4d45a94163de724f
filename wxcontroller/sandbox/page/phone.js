"use strict";
// The phones of the sandbox. All data comes from the scripting API; a long poll signals changes.

const $ = (id) => document.getElementById(id);
const chosen = { uin: null, peer: null };
let account = null; // details of the chosen account
let bot = null; // the account's iLink bot
const BOT = "clawbot"; // its name in conversations
let linesSeen = 0;

async function api(method, path, body) {
  const options = { method };
  if (body !== undefined) options.body = JSON.stringify(body);
  const response = await fetch("sandbox" + path, options);
  const value = await response.json();
  if (!response.ok) throw new Error(value.error);
  return value;
}

// Return a text in the reader's language, from messages-LANGUAGE.js.
function t(template, values = {}) {
  return (MESSAGES[template] ?? template).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function complain(error) {
  $("trouble").textContent = error ? String(error.message || error) : "";
  $("trouble").hidden = !error;
}

// Run an action of the user: report failures, then refresh.
async function act(action) {
  try {
    await action();
    complain(null);
    await refresh();
  } catch (error) {
    complain(error);
  }
}

function picture(seed) {
  return make("img", { src: "pictures/avatar/" + encodeURIComponent(seed) + ".jpg", alt: "", loading: "lazy" });
}

function matches(filter, ...texts) {
  const wanted = $(filter).value.trim().toLowerCase();
  return !wanted || texts.some((text) => String(text).toLowerCase().includes(wanted));
}

// -- accounts

let accounts = [];

function showAccounts() {
  $("accounts").replaceChildren(...accounts
    .filter((one) => matches("account-filter", one.nickname, one.uin))
    .slice(0, 200)
    .map((one) => {
      const button = make("button", { type: "button" }, picture(one.wxid),
        make("span", {}, one.nickname, make("br"),
          make("span", { className: "note " + (one.online ? "online" : "offline") },
            [one.uin, one.online ? t("web on") : t("web off"), one.bot_id && t("bot")].filter(Boolean).join(" · "))));
      button.setAttribute("aria-pressed", String(one.uin === chosen.uin));
      button.onclick = () => act(async () => {
        if (chosen.uin !== one.uin) { chosen.uin = one.uin; chosen.peer = null; }
      });
      return make("li", {}, button);
    }));
}

// -- logins

function showLogins(logins) {
  const open = logins.filter((login) => ["waiting", "scanned"].includes(login.state)).reverse();
  $("no-logins").hidden = open.length > 0;
  $("logins").replaceChildren(...open.map((login) => {
    const me = accounts.find((one) => one.uin === (login.uin || chosen.uin));
    const name = me ? me.nickname : t("nobody");
    const post = (what, body) => () => act(() => api("POST", `/logins/${encodeURIComponent(login.uuid)}/${what}`, body));
    const buttons = make("div", { className: "buttons" });
    const add = (label, action, className = "", disabled = false) =>
      buttons.append(make("button", { type: "button", className, disabled, onclick: action }, label));
    if (login.state === "waiting" && !login.push)
      add(t("Scan as {name}", { name }), post("scan", { uin: chosen.uin }), "main", !me);
    if (login.state === "waiting" && login.route === "ilink")
      add(t("Scan, with digits"), post("scan", { uin: chosen.uin, verify: true }), "", !me);
    if (!login.digits && (login.state === "scanned" || login.push))
      add(t("Log in as {name}", { name }), post("confirm"), "main");
    add(t("Cancel"), post("cancel"));
    add(t("Let it expire"), post("expire"));
    const mode = login.desktop ? t("desktop mode") : t("browser mode");
    const web = `${login.push ? t("login without a code") : t("code")} · ${mode}`;
    const kind = login.route === "ilink" ? t("code of an iLink bot") : web;
    const state = login.state === "waiting" ? t("waiting for a scan") : t("scanned");
    const item = make("li", {});
    if (login.client) item.append(make("h3", {}, login.client));
    const about = t("{state}: {kind}, since {when}", { state, kind, when: clock(login.created) });
    item.append(make("p", { className: "note" }, about));
    if (!login.push && login.state === "waiting")
      item.append(make("img", { src: `pictures/qr/${encodeURIComponent(login.uuid)}.jpg`, alt: t("QR code of {link}", { link: login.link }) }));
    if (login.digits) item.append(make("p", {}, t("Enter these digits in the client:"), " ", make("strong", {}, login.digits)));
    item.append(buttons);
    return item;
  }));
}

function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString(document.documentElement.lang, { hourCycle: "h23" });
}

// -- the chosen account

function showSession() {
  $("owner").textContent = account ? account.nickname : "–";
  const session = account && account.sessions[0];
  $("logout").hidden = !session;
  if (!account) $("session").textContent = t("Choose an account.");
  else if (!session) $("session").textContent = t("No web client is logged in.");
  else $("session").textContent = [
    t("Logged in since {when}", { when: clock(session.opened) }),
    session.desktop ? t("desktop mode") : t("browser mode"),
    session.polling ? t("listening") : t("not listening now"),
    t("undelivered: {n}", { n: session.undelivered }),
  ].join(" · ");
  $("bot").textContent = !bot ? "" : [
    t("iLink bot {id} since {when}", { id: bot.bot_id, when: clock(bot.created) }),
    bot.session !== "alive" ? bot.session : bot.polling ? t("listening") : t("not listening now"),
    t("undelivered: {n}", { n: bot.pending }),
    bot.windows.some((one) => one.typing) ? t("typing…") : "",
  ].filter(Boolean).join(" · ");
}

function showContacts() {
  const entries = account ? [
    ...(bot ? [{ wxid: BOT, label: "ClawBot", note: t("iLink bot") }] : []),
    ...account.groups.map((one) => ({ ...one, label: one.name, note: t("group of {n}", { n: one.members.length }) + (one.saved ? "" : ` · ${t("unsaved")}`) })),
    ...account.contacts
      .filter((one) => one.kind !== "special" || one.wxid === "filehelper")
      .map((one) => ({ ...one, label: one.remark ? `${one.name} (${one.remark})` : one.name, note: kindWord(one.kind) })),
  ] : [];
  $("contacts").replaceChildren(...entries
    .filter((one) => matches("contact-filter", one.label, one.wxid))
    .slice(0, 300)
    .map((one) => {
      const button = make("button", { type: "button" }, picture(one.wxid),
        make("span", {}, one.label, make("br"), make("span", { className: "note" }, one.note)));
      button.setAttribute("aria-pressed", String(one.wxid === chosen.peer));
      button.onclick = () => act(async () => { chosen.peer = one.wxid; });
      return make("li", {}, button);
    }));
}

const KINDS = { friend: () => t("friend"), official: () => t("official account"), special: () => t("WeChat's own") };
const kindWord = (kind) => (KINDS[kind] ?? (() => kind))();

function showSpeakers() {
  const group = account.groups.find((one) => one.wxid === chosen.peer);
  const friend = chosen.peer === BOT && bot ? { wxid: BOT, name: "ClawBot" }
    : account.contacts.find((one) => one.wxid === chosen.peer);
  $("peer").textContent = group ? group.name : friend ? friend.name : t("Choose a friend or a group");
  $("say").hidden = !group && !friend;
  $("link").hidden = $("say").hidden || chosen.peer === BOT;
  if ($("say").dataset.peer === account.uin + " " + chosen.peer) return;
  $("say").dataset.peer = account.uin + " " + chosen.peer;
  const others = group ? group.members.filter((one) => one.wxid !== account.wxid) : friend && ![BOT, "filehelper"].includes(chosen.peer) ? [friend] : [];
  $("say").elements.as.replaceChildren(
    ...others.map((one) => make("option", { value: one.wxid }, one.display || one.name)),
    make("option", { value: "" }, t("{name}, on the phone", { name: account.nickname })));
}

// Return the content of a message: media, a link, a file to save, or text.
function shown(line) {
  const source = "sandbox/contents/" + line.md5;
  if (line.md5 && line.mime.startsWith("image/"))
    return make("img", { src: source, alt: line.text, title: `${line.name} ${line.size} bytes` });
  if (line.md5 && line.mime.startsWith("video/")) return make("video", { src: source, controls: true, preload: "none" });
  if (line.md5 && line.mime.startsWith("audio/")) return make("audio", { src: source, controls: true, preload: "none" });
  if (line.md5) return make("a", { href: source, download: line.name || "file" }, `${line.name || line.text} (${line.size} bytes)`);
  if (/^https?:\/\//i.test(line.url))
    return make("a", { href: line.url, target: "_blank", rel: "noopener noreferrer" }, line.text);
  return line.text;
}

async function showLines() {
  if (!account || !chosen.peer) {
    $("lines").replaceChildren();
    $("lines").dataset.of = "";
    return;
  }
  const of = account.uin + " " + chosen.peer;
  const lines = await api("GET", `/accounts/${account.uin}/chats?with=${encodeURIComponent(chosen.peer)}`);
  const origins = { web: t("by the web client"), bot: t("by the bot"), phone: t("on the phone"), peer: "", notice: "" };
  if (of !== account.uin + " " + chosen.peer) return; // another conversation was chosen in the meantime
  // keep existing lines, so that playing sounds continue
  const last = lines.length ? lines[lines.length - 1].seq : 0;
  if ($("lines").dataset.of !== of || last < linesSeen) {
    $("lines").replaceChildren();
    linesSeen = 0;
  }
  $("lines").dataset.of = of;
  const news = lines.filter((line) => line.seq > linesSeen);
  $("lines").append(...news.map((line) => make("li", { className: line.origin },
    make("div", { className: "note" }, [line.sender, origins[line.origin], clock(line.time)].filter(Boolean).join(" · ")),
    make("div", { className: "text" }, shown(line)))));
  while ($("lines").childElementCount > lines.length) $("lines").firstElementChild.remove();
  if (news.length) {
    linesSeen = last;
    $("lines").scrollTop = $("lines").scrollHeight;
  }
}

async function refresh() {
  const [all, logins] = await Promise.all([api("GET", "/accounts"), api("GET", "/logins")]);
  accounts = all;
  if (chosen.uin === null && accounts.length) chosen.uin = accounts[0].uin;
  account = chosen.uin === null ? null : await api("GET", `/accounts/${chosen.uin}`);
  bot = account && account.bot_id ? (await api("GET", `/accounts/${chosen.uin}/ilink`)).bot : null;
  showAccounts();
  showLogins(logins);
  showSession();
  showContacts();
  if (account) showSpeakers();
  await showLines();
}

// -- what the user does

$("account-filter").oninput = showAccounts;
$("contact-filter").oninput = showContacts;

$("new-account").onsubmit = (event) => {
  event.preventDefault();
  const values = Object.fromEntries(new FormData(event.target));
  for (const key of ["friends", "groups", "members"]) values[key] = Number(values[key]);
  act(async () => {
    chosen.uin = (await api("POST", "/accounts", values)).uin;
    chosen.peer = null;
    event.target.reset();
    $("add-account").open = false;
  });
};

$("logout").onsubmit = (event) => {
  event.preventDefault();
  act(() => api("POST", `/accounts/${account.uin}/logout`, { retcode: Number(event.target.elements.retcode.value) }));
};

$("say").onsubmit = (event) => {
  event.preventDefault();
  const { text } = event.target.elements;
  const message = { text: text.value };
  act(async () => {
    await say(message);
    text.value = "";
  });
};

// Send as the chosen speaker.
function say(message) {
  const as = $("say").elements.as.value;
  if (!as) return api("POST", `/accounts/${account.uin}/phone-send`, { to: chosen.peer, ...message });
  const group = account.groups.some((one) => one.wxid === chosen.peer) ? { group: chosen.peer } : {};
  return api("POST", `/accounts/${account.uin}/receive`, { from: as, ...group, ...message });
}

$("say").elements.picture.onchange = (event) => {
  const [file] = event.target.files;
  if (!file) return;
  act(async () => {
    const address = await new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.onerror = () => reject(reader.error);
      reader.readAsDataURL(file);
    });
    event.target.value = "";
    const kind = file.type === "image/gif" && chosen.peer !== BOT ? "emoticon" : "image";
    await say({ kind, name: file.name, content: address.slice(address.indexOf(",") + 1) });
  });
};

$("say-link").onsubmit = (event) => {
  event.preventDefault();
  const values = Object.fromEntries(new FormData(event.target));
  act(async () => {
    await say({ kind: "link", ...values });
    event.target.reset();
    $("link").open = false;
  });
};

$("say").elements.text.onkeydown = (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("say").requestSubmit();
  }
};

async function follow() {
  let version = -1;
  for (;;) {
    try {
      version = (await api("GET", `/changes?after=${Math.max(version, 0)}&wait=${version < 0 ? 0 : 25}`)).version;
      await refresh();
      complain(null);
    } catch (error) {
      complain(error instanceof TypeError ? t("The sandbox does not answer; trying again.") : error);
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}

follow();
