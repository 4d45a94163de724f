// Events, and kinds of reports and messages, in words.

import { t } from "./i18n.js";
import { stateWord } from "./states.js";

const LOGINS = {
  1: () => t("Logged in by a scan"),
  0: () => t("Logged in by the stored session"),
  "-1": () => t("WeChat refused the login"),
};

// Mojo-Weixin has no word for offline. Contacts are loaded before an account runs, so after it this means offline.
const after = (from, to) => (from === "running" && to === "updating" ? "offline" : to);

const EVENTS = {
  login: ([how, why]) => (why ? t("{what}: {why}", { what: LOGINS[how]?.() ?? how, why }) : LOGINS[how]?.()),
  stop: () => t("Stopped"),
  state_change: ([from, to]) => t("State: {from} → {to}", { from: stateWord(from), to: stateWord(after(from, to)) }),
  input_qrcode: () => t("A QR code was shown"),
  new_friend: ([who]) => t("New friend: {who}", { who: nameOf(who) }),
  lose_friend: ([who]) => t("Friend lost: {who}", { who: nameOf(who) }),
  new_group: ([which]) => t("New group: {which}", { which: nameOf(which) }),
  lose_group: ([which]) => t("Group left: {which}", { which: nameOf(which) }),
  new_group_member: ([who, which]) => t("{who} joined {which}", { who: nameOf(who), which: nameOf(which) }),
  lose_group_member: ([who, which]) => t("{who} left {which}", { who: nameOf(who), which: nameOf(which) }),
  friend_request: ([, who]) => t("{who} wants to be a friend", { who }),
  friend_property_change: ([who, what]) => t("{who}: {what} changed", { who: nameOf(who), what: propertyWord(what) }),
  group_property_change: ([who, what]) => t("{who}: {what} changed", { who: nameOf(who), what: propertyWord(what) }),
  group_member_property_change: ([who, what]) =>
    t("{who}: {what} changed", { who: nameOf(who), what: propertyWord(what) }),
  user_property_change: ([, what]) => t("The account's {what} changed", { what: propertyWord(what) }),
};

const PROPERTIES = {
  account: () => t("account name"),
  name: () => t("name"),
  display: () => t("name to show"),
  markname: () => t("remark"),
  province: () => t("province"),
  city: () => t("city"),
  sex: () => t("sex"),
  signature: () => t("signature"),
  uid: () => t("number"),
  owner_uid: () => t("owner"),
};

const propertyWord = (name) => (PROPERTIES[name] ?? (() => name))();

const nameOf = (one) => one?.displayname || one?.name || "?";

// Return an event in words.
export const eventWords = ({ event, params }) => EVENTS[event]?.(params ?? []) || reportWord(event);

const TYPES = {
  friend_message: () => t("Message of a friend"),
  group_message: () => t("Message in a group"),
  group_notice: () => t("Notice in a group"),
  notice: () => t("Notice"),
  login: () => t("Login"),
  stop: () => t("Stopped"),
  state_change: () => t("Change of state"),
  input_qrcode: () => t("QR code"),
  friend_request: () => t("Friend request"),
  new_friend: () => t("New friend"),
  lose_friend: () => t("Friend lost"),
  new_group: () => t("New group"),
  lose_group: () => t("Group left"),
  new_group_member: () => t("New member of a group"),
  lose_group_member: () => t("Member left a group"),
  friend_property_change: () => t("Change of a friend"),
  group_property_change: () => t("Change of a group"),
  group_member_property_change: () => t("Change of a member"),
  user_property_change: () => t("Change of the account"),
  update_user: () => t("The account's profile"),
  update_friend: () => t("All friends"),
  update_group: () => t("All groups"),
};

// Return the name of a kind of report.
export const reportWord = (type) => (TYPES[type] ?? (() => t("Event: {event}", { event: type })))();

const KINDS = {
  text: () => "",
  media: () => t("media"),
  app: () => t("link or app"),
  card: () => t("card"),
  payment: () => t("payment"),
  location: () => t("location"),
  revoke: () => t("recalled"),
  other: () => t("other"),
};

// Return the name of a kind of message, "" for plain text.
export const kindWord = (kind) => (kind ? (KINDS[kind] ?? (() => kind))() : "");
