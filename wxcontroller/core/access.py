"""Access rights: the scopes of tokens, and one table of every endpoint with the scope that it needs.

The controller and the accounts' ports check by this table, and tests compare the documents with it. A path that is
missing from it needs the highest scope.

Most scopes form a ladder: read < send < control < admin. The others are for programs that speak another protocol to
one account, and for other hosts. They are outside the ladder, because such a token is given to another person's
software: it opens the endpoints of its protocol and nothing else, and no other token opens these endpoints, not even
with scope admin. They require their token even while the rest of the API is open.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

from wxcontroller.core.jsontypes import one_line


class Scope(StrEnum):
    """The permissions of a token. A scope of the ladder includes those before it; one outside it includes nothing."""

    READ = "read"
    SEND = "send"
    CONTROL = "control"
    ADMIN = "admin"
    ILINK = "ilink"
    NOTIFY = "notify"
    FLEET = "fleet"

    @property
    def in_ladder(self) -> bool:
        return self in _ORDER

    def covers(self, other: "Scope") -> bool:
        """Return whether a token of this scope may do what needs the other."""
        if self.in_ladder and other.in_ladder:
            return _ORDER[self] >= _ORDER[other]
        return self is other


LADDER = (Scope.READ, Scope.SEND, Scope.CONTROL, Scope.ADMIN)
_ORDER = {scope: place for place, scope in enumerate(LADDER)}
MEANINGS: Mapping[Scope, str] = {
    Scope.READ: "read accounts, people, groups and events",
    Scope.SEND: "send messages, and change groups, friends and remarks",
    Scope.CONTROL: "start, stop and restart accounts, set their options, show QR codes",
    Scope.ADMIN: "everything else, such as removing accounts",
    Scope.ILINK: "only use one account through the iLink API",
    Scope.NOTIFY: "only send notifications to one target",
    Scope.FLEET: "forward calls of the callers of the host that the token is named after",
}


# On a call forwarded by another host: its original caller (fleet/hop.py). It counts only with a credential of scope
# fleet, and is never passed on.
CALLER_HEADER = "X-Wx-Caller"


class About(Enum):
    """The way in which a request names its account; a bound token is checked against it."""

    NOTHING = "no account"
    NAME = "the account in the path"
    CLIENT = "the account that client names"
    BEARER = "the account that the token is bound to"
    OWN = "all accounts; a bound token sees its own"
    MACHINE = "all accounts; not for bound tokens"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One line of the table. ``scope`` None: no scope needed. GET includes HEAD."""

    methods: tuple[str, ...]
    path: str
    scope: Scope | None
    about: About
    meaning: str

    @property
    def is_about_host(self) -> bool:
        """Whether it concerns this host itself, such as its targets, and not one account.

        Callers of other hosts cannot use it.
        """
        is_pairing = self.path.startswith("/v1/ilink/")
        return (self.about is About.MACHINE or is_pairing) and "{account}" not in self.path


def page(path: str, meaning: str) -> Endpoint:
    return Endpoint(("GET",), path, None, About.NOTHING, meaning)


def own(call: str, scope: Scope, about: About, meaning: str) -> Endpoint:
    return Endpoint(("GET",), f"/openwx/{call}", scope, about, meaning)


def v1(method: str, path: str, scope: Scope | None, about: About, meaning: str) -> Endpoint:
    return Endpoint((method,), f"/v1/{path}", scope, about, meaning)


def ilink(methods: tuple[str, ...], call: str, scope: Scope | None, meaning: str) -> tuple[Endpoint, Endpoint]:
    """Return a call of the iLink API, and the same with the account that pairing suggests in its path."""
    about = About.NOTHING if scope is None else About.BEARER
    paths = f"/ilink/{call}", f"/for/{{account}}/ilink/{call}"
    plain, suggesting = (Endpoint(methods, path, scope, about, meaning) for path in paths)
    return plain, suggesting


def notify(path: str, meaning: str) -> Endpoint:
    return Endpoint(("POST", "PUT"), path, Scope.NOTIFY, About.BEARER, meaning)


