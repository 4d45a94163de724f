"""The controller's API, described: the calls of /v1 with the schemas that they name, and its own under /openwx.

A test walks the router and compares; another one calls every route and holds the answers to these schemas.
"""

from collections.abc import Mapping
from enum import StrEnum

from wxcontroller import __version__
from wxcontroller.controller.errors import FAILURES
from wxcontroller.controller.v1 import consumers, deliveries, events, health, messages, sends
from wxcontroller.controller.v1.calls import ALWAYS
from wxcontroller.controller.v1.index import CALLS
from wxcontroller.core import access
from wxcontroller.core.access import LADDER, MEANINGS
from wxcontroller.core.condition.model import Condition, Severity
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.options import OPTIONS, Origin
from wxcontroller.core.states import Desired, LoginState, UnitState
from wxcontroller.core.tables import SWITCH as ZERO_OR_ONE
from wxcontroller.core.tables import Choice, Number, TableRow
from wxcontroller.openwx import described
from wxcontroller.openwx.describing import (
    ANYTHING,
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
from wxcontroller.openwx.statefile import QUESTION_KINDS

_ABOUT = (
    "Runs many WeChat accounts, each a unit of systemd, behind one HTTP API. /v1 tells failures as {error}, with a "
    "remedy; /openwx is the API of the original controller, which tells most of them with status 200 and a code "
    "other than 0. HEAD is answered wherever GET is. Once there are tokens each call needs one, of the scope that it "
    "names or a wider one: " + "; ".join(f"{scope}: {MEANINGS[scope]}" for scope in LADDER) + "."
)


def _words(kind: type[StrEnum]) -> Schema:
    return word(*(each.value for each in kind))


def _option(option: TableRow) -> Schema:
    """Return the schema of an option's value. Text is accepted for all of them: a choice would need a class in
    generated clients.
    """
    kind, schema = option.kind, TEXT
    if kind is ZERO_OR_ONE:
        schema = SWITCH
    elif isinstance(kind, Choice):
        schema = word(*kind.words)
    elif isinstance(kind, Number):
        schema = {"type": "integer" if kind.whole else "number", "minimum": kind.low, "maximum": kind.high}
    # Not "default": generators send that value when the caller gives none.
    return {**schema, "description": option.meaning, "x-default": option.default}


_SETTABLE: JsonObject = {
    option.name: _option(option) for option in OPTIONS.values() if option.origin is Origin.REQUEST
}
CODES = (
    *(failure.code for failure in FAILURES),
    *("busy", "disk", "failed", "foreign-host", "foreign-origin", "internal", "no-such-path"),
    *("too-large", "too-many-headers", "too-slow", "bad-version", "wrong-method", "packed"),
    *("head-too-long", "header-too-long", "uri-too-long", "unsupported-coding", "no-proxy"),
    *("no-token", "bad-token", "expired-token", "not-allowed", "not-a-hop", "too-many-failures", "tokens-unusable"),
    *("link-over", "link-taken", "not-confirmed", "lease-ended"),
    # Fields of fleets, whose modules a single machine does not load.
    *("owned-elsewhere", "not-claimable", "etcd-unreachable", "no-host"),
    # As in the answers of the account's process.
    *(*deliveries.CODES, *sends.CODES, *messages.CODES, "not-asked"),
)

SCHEMAS: Mapping[str, Schema] = {
    **described.SCHEMAS,
    **deliveries.SCHEMAS,
    **sends.SCHEMAS,
    **messages.SCHEMAS,
    **consumers.SCHEMAS,
    **health.SCHEMAS,
    "Event": events.EVENT,
    "Text": record(
        {
            "template": (TEXT, "the English text; {NAME} stands for a value"),
            "plural": (TEXT, "the same for any number n but one"),
            "values": ({"type": "object"}, "value of each name: text, a number, or a text as data"),
        },
        ("plural",),
        "a text as data: fill the values in at their names; values that are texts are filled in first",
    ),
    "Error": either(ref("Refusal"), ref("Failure")),  # a Failure: for requests that are not HTTP
    "Refusal": record({"error": (ref("Reason"), "the reason")}),
    "Reason": record(
        {
            "code": (word(*dict.fromkeys(CODES)), "code of the failure"),
            **texts(message="the failure", remedy="remedy"),
            "values": ({"type": "object"}, "values used in message and remedy, by name"),
        },
        ("message_text", "remedy_text", "values"),  # an account's failure is passed on without what it leaves out
    ),
    "Options": {
        "type": "object",
        "properties": _SETTABLE,
        "description": "options of an account, as wxclient(8) lists them; others are refused",
        "examples": [{"post_api": "http://127.0.0.1:8000/hook", "send_interval": 5}],
    },
    "Account": record(
        {
            "name": (TEXT, "name of the account"),
            "host": (maybe(TEXT), "the host of the fleet that has it; null without a fleet"),
            "instance": (TEXT, "instance id: the name, if it is valid in a unit name"),
            "unit": (TEXT, "its systemd unit"),
            "driver": (TEXT, "route to WeChat"),
            "epoch": (WHOLE, "1, and one more with each move to another host"),
            "leaving": (
                maybe(record({"to": TEXT, "id": TEXT, "ran": SWITCH, "sent": SWITCH})),
                "host to which it is being moved; null: none",
            ),
            "arrived": (maybe(TEXT), "id of the move by which it came to this host; null: none"),
            "desired": (_words(Desired), "desired state; survives reboots"),
            "unit_state": (_words(UnitState), "state of the unit in systemd; absent: not loaded"),
            "unit_sub": (TEXT, "detailed state of the unit in systemd"),
            "login_state": (
                maybe(_words(LoginState)),
                "stage of the login; null: not reported by the running program",
            ),
            "state": (maybe(TEXT), "the same in the original's terms"),
            **texts(status="status text", reason="reason why it waits, is stuck or has stopped trying"),
            "since": (maybe(WHOLE), "time of the last change of login_state, in seconds since 1970"),
            "input": (
                maybe(
                    record(
                        {"id": TEXT, "kind": word(*QUESTION_KINDS), **texts("prompt"), "digits": maybe(WHOLE)},
                        ("prompt_text",),
                        "answer that it needs from a person: yes to a consent, or a code",
                    )
                ),
                "question that it waits for, with the risk; null: none",
            ),
            "pid": (maybe(WHOLE), "process id"),
            "port": (WHOLE, "its own port on 127.0.0.1"),
            "post_api": (TEXT, "where reports are posted, without secrets"),
            "proxy": (TEXT, "proxy for all traffic with WeChat, without secrets"),
            "qrcode": (SWITCH, "whether there is a QR code to scan"),
            "qrcode_number": (maybe(WHOLE), "number of this QR code since the process started"),
            "qrcode_try": (
                maybe(WHOLE),
                "the number of this QR code among those shown before the account stops trying; null: unknown",
            ),
            "qrcode_limit": (maybe(WHOLE), "number of QR codes that are shown before it stops trying; null: unknown"),
            "qrcode_until": (maybe(WHOLE), "when the next one is due, in seconds since 1970; null: unknown"),
            "user": (maybe(record({"id": TEXT, "name": TEXT})), "the logged-in user"),
            "avatar": (maybe(TEXT), "path of the user's picture, on a route that has pictures"),
            "heartbeats": (
                maybe(TEXT),
                "a letter for each of the last 50 minutes, this one last: r running, o not running, n no process; "
                "null without a process",
            ),
            "hourly_messages": (
                maybe(listing(WHOLE)),
                "messages received and sent in each of the last 24 hours, this one last",
            ),
            "start_time": (maybe(WHOLE), "when its process began, in seconds since 1970"),
            "condition": (_words(Condition), "condition of the account"),
            "severity": (_words(Severity), "severity of the condition; from warning on, it needs attention"),
            "advice": (maybe(ref("Issue")), "the most severe issue; null: none"),
            "issues": (listing(ref("Issue")), "its problems, the worst first"),
        },
        meaning="an account: desired state, unit, login and condition",
    ),
    "Issue": record(
        {
            "code": (TEXT, "code of the problem"),
            "severity": (_words(Severity), "severity"),
            "since": (maybe(WHOLE), "start of the problem, in seconds since 1970; null: unknown"),
            "message": (TEXT, "the problem, in English"),
            "remedy": (TEXT, "remedy, in English"),
            "message_text": (maybe({"type": "object"}), "template and values of the message"),
            "remedy_text": (maybe({"type": "object"}), "template and values of the remedy"),
            "values": ({"type": "object"}, "values used in both texts, by name"),
        },
        meaning="a problem of an account, and its remedy",
    ),
    "Told": record(
        {
            "client": (
                maybe(record({"version": ANYTHING, "pid": ANYTHING})),
                "its process; null if it does not respond",
            ),
            **texts(client_reason="reason why it does not respond"),
            "queue": (maybe(ref("Queue")), "message to send"),
            "reports": (ANYTHING, "reports for the webhook, and their results"),
            "media": (ANYTHING, "stored received media"),
            "roster": (ANYTHING, "numbers of known people and groups"),
            "last_message_time": (ANYTHING, "time of the last message in either direction, in seconds since 1970"),
            "last_sync_time": (maybe(WHOLE), "time of WeChat's last answer, in seconds since 1970"),
            "memory": (maybe(WHOLE), "private memory of the process, in bytes"),
            "capabilities": (ref("Capabilities"), "capabilities of its route"),
            "windows": (listing(ref("Window")), "one for each person; not on every route"),
            "sending": (ref("Sending"), "limits of sends; not on every route"),
            "consumers": {
                **listing({"type": "object"}),
                "description": "agents that use the account through the iLink API",
            },
        },
        (
            *("queue", "reports", "media", "roster", "last_message_time", "last_sync_time", "memory"),
            *("capabilities", "windows", "sending", "consumers"),
        ),
        "current data from the account's process",
    ),
    "Capabilities": record(
        {
            "sends": (listing(TEXT), "kinds of messages that it sends"),
            "contacts": (SWITCH, "whether it lists all contacts; other routes list only people who have written"),
            "groups": (SWITCH, "whether it supports groups"),
            "recall": (SWITCH, "whether it supports recalls"),
            "avatars": (SWITCH, "whether it fetches pictures of people"),
            "lasting_ids": (SWITCH, "whether ids of people survive another login"),
            "text_length": (WHOLE, "characters of a message; a longer text is split; 0: any number"),
            "reply_window": (SWITCH, "whether it can send only within a window after a message from the person"),
        },
        meaning="capabilities of an account's route; other calls are refused",
    ),
    "Queue": record(
        {
            "waiting": (WHOLE, "waiting sends"),
            "in_flight": (WHOLE, "sends that are being passed to WeChat"),
            "most_waiting": (WHOLE, "most sends that wait; more are refused"),
            "sent_today": (WHOLE, "number of messages sent today"),
            "daily_limit": (WHOLE, "limit per day; 0: none"),
            "burst_limit": (WHOLE, "limit per minute; 0: none"),
            "oldest_since": (maybe(WHOLE), "time when the oldest was queued, in seconds since 1970"),
            "next_send_at": (maybe(NUMBER), "time of the next send, in seconds since 1970"),
            "held": (SWITCH, "whether the queue waits for a login"),
            **texts(last_error="error of the last attempt; empty: none"),
            "interval": (NUMBER, "smallest pause between two sends, in seconds"),
            "jitter": (NUMBER, "maximum random addition to the pause, in seconds"),
        }
    ),
    "Started": record(
        {
            "account": (TEXT, "name of the account"),
            "client": (TEXT, "name of the account"),
            "pid": (maybe(WHOLE), "process id"),
            "port": (WHOLE, "its own port on 127.0.0.1"),
            "code": (WHOLE, "0 on success"),
            "status": (TEXT, "success, or the reason for the failure"),
        },
        meaning="start parameters of the account, and its current state",
    ),
    "AccountState": record(
        {
            "account": (TEXT, "name of the account"),
            "state": (TEXT, "state of the login, in the original's terms"),
        },
        meaning="the account's state file, with its port",
    ),
}


V1 = tuple(each.route for each in CALLS)


def _own(name: str, meaning: str, answer: Schema | Content, *parameters: Parameter) -> DescribedRoute:
    path, answers = f"/openwx/{name}", dict[int, Schema | Content]({200: answer})
    if name == "get_qrcode":
        answers[404] = Content({"text/html": TEXT})
    client = Parameter("client", "name of the account", required=name != "check_client")
    return DescribedRoute(
        *("GET", path, meaning, answers, access.of_controller("GET", path).scope, (client, *parameters)),
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
        "state of one account, or of all that run or should run",
        either(
            record(
                {"code": WHOLE, "client": listing(ref("AccountState")), "unreadable": listing(TEXT)}, ("unreadable",)
            ),
            *_OR_REPLY,
        ),
    ),
    _own("get_qrcode", "the QR code to scan", Content({"image/jpg": ANYTHING, JSON: ref("Failure")})),
)
ROUTES = (*V1, *OWN, *described.calls())


def openapi() -> JsonObject:
    """Return the document that /v1/openapi.json gives."""
    routes = {(route.method, route.path): route for route in reversed(ROUTES)}  # stop_client is the controller's own
    return document("wxcontroller", __version__, _ABOUT, reversed(routes.values()), SCHEMAS)
