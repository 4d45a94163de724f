"""The controller's API, described: the calls of /v1 with the schemas that they name, and its own under /openwx.

A test walks the router and compares; another one calls every route and holds the answers to these schemas.
"""

from collections.abc import Mapping

from wxcontroller import __version__
from wxcontroller.controller.errors import FAILURES
from wxcontroller.controller.v1.calls import ALWAYS
from wxcontroller.controller.v1.index import CALLS
from wxcontroller.core import access
from wxcontroller.core.access import LADDER, MEANINGS, Scope
from wxcontroller.core.condition.model import Condition, Severity
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.options import OPTIONS, Choice, Option, Origin, Seconds, Whole, flag
from wxcontroller.core.states import Desired, LoginState, UnitState
from wxcontroller.openwx import described, described_input, described_log, described_messages, described_sends
from wxcontroller.openwx.describing import (
    ANYTHING,
    AS_DATA,
    JSON,
    NUMBER,
    SWITCH,
    TEXT,
    WHOLE,
    Content,
    DescribedRoute,
    Parameter,
    Schema,
    document,
    either,
    listing,
    maybe,
    record,
    ref,
    texts,
    word,
)

_ABOUT = (
    "Runs many WeChat accounts, each a unit of systemd, behind one HTTP API. /v1 tells failures as {error}, with a "
    "remedy; /openwx is the API of the original controller, which tells most of them with status 200 and a code "
    "other than 0. HEAD is answered wherever GET is. Once there are tokens each call needs one, of the scope that it "
    "names or a wider one: " + "; ".join(f"{scope}: {MEANINGS[scope]}" for scope in LADDER) + "."
)
_SEVERITY = word(*(severity.value for severity in Severity))
_STATES = maybe(word(*(state.value for state in LoginState)))


def _option(option: Option) -> Schema:
    """Return the schema of an option's value: as text, or as what it is."""
    check, schema = option.check, either(TEXT, NUMBER, SWITCH)
    if check is flag:
        schema = either(SWITCH, word("0", "1"), {"enum": [0, 1]})
    elif isinstance(check, Choice):
        schema = word(*check.allowed)
    elif isinstance(check, Whole):
        schema = either({"type": "integer", "minimum": check.low, "maximum": check.high}, digits("[0-9]{1,12}"))
    elif isinstance(check, Seconds):
        number: Schema = {"type": "number", "minimum": check.low, "maximum": check.high}
        schema = either(number, digits(r"[0-9]{1,9}(\.[0-9]{1,6})?"))
    # Not "default": generators take that for what is sent when nothing is.
    return {**schema, "description": option.meaning, "x-default": option.default}


def digits(pattern: str) -> Schema:
    return {"type": "string", "pattern": f"^{pattern}$"}


_SETTABLE: JsonObject = {
    option.name: _option(option) for option in OPTIONS.values() if option.origin is Origin.REQUEST
}
CODES = (
    *(failure.code for failure in FAILURES),
    *("busy", "disk", "failed", "foreign-host", "foreign-origin", "internal", "no-such-path"),
    *("too-large", "too-many-headers", "too-slow", "bad-version", "wrong-method", "packed"),
    *("head-too-long", "header-too-long", "uri-too-long", "unsupported-coding", "no-proxy"),
    *("no-token", "bad-token", "expired-token", "not-allowed", "not-a-hop", "too-many-failures", "tokens-unusable"),
    *("link-over", "link-taken"),
    *(
        *described_log.CODES,
        *described_input.CODES,
        *described_sends.CODES,
        *described_messages.CODES,
    ),  # as the account's own program says them
)