def _call(name: str, scope: Scope, meaning: str) -> Endpoint:
    return Endpoint(("GET", "POST"), f"/openwx/{name}", scope, About.CLIENT, meaning)


# Endpoints of an account's program under /v1, at its own port and, as accounts/{name}/…, through the controller.
PROGRAM: tuple[Endpoint, ...] = (
    v1("GET", "events", Scope.READ, About.NOTHING, "its events, by pages or as a stream"),
    v1("POST", "messages", Scope.SEND, About.NOTHING, "send a message"),
    v1("GET", "messages", Scope.READ, About.NOTHING, "its messages, of all chats or one, in pages"),
    v1("GET", "messages/{id}", Scope.READ, About.NOTHING, "one of them"),
    v1("DELETE", "messages/{id}", Scope.SEND, About.NOTHING, "recall one"),
    v1("GET", "chats", Scope.READ, About.NOTHING, "its chats with their last messages"),
    v1("GET", "contacts", Scope.READ, About.NOTHING, "its contacts"),
    v1("PATCH", "contacts/{id}", Scope.SEND, About.NOTHING, "set the name that is shown for one"),
    v1("GET", "groups", Scope.READ, About.NOTHING, "its groups"),
    v1("GET", "groups/{id}/members", Scope.READ, About.NOTHING, "the members of one"),
    v1("GET", "sends", Scope.READ, About.NOTHING, "sends that wait or are held"),
    v1("GET", "sends/{id}", Scope.READ, About.NOTHING, "one by its id, including finished ones"),
    v1("DELETE", "sends/{id}", Scope.SEND, About.NOTHING, "cancel one"),
    v1("POST", "typing", Scope.SEND, About.NOTHING, "show a person that somebody is typing"),
    v1("GET", "deliveries", Scope.READ, About.NOTHING, "its deliveries"),
    v1("GET", "deliveries/{id}", Scope.READ, About.NOTHING, "one with its report"),
    v1("POST", "webhook/test", Scope.CONTROL, About.NOTHING, "send a test event to its webhook"),
    v1("POST", "proxy/test", Scope.CONTROL, About.NOTHING, "test whether WeChat is reachable through a proxy"),
    v1("POST", "input", Scope.CONTROL, About.NOTHING, "answer what it waits for, such as a consent"),
    v1("POST", "deliveries/replay", Scope.CONTROL, About.NOTHING, "send some again"),
    v1("POST", "deliveries/purge", Scope.ADMIN, About.NOTHING, "discard some"),
    v1("POST", "deliveries/ack", Scope.CONTROL, About.NOTHING, "acknowledge dead letters"),
    v1("GET", "media/{file}", Scope.READ, About.NOTHING, "content that it received"),
)
# Endpoints of the controller itself, by the paths of its router.
CONTROLLER: tuple[Endpoint, ...] = (
    page("/", "the dashboard; it asks for a token where one is needed"),
    page("/page/api", "the API reference"),
    page("/page/login", "the page that a login link opens"),
    page("/page/{digest}/{file}", "its scripts, style sheet, icon and texts"),
    own("check_client", Scope.READ, About.OWN, "the state of one account, or of all"),
    own("get_qrcode", Scope.CONTROL, About.CLIENT, "the QR code to scan: anyone who has it can start a login"),
    own("start_client", Scope.CONTROL, About.CLIENT, "start an account"),
    own("stop_client", Scope.CONTROL, About.CLIENT, "stop an account"),
    v1("GET", "openapi.json", None, About.NOTHING, "the description of this API"),
    v1("GET", "access", None, About.NOTHING, "whether a token is required, and whether this one is valid"),
    v1("GET", "health", Scope.READ, About.OWN, "status of the controller"),
    v1("GET", "health/units", Scope.READ, About.OWN, "whether systemd carries out the controller's requests"),
    v1("GET", "accounts", Scope.READ, About.OWN, "all accounts, also as a stream"),
    v1("POST", "accounts", Scope.CONTROL, About.OWN, "add one, without a start"),
    v1("GET", "accounts/{name}", Scope.READ, About.NAME, "one account"),
    v1("GET", "accounts/{name}/qr", Scope.CONTROL, About.NAME, "its QR code: anyone who has it can start a login"),
    v1("POST", "accounts/{name}/start", Scope.CONTROL, About.NAME, "start it, with options"),
    v1("POST", "accounts/{name}/stop", Scope.CONTROL, About.NAME, "stop it"),
    v1("POST", "accounts/{name}/restart", Scope.CONTROL, About.NAME, "restart it"),
    v1("POST", "accounts/{name}/logout", Scope.CONTROL, About.NAME, "end its session for good, and stop it"),
    v1(
        "POST",
        "accounts/{name}/login-links",
        Scope.CONTROL,
        About.NAME,
        "create a link that lets another person scan",
    ),
    v1("DELETE", "accounts/{name}/login-links/{id}", Scope.CONTROL, About.NAME, "revoke one"),
    v1("GET", "login-links", Scope.CONTROL, About.OWN, "login links that are still valid"),
    v1("GET", "login-code", None, About.NOTHING, "the code of a login link; the link is in a header"),
    # About this host and not about an account, which two hosts have for a moment: never forwarded.
    v1("PUT", "departures/{account}", Scope.ADMIN, About.MACHINE, "stop an account, and mark it as being moved away"),
    v1("DELETE", "departures/{account}", Scope.ADMIN, About.MACHINE, "undo that"),
    v1("POST", "departures/{account}", Scope.ADMIN, About.MACHINE, "remove it after its move to another host"),
    v1("GET", "arrivals/{account}", Scope.ADMIN, About.MACHINE, "whether an account can be moved to this host"),
    v1("PUT", "arrivals/{account}", Scope.ADMIN, About.MACHINE, "receive an account from another host"),
    v1("POST", "arrivals/{account}", Scope.ADMIN, About.MACHINE, "start it after its move"),
    v1("DELETE", "arrivals/{account}", Scope.ADMIN, About.MACHINE, "remove it again before its first start"),
    v1("GET", "claims/{account}", Scope.ADMIN, About.MACHINE, "which other hosts may have an account"),
    v1("POST", "claims/{account}", Scope.ADMIN, About.MACHINE, "let the copy here be the account"),
    v1("PUT", "standbys/{account}", Scope.ADMIN, About.MACHINE, "keep a copy of an account of another host"),
    v1("GET", "accounts/{name}/options", Scope.READ, About.NAME, "its options, without secrets"),
    v1("PATCH", "accounts/{name}/options", Scope.CONTROL, About.NAME, "store other options"),
    v1("DELETE", "accounts/{name}", Scope.ADMIN, About.NAME, "stop and delete it"),
    v1("GET", "accounts/{name}/journal", Scope.READ, About.NAME, "the end of its journal, also as a stream"),
    Endpoint(("POST",), "/mcp", Scope.READ, About.OWN, "MCP for AI agents; each tool needs the scope of its call"),
    Endpoint(("GET",), "/metrics", Scope.READ, About.OWN, "figures for Prometheus"),
    v1("GET", "alerts", Scope.READ, About.OWN, "current problems and alert channels"),
    v1("POST", "alerts/test", Scope.ADMIN, About.MACHINE, "send a test alert"),
    v1("GET", "fleet", Scope.READ, About.MACHINE, "the other hosts, and accounts that exist on more than one host"),
    v1("GET", "fleet/self", Scope.FLEET, About.NOTHING, "data about this host for other hosts"),
    v1("GET", "tokens", Scope.ADMIN, About.MACHINE, "API tokens and those of agents, without their secrets"),
    v1("GET", "events", Scope.READ, About.OWN, "the stream of events"),
    v1("GET", "deliveries", Scope.READ, About.OWN, "numbers of waiting and dead reports"),
    *(
        v1(each.methods[0], f"accounts/{{name}}/{each.path[4:]}", each.scope, About.NAME, each.meaning)
        for each in PROGRAM
    ),
    v1("GET", "targets", Scope.ADMIN, About.MACHINE, "notification targets"),
    v1("POST", "targets", Scope.ADMIN, About.MACHINE, "add one; the response contains its token"),
    v1("GET", "targets/{target}", Scope.ADMIN, About.MACHINE, "one of them"),
    v1("DELETE", "targets/{target}", Scope.ADMIN, About.MACHINE, "remove one and revoke its token"),
    notify("/notify/{target}", "send a notification, as ntfy's clients do, as a form, JSON or a webhook"),
    notify("/notify/{target}/message", "send one, as Gotify's clients do"),
    notify("/", "send one, as ntfy's clients do in JSON: topic is the target's name"),
    notify("/{target}", "send one to this target, for ntfy's clients that know no other path"),
    v1(
        "GET",
        "accounts/{name}/consumers",
        Scope.READ,
        About.NAME,
        "agents that use the account through the iLink API",
    ),
    v1("PUT", "accounts/{name}/consumers/{consumer}", Scope.ADMIN, About.NAME, "add an agent, or change it"),
    v1("DELETE", "accounts/{name}/consumers/{consumer}", Scope.ADMIN, About.NAME, "remove an agent and its token"),
    v1("GET", "ilink/pairings", Scope.ADMIN, About.MACHINE, "open pairing requests"),
    v1("GET", "ilink/pairings/{code}", Scope.ADMIN, About.NOTHING, "one of them"),
    v1("POST", "ilink/pairings/{code}", Scope.ADMIN, About.NOTHING, "approve it"),
    v1("DELETE", "ilink/pairings/{code}", Scope.ADMIN, About.NOTHING, "refuse it"),
    # Off until configured. The URLs of media and of pairing are secrets.
    page("/ilink/pair/{code}", "the page to approve an agent; it asks for a token if one is needed"),
    *ilink(("GET", "POST"), "bot/get_bot_qrcode", None, "an agent asks for a token"),
    *ilink(("GET",), "bot/get_qrcode_status", None, "whether the request is approved"),
    *ilink(("POST",), "bot/{call}", Scope.ILINK, "a call of the iLink API"),
    *ilink(("POST",), "c2c/upload", None, "media that an agent sends"),
    *ilink(("GET",), "c2c/download", None, "media that an agent receives"),
    *ilink(("*",), "{rest}", None, "always 404"),
)

