"""The controller's API, described: the calls of /v1 with the schemas that they name, and its own under /openwx.

A test walks the router and compares; another one calls every route and holds the answers to these schemas.
"""

from collections.abc import Mapping

from wxcontroller import __version__
from wxcontroller.controller.apis.v1.account import consumercalls, deliverycalls, messagecalls, sendcalls
from wxcontroller.controller.apis.v1.form.declaring import ALWAYS
from wxcontroller.controller.apis.v1.form.recordschemas import schema_of, schemas_of
from wxcontroller.controller.apis.v1.host import health
from wxcontroller.controller.apis.v1.index import CALLS
from wxcontroller.controller.edge.failureanswers import FAILURES
from wxcontroller.core.access import rights
from wxcontroller.core.access.rights import LADDER, MEANINGS
from wxcontroller.core.config.options import OPTIONS, Origin
from wxcontroller.core.config.tables import SWITCH as ZERO_OR_ONE
from wxcontroller.core.config.tables import Choice, Number, TableRow
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.records.accountrecords import AccountAnswer, AccountRow, CapabilitiesRecord, IssueRecord, Queue
from wxcontroller.core.records.eventrecords import EventRecord
from wxcontroller.core.records.texts import Reason, TextData
from wxcontroller.openwx.contract import described
from wxcontroller.openwx.contract.describing import (
    ANYTHING,
    JSON,
    SWITCH,
    TEXT,
    WHOLE,
    Content,
    DescribedRoute,
    Parameter,
    Schema,
    document,
    either,
    explained,
    listing,
    maybe,
    record,
    ref,
    texts,
    word,
)
from wxcontroller.openwx.contract.statefile import QUESTION_KINDS

_ABOUT = (
    "Runs many WeChat accounts, each a unit of systemd, behind one HTTP API. /v1 tells failures as {error}, with a "
    "remedy; /openwx is the API of the original controller, which tells most of them with status 200 and a code "
    "other than 0. HEAD is answered wherever GET is. Once there are tokens each call needs one, of the scope that it "
    "names or a wider one: " + "; ".join(f"{scope}: {MEANINGS[scope]}" for scope in LADDER) + "."
)


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
    *(*deliverycalls.CODES, *sendcalls.CODES, *messagecalls.CODES, "not-asked"),
)

# Of an AccountAnswer, with calls that change the account.
_OF_ACTIONS = ("result", "ignored", "note", "note_text", "options")
SCHEMAS: Mapping[str, Schema] = {
    **described.SCHEMAS,
    **deliverycalls.SCHEMAS,
    **sendcalls.SCHEMAS,
    **messagecalls.SCHEMAS,
    **consumercalls.SCHEMAS,
    **health.SCHEMAS,
    **schemas_of(TextData),
    "Error": either(ref("Refusal"), ref("Failure")),  # a Failure: for requests that are not HTTP
    "Refusal": record({"error": (ref("Reason"), "the reason")}),
    "Reason": schema_of(Reason, code=(word(*dict.fromkeys(CODES)), "code of the failure")),
    "Options": {
        "type": "object",
        "properties": _SETTABLE,
        "description": "options of an account, as wxclient(8) lists them; others are refused",
        "examples": [{"post_api": "http://127.0.0.1:8000/hook", "send_interval": 5}],
    },
    **schemas_of(IssueRecord, CapabilitiesRecord, Queue, EventRecord),
    "Account": schema_of(
        AccountRow,
        input=(
            maybe(
                record(
                    {"id": TEXT, "kind": word(*QUESTION_KINDS), **texts("prompt"), "digits": maybe(WHOLE)},
                    ("prompt_text",),
                    "answer that it needs from a person: yes to a consent, or a code",
                )
            ),
            "question that it waits for, with the risk; null: none",
        ),
    ),
    "Told": explained(
        schema_of(AccountAnswer, left_out=(*AccountRow.__struct_fields__, *_OF_ACTIONS)),
        "current data from the account's process",
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
        *("GET", path, meaning, answers, rights.of_controller("GET", path).scope, (client, *parameters)),
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
    _own(
        "get_qrcode",
        "the QR code to scan: anyone who has it can start a login",
        Content({"image/jpg": ANYTHING, JSON: ref("Failure")}),
    ),
)
ROUTES = (*V1, *OWN, *described.calls())


def openapi() -> JsonObject:
    """Return the document that /v1/openapi.json gives."""
    routes = {(route.method, route.path): route for route in reversed(ROUTES)}  # stop_client is the controller's own
    return document("wxcontroller", __version__, _ABOUT, reversed(routes.values()), SCHEMAS)
