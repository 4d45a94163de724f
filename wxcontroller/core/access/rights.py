"""Access rights: the scopes of tokens, and endpoints with the scopes that they need.

Here are the endpoints of accounts, which the controller and the accounts' ports check alike, and those of the
controller that are not of /v1. Each call of /v1 is declared with its scope where it is handled (controller/v1). An
endpoint that is declared nowhere needs the highest scope.

Most scopes form a ladder: read < send < control < admin. The others are for programs that speak another protocol to
one account, and for other hosts. They are outside the ladder, because such a token is given to another person's
software: it opens the endpoints of its protocol and nothing else, and no other token opens these endpoints, not even
with scope admin. They require their token even while the rest of the API is open.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TypeAlias

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
    """One endpoint. ``scope`` None: no scope needed. GET includes HEAD.

    ``meaning`` is for those that the OpenAPI document lacks.
    """

    methods: tuple[str, ...]
    path: str
    scope: Scope | None
    about: About
    meaning: str = ""

    @property
    def is_about_host(self) -> bool:
        """Whether it concerns this host itself, such as its targets, and not one account.

        Callers of other hosts cannot use it.
        """
        is_pairing = self.path.startswith("/v1/ilink/")
        return (self.about is About.MACHINE or is_pairing) and "{account}" not in self.path


Endpoints: TypeAlias = Mapping[tuple[str, str], Endpoint]


def page(path: str, meaning: str) -> Endpoint:
    return Endpoint(("GET",), path, None, About.NOTHING, meaning)


def own(call: str, scope: Scope, about: About) -> Endpoint:
    return Endpoint(("GET",), f"/openwx/{call}", scope, about)


def program(call: str, scope: Scope, meaning: str = "") -> Endpoint:
    method, _, path = call.partition(" ")
    return Endpoint((method,), f"/v1/{path}", scope, About.NOTHING, meaning)


def ilink(methods: tuple[str, ...], call: str, scope: Scope | None, meaning: str) -> tuple[Endpoint, Endpoint]:
    """Return a call of the iLink API, and the same with the account that pairing suggests in its path."""
    about = About.NOTHING if scope is None else About.BEARER
    paths = f"/ilink/{call}", f"/for/{{account}}/ilink/{call}"
    plain, suggesting = (Endpoint(methods, path, scope, about, meaning) for path in paths)
    return plain, suggesting


def notify(path: str, meaning: str) -> Endpoint:
    return Endpoint(("POST", "PUT"), path, Scope.NOTIFY, About.BEARER, meaning)


def _calls(scope: Scope, *names: str) -> Iterator[Endpoint]:
    for name in names:
        yield Endpoint(("GET", "POST"), f"/openwx/{name}", scope, About.CLIENT)


# Endpoints of an account's program under /v1, at its own port and, as accounts/{name}/…, through the controller.
PROGRAM: tuple[Endpoint, ...] = (
    program("GET events", Scope.READ),
    program("POST messages", Scope.SEND),
    program("GET messages", Scope.READ),
    program("GET messages/{id}", Scope.READ),
    program("DELETE messages/{id}", Scope.SEND),
    program("GET chats", Scope.READ),
    program("GET contacts", Scope.READ),
    program("PATCH contacts/{id}", Scope.SEND),
    program("GET groups", Scope.READ),
    program("GET groups/{id}/members", Scope.READ),
    program("GET sends", Scope.READ),
    program("GET sends/{id}", Scope.READ),
    program("DELETE sends/{id}", Scope.SEND),
    program("POST typing", Scope.SEND),
    program("GET deliveries", Scope.READ),
    program("GET deliveries/{id}", Scope.READ),
    program("POST webhook/test", Scope.CONTROL),
    program("POST proxy/test", Scope.CONTROL),
    program("POST input", Scope.CONTROL),
    program("POST deliveries/replay", Scope.CONTROL),
    program("POST deliveries/purge", Scope.ADMIN),
    program("POST deliveries/ack", Scope.CONTROL),
    program("GET media/{file}", Scope.READ),
)
# Endpoints of the controller itself, by the paths of its router, besides /v1.
CONTROLLER: tuple[Endpoint, ...] = (
    page("/", "the dashboard; it asks for a token where one is needed"),
    page("/page/api", "the API reference"),
    page("/page/login", "the page that a login link opens"),
    page("/page/{digest}/{file}", "its scripts, style sheet, icon and texts"),
    own("check_client", Scope.READ, About.OWN),
    own("get_qrcode", Scope.CONTROL, About.CLIENT),
    own("start_client", Scope.CONTROL, About.CLIENT),
    own("stop_client", Scope.CONTROL, About.CLIENT),
    # Declared in /v1 as well: the fast path of lists needs it before that is loaded.
    Endpoint(("GET",), "/v1/accounts", Scope.READ, About.OWN),
    Endpoint(("POST",), "/mcp", Scope.READ, About.OWN, "MCP for AI agents; each tool needs the scope of its call"),
    Endpoint(("GET",), "/metrics", Scope.READ, About.OWN, "figures for Prometheus"),
    notify("/notify/{target}", "send a notification, as ntfy's clients do, as a form, JSON or a webhook"),
    notify("/notify/{target}/message", "send one, as Gotify's clients do"),
    notify("/", "send one, as ntfy's clients do in JSON: topic is the target's name"),
    notify("/{target}", "send one to this target, for ntfy's clients that know no other path"),
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
    *_calls(
        Scope.READ,
        *("get_user_info", "get_client_info", "get_friend_info", "get_group_info", "get_group_basic_info"),
        *("search_friend", "search_group", "get_avatar", "check_event"),
    ),
    *_calls(
        Scope.SEND,
        *("send_friend_message", "send_group_message", "consult", "upload_media", "revoke_message"),
        *("create_group", "invite_friend", "kick_group_member", "set_group_displayname", "set_friend_markname"),
        *("set_markname", "stick", "make_friend", "accept_friend_request"),
    ),
    *_calls(Scope.CONTROL, "stop_client"),
)

# Endpoints at its own port only.
OWN_PORT: tuple[Endpoint, ...] = (
    program("GET status", Scope.READ, "its queue, reports, media and times"),
    program("GET options", Scope.READ, "the options in use, without secrets"),
    program("POST logout", Scope.CONTROL, "end its session for good"),
    program("POST keep-user", Scope.CONTROL, "refuse other users at the next login"),
    program("GET consumers", Scope.READ, "the agents of the account"),
    program("PUT consumers/{name}", Scope.ADMIN, "add one, or change its options"),
    program("DELETE consumers/{name}", Scope.ADMIN, "remove one"),
    *PROGRAM,
)
_PASSED_ON = {endpoint.path: endpoint for endpoint in ACCOUNT}
# First parts of our own paths. ntfy's clients put the topic there.
FIRST_PARTS = ("openwx", "v1", "page", "metrics", "notify", "ilink", "for", "mcp")
# The root, or one part that is not one of ours.
_TOPIC = re.compile(rf"/(?!(?:{'|'.join(FIRST_PARTS)})\Z)[A-Za-z0-9_-]{{0,64}}")
_CALL_END = re.compile(r"(?:/|\.[^/]+)\Z")
# Of a path in a log line; callers choose it.
_LOGGED_LENGTH = 300
_PAIRING = re.compile(r"(/ilink/pair(?:ings)?/).+")
_UNKNOWN_CALL = Endpoint(("*",), "/openwx/*", Scope.ADMIN, About.CLIENT)


def by_method(endpoints: Iterable[Endpoint]) -> Endpoints:
    return {(method, endpoint.path): endpoint for endpoint in endpoints for method in endpoint.methods}


_CONTROLLER = by_method(CONTROLLER)
_OWN_PORT = by_method(OWN_PORT)
_PROGRAM = by_method(PROGRAM)


def is_notification(method: str, path: str) -> bool:
    """Return whether a request is a program's notification, or would be if there were any targets.

    ntfy's clients publish to the root and to top-level paths, where no other route accepts these methods.
    """
    return path.startswith("/notify/") or (method in ("POST", "PUT") and _TOPIC.fullmatch(path) is not None)


def of_controller(method: str, path: str, endpoints: Endpoints = _CONTROLLER) -> Endpoint:
    """Return the entry of a route of the controller; ``path`` in the router's form, with ``{name}``.

    What ``call_path`` leaves out changes nothing, here and below.
    """
    found = endpoints.get((_plain(method), call_path(path))) or endpoints.get(("*", path))
    return found or Endpoint((method,), path, Scope.ADMIN, About.MACHINE)


def of_call(path: str) -> Endpoint:
    """Return the entry of a request that is forwarded to an account, for any method.

    ``path`` is as sent: other spellings, such as percent-encoded, are not in the table.
    """
    return _PASSED_ON.get(call_path(path), _UNKNOWN_CALL)


def of_own_port(method: str, path: str) -> Endpoint:
    """Return the entry of a route only of an account's port; ``path`` in the router's form."""
    found = _OWN_PORT.get((_plain(method), path))
    return found or Endpoint((method,), path, Scope.ADMIN, About.NOTHING)


def of_program(method: str, parts: Sequence[str]) -> Endpoint | None:
    """Return the entry of a call of /v1 that an account's program answers, None for another; ``parts`` of its path
    are those after the account's name.
    """
    spellings = [parts]
    if len(parts) > 1:  # the second may be an id; a call with that name comes first, as in the router
        spellings.append([parts[0], "{file}" if parts[0] == "media" else "{id}", *parts[2:]])
    for spelled in spellings:
        if found := _PROGRAM.get((_plain(method), "/v1/" + "/".join(spelled))):
            return found
    return None


def call_path(path: str) -> str:
    """Return a path under /openwx without a slash or a format (``.json``) at its end, as the original takes them."""
    return _CALL_END.sub("", path) if path.startswith("/openwx/") else path


def loggable(path: str) -> str:
    """Return a decoded path as it may be logged: one short line, without the secret of a pairing."""
    return one_line(_PAIRING.sub(r"\1…", path[:_LOGGED_LENGTH]))


def _plain(method: str) -> str:
    return "GET" if method == "HEAD" else method