# Endpoints of an account's program under /openwx, at its own port and through the controller.
ACCOUNT: tuple[Endpoint, ...] = (
    _call("get_user_info", Scope.READ, "the account's own profile"),
    _call("get_client_info", Scope.READ, "status of the account's process"),
    _call("get_friend_info", Scope.READ, "all friends"),
    _call("get_group_info", Scope.READ, "all groups with members"),
    _call("get_group_basic_info", Scope.READ, "all groups without members"),
    _call("search_friend", Scope.READ, "friends by an attribute"),
    _call("search_group", Scope.READ, "groups by an attribute"),
    _call("get_avatar", Scope.READ, "a person's picture"),
    _call("check_event", Scope.READ, "events since the last call; each event is returned once"),
    _call("send_friend_message", Scope.SEND, "a message to a friend"),
    _call("send_group_message", Scope.SEND, "a message to a group"),
    _call("consult", Scope.SEND, "a message, and the answer to it"),
    _call("upload_media", Scope.SEND, "media to send later"),
    _call("revoke_message", Scope.SEND, "recall a message"),
    _call("create_group", Scope.SEND, "create a group"),
    _call("invite_friend", Scope.SEND, "add a friend to a group"),
    _call("kick_group_member", Scope.SEND, "remove a member from a group"),
    _call("set_group_displayname", Scope.SEND, "a group's name"),
    _call("set_friend_markname", Scope.SEND, "a friend's remark"),
    _call("set_markname", Scope.SEND, "the same"),
    _call("stick", Scope.SEND, "pin a chat"),
    _call("make_friend", Scope.SEND, "send a friend request"),
    _call("accept_friend_request", Scope.SEND, "accept a friend request"),
    _call("stop_client", Scope.CONTROL, "stop the account's process"),
)