SCHEMAS: Mapping[str, Schema] = {
    **described.SCHEMAS,
    **described_log.SCHEMAS,
    **described_sends.SCHEMAS,
    **described_messages.SCHEMAS,
    "Error": either(ref("Refusal"), ref("Failure")),  # a Failure: for requests that are not HTTP
    "Refusal": record({"error": ref("Reason")}),
    "Reason": record(
        {"code": word(*dict.fromkeys(CODES)), **texts("message", "remedy"), "values": {"type": "object"}},
        ("message_text", "remedy_text", "values"),  # programs of 2.0.0 have none
    ),
    "Options": {
        "type": "object",
        "properties": _SETTABLE,
        "description": "options of an account, as wxclient(8) lists them; others are refused",
        "examples": [{"post_api": "http://127.0.0.1:8000/hook", "send_interval": 5}],
    },
    "Account": record(
        {
            **dict.fromkeys(("name", "instance", "unit", "driver", "unit_sub"), TEXT),
            "host": {**maybe(TEXT), "description": "the host of the fleet that has it; null without a fleet"},
            **texts("status", "reason"),
            "epoch": WHOLE,
            "leaving": maybe(record({"to": TEXT, "id": TEXT, "ran": SWITCH, "sent": SWITCH})),
            "arrived": maybe(TEXT),
            "desired": word(*(desired.value for desired in Desired)),
            "unit_state": word(*(state.value for state in UnitState)),
            "login_state": _STATES,
            "input": maybe(described_input.INPUT),
            "state": maybe(TEXT),
            "since": maybe(WHOLE),
            "pid": maybe(WHOLE),
            "port": WHOLE,
            "post_api": TEXT,
            "proxy": TEXT,
            "qrcode": SWITCH,
            "qrcode_number": maybe(WHOLE),
            **dict.fromkeys(("qrcode_try", "qrcode_limit", "qrcode_until"), maybe(WHOLE)),
            "user": maybe(record({"id": TEXT, "name": TEXT})),
            "avatar": maybe(TEXT),
            "heartbeats": maybe(TEXT),
            "hourly_messages": {"type": ["array", "null"], "items": WHOLE},
            "start_time": maybe(WHOLE),
            "condition": word(*(condition.value for condition in Condition)),
            "severity": _SEVERITY,
            "advice": maybe(ref("Issue")),
            "issues": listing(ref("Issue")),
        },
        meaning="an account: its file, its unit and its program's word, kept apart",
    ),
    "Issue": record(
        {
            "code": TEXT,
            "severity": _SEVERITY,
            "since": maybe(WHOLE),
            **dict.fromkeys(("message", "remedy"), TEXT),
            **{key: maybe({"type": "object"}) for key in ("message_text", "remedy_text")},
            "values": {"type": "object"},
        },
        meaning="something that is wrong with an account, and what to do about it",
    ),
    "Told": record(
        {
            "client": maybe(record({"version": ANYTHING, "pid": ANYTHING})),
            **texts("client_reason"),
            "queue": maybe(ref("Queue")),
            "reports": ANYTHING,
            "media": ANYTHING,
            "roster": ANYTHING,
            "last_message_time": ANYTHING,
            "last_sync_time": maybe(WHOLE),
            "memory": maybe(WHOLE),
            "capabilities": {**ref("Capabilities"), "description": "what its route can do; not of programs of 2.0.0"},
            "windows": {**listing(ref("Window")), "description": "one for each person; not on every route"},
            "sending": {**ref("Sending"), "description": "limits of sends; not on every route"},
            "consumers": {
                **listing({"type": "object"}),
                "description": "agents that use the account through the iLink API",
            },
        },
        (
            *("queue", "reports", "media", "roster", "last_message_time", "last_sync_time", "memory"),
            *("capabilities", "windows", "sending", "consumers"),
        ),
        "what the account's program says of itself at the moment",
    ),
    "Capabilities": record(
        {
            "sends": {**listing(TEXT), "description": "kinds of messages that it sends"},
            "contacts": {**SWITCH, "description": "it lists all people; other routes list those who have written"},
            "groups": {**SWITCH, "description": "whether it has groups"},
            "recall": {**SWITCH, "description": "whether it takes messages back"},
            "avatars": {**SWITCH, "description": "whether it fetches pictures of people"},
            "lasting_ids": {**SWITCH, "description": "ids of people stay the same after another login"},
            "text_length": {**WHOLE, "description": "characters of a message; a longer text is split; 0: any number"},
            "reply_window": {
                **SWITCH,
                "description": "it can send only within a window after a message from the person",
            },
        },
        meaning="what an account's route can do; calls for the rest are refused",
    ),
    "Queue": record(
        {
            **dict.fromkeys(
                ("waiting", "in_flight", "most_waiting", "sent_today", "daily_limit", "burst_limit"), WHOLE
            ),
            "oldest_since": maybe(WHOLE),
            "next_send_at": maybe(NUMBER),
            "held": SWITCH,
            **texts("last_error"),
            "interval": NUMBER,
            "jitter": NUMBER,
        }
    ),
    "Health": record(
        {
            "status": word("ok", "degraded"),
            "version": TEXT,
            "uptime": WHOLE,
            "draining": SWITCH,
            "notices": listing(TEXT),
            "notices_text": {**listing(ref("Text")), "description": "the same as data"},
            "settings": record({"read_at": WHOLE, "error": maybe(TEXT), "error_text": AS_DATA}),
            "reason": TEXT,
            "accounts": record(
                {"known": WHOLE, "wanted": WHOLE, "alive": WHOLE, "states": {"type": "object"}},
            ),
            "fleet": record({"name": TEXT, "unreachable": listing(TEXT)}),
        },
        ("reason", "accounts", "fleet"),
    ),
    "ConsumerOptions": record(
        {
            "owner": {**TEXT, "description": "the person treated as its user, on the web route and File Transfer"},
            "peers": {
                "type": ["array", "string"],
                "items": TEXT,
                "description": "people whose messages it receives: all, or a list of ids",
            },
            "groups": {
                **word("off", "on", "at"),
                "description": "group messages; at: only those that mention the account",
            },
            "own": {**SWITCH, "description": "also messages sent from other devices"},
            "public": {**SWITCH, "description": "also messages of public accounts"},
            "backlog": {**WHOLE, "description": "minutes of messages that it receives after being offline"},
            "when_held": {
                **word("refuse", "accept", "drop"),
                "description": "the answer to a send that must wait for the person to write",
            },
            "interim": {**SWITCH, "description": "its sends are progress messages, which may be dropped"},
        },
        ("owner", "peers", "groups", "own", "public", "backlog", "when_held", "interim"),
        "options of an agent that uses an account through the iLink API",
    ),
    "Consumer": record(
        {
            "name": TEXT,
            "access": {
                **maybe(record({"id": TEXT, "created_at": WHOLE, "expires_at": maybe(WHOLE)})),
                "description": "its token; null: it has none",
            },
            "ilink_bot_id": TEXT,
            "ilink_user_id": {
                **TEXT,
                "description": "the id of the person that the agent treats as its user; empty if unknown",
            },
            "options": ref("ConsumerOptions"),
            "online": SWITCH,
            "polling": SWITCH,
            "last_poll": maybe(WHOLE),
            "bot_agent": TEXT,
            "channel_version": TEXT,
            "sent": WHOLE,
            "held": WHOLE,
            "behind": {**maybe(WHOLE), "description": "messages that it has not fetched; null: it has never polled"},
            "skipped": {**WHOLE, "description": "messages that were skipped because they were too old"},
        },
        (
            *("ilink_bot_id", "ilink_user_id", "options", "online", "polling", "last_poll", "bot_agent"),
            *("channel_version", "sent", "held", "behind", "skipped"),
        ),
        "an agent that uses an account through the iLink API, as reported by the account's program",
    ),
    "Started": record(
        {"account": TEXT, "client": TEXT, "pid": maybe(WHOLE), "port": WHOLE, "code": WHOLE, "status": TEXT},
        meaning="what the account was started with, and what it is now",
    ),
    "AccountState": record({"account": TEXT, "state": TEXT}, meaning="the account's state file, with its port"),
}