# Endpoints at its own port only.
OWN_PORT: tuple[Endpoint, ...] = (
    v1("GET", "status", Scope.READ, About.NOTHING, "its queue, reports, media and times"),
    v1("GET", "options", Scope.READ, About.NOTHING, "the options in use, without secrets"),
    v1("POST", "logout", Scope.CONTROL, About.NOTHING, "end its session for good"),
    v1("POST", "keep-user", Scope.CONTROL, About.NOTHING, "refuse other users at the next login"),
    v1("GET", "consumers", Scope.READ, About.NOTHING, "the agents of the account"),
    v1("PUT", "consumers/{name}", Scope.ADMIN, About.NOTHING, "add one, or change its options"),
    v1("DELETE", "consumers/{name}", Scope.ADMIN, About.NOTHING, "remove one"),
    *PROGRAM,
)
_PASSED_ON = {endpoint.path: endpoint for endpoint in ACCOUNT}
# The root, or one part that is not one of ours.
_TOPIC = re.compile(r"/(?!(?:openwx|v1|page|metrics|notify|ilink|for|mcp)\Z)[A-Za-z0-9_-]{0,64}")
_CALL_END = re.compile(r"(?:/|\.[^/]+)\Z")
# Of a path in a log line; callers choose it.
_LOGGED_LENGTH = 300
_PAIRING = re.compile(r"(/ilink/pair(?:ings)?/).+")
_UNKNOWN_CALL = Endpoint(("*",), "/openwx/*", Scope.ADMIN, About.CLIENT, "any other call of an account")


def by_method(endpoints: tuple[Endpoint, ...]) -> Mapping[tuple[str, str], Endpoint]:
    def pairs() -> Iterator[tuple[tuple[str, str], Endpoint]]:
        for endpoint in endpoints:
            for method in endpoint.methods:
                yield (method, endpoint.path), endpoint

    return dict(pairs())


_CONTROLLER = by_method(CONTROLLER)
_OWN_PORT = by_method(OWN_PORT)


def is_notification(method: str, path: str) -> bool:
    """Return whether a request is a program's notification, or would be if there were any targets.

    ntfy's clients publish to the root and to top-level paths, where no other route accepts these methods.
    """
    return path.startswith("/notify/") or (method in ("POST", "PUT") and _TOPIC.fullmatch(path) is not None)


def of_controller(method: str, path: str) -> Endpoint:
    """Return the entry of a route of the controller; ``path`` in the router's form, with ``{name}``.

    What ``call_path`` leaves out changes nothing, here and below.
    """
    found = _CONTROLLER.get((_plain(method), call_path(path))) or _CONTROLLER.get(("*", path))
    return found or Endpoint((method,), path, Scope.ADMIN, About.MACHINE, "not in the table")


def of_call(path: str) -> Endpoint:
    """Return the entry of a request that is forwarded to an account, for any method.

    ``path`` is as sent: other spellings, such as percent-encoded, are not in the table.
    """
    return _PASSED_ON.get(call_path(path), _UNKNOWN_CALL)


def of_own_port(method: str, path: str) -> Endpoint:
    """Return the entry of a route only of an account's port; ``path`` in the router's form."""
    found = _OWN_PORT.get((_plain(method), path))
    return found or Endpoint((method,), path, Scope.ADMIN, About.NOTHING, "not in the table")


def call_path(path: str) -> str:
    """Return a path under /openwx without a slash or a format (``.json``) at its end, as the original takes them."""
    return _CALL_END.sub("", path) if path.startswith("/openwx/") else path


def loggable(path: str) -> str:
    """Return a decoded path as it may be logged: one short line, without the secret of a pairing."""
    return one_line(_PAIRING.sub(r"\1…", path[:_LOGGED_LENGTH]))


def _plain(method: str) -> str:
    return "GET" if method == "HEAD" else method