V1 = tuple(each.route for each in CALLS)


def _own(name: str, meaning: str, answer: Schema | Content, *parameters: Parameter) -> DescribedRoute:
    answers: dict[int, Schema | Content] = {200: answer}
    if name == "get_qrcode":
        answers[404] = Content({"text/html": TEXT})
    client = Parameter("client", "name of the account", required=name != "check_client")
    return DescribedRoute(
        *("GET", f"/openwx/{name}", meaning, answers, (client, *parameters)),
        failures=ALWAYS,
        failure="Failure",
        tag="the controller",
    )


_START = tuple(
    Parameter(option.name, option.meaning, TEXT) for option in OPTIONS.values() if option.origin is Origin.REQUEST
)
_OR_REPLY = (ref("Failure"),)
OWN: tuple[DescribedRoute, ...] = (
    _own("start_client", "start an account with these options", either(ref("Started"), *_OR_REPLY), *_START),
    _own("stop_client", "stop an account", either(ref("Started"), *_OR_REPLY)),
    _own(
        "check_client",
        "the state of one account, or of all that are wanted or run",
        either(
            record(
                {"code": WHOLE, "client": listing(ref("AccountState")), "unreadable": listing(TEXT)}, ("unreadable",)
            ),
            *_OR_REPLY,
        ),
    ),
    _own("get_qrcode", "the QR code to scan", Content({"image/jpg": ANYTHING, JSON: ref("Failure")})),
)
_CLIENT = Parameter("client", "name of the account that is to answer", required=True)
ROUTES = (*V1, *OWN, *described.calls((_CLIENT,), (502, 504)))


def openapi() -> JsonObject:
    """Return the document that /v1/openapi.json gives."""
    routes = {(route.method, route.path): route for route in reversed(ROUTES)}  # stop_client is the controller's own
    return document("wxcontroller", __version__, _ABOUT, reversed(routes.values()), SCHEMAS, scope_of)


def scope_of(route: DescribedRoute) -> Scope | None:
    own = route in V1 or route in OWN
    return (access.of_controller(route.method, route.path) if own else access.of_call(route.path)).scope
