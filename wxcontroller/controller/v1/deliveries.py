"""Waiting and dead reports: of all accounts together, and those of one with the media of its reports."""

from collections.abc import Mapping

from aiohttp import web

from wxcontroller.controller.access import caller
from wxcontroller.controller.account_port.failures import NOT_RUNNING
from wxcontroller.controller.account_port.proxy import pass_on_v1
from wxcontroller.controller.context import context
from wxcontroller.controller.errors import json_response
from wxcontroller.controller.v1.calls import Calls, both
from wxcontroller.controller.v1.events import LIMIT
from wxcontroller.controller.view import View
from wxcontroller.core.access import Scope
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.core.messages import N_, NOTHING, Text
from wxcontroller.core.records.deliveries import Changed, DeliveryPage, DeliveryRecord
from wxcontroller.openwx.describing import (
    ANYTHING,
    AS_DATA,
    BINARY,
    NUMBER,
    SWITCH,
    TEXT,
    WHOLE,
    Content,
    Fields,
    Parameter,
    Schema,
    explained,
    listing,
    maybe,
    record,
    ref,
    texts,
)
from wxcontroller.openwx.paging import SELECTED_IDS

# Codes of refused requests, in addition to those of every request.
CODES = ("no-such-event", "no-such-media", "no-webhook", "unavailable")
_FAILED = "error of the last attempt; empty: none"
_COUNTS: Fields = {
    "held": (WHOLE, "reports whose media are being fetched"),
    "pending": (WHOLE, "undelivered reports, but for those whose media are being fetched"),
    "retrying": (WHOLE, "of these, reports in the retry lane, which do not delay others"),
    "dead": (WHOLE, "dead letters"),
    "unacknowledged": (WHOLE, "of these, unacknowledged ones"),
    "dropped": (WHOLE, "reports lost because the log was full or damaged"),
    "to": (maybe(TEXT), "URL of the webhook, without secrets; null: none"),
    "oldest_since": (maybe(WHOLE), "time when the oldest was queued, in seconds since 1970"),
    "dropped_at": (maybe(WHOLE), "time of the last loss, in seconds since 1970; null: never"),
    "damaged_at": (
        maybe(WHOLE),
        "when a damaged log was last replaced by a new one, in seconds since 1970; null: never",
    ),
    **texts(last_error=_FAILED, trouble="reason why nothing can be stored; empty: none"),
    "last_attempt": (
        maybe(record({"time": WHOLE, "status": maybe(WHOLE), "milliseconds": WHOLE})),
        "when a report was last posted, the HTTP status and the time it took; null: not yet",
    ),
}
_PROGRESS: Fields = {
    "id": (TEXT, "the event's id"),
    "state": (TEXT, "held, pending, delivered, dead, kept or purged"),
    "lane": (maybe(TEXT), "lane in which it waits: queue or retry; null: it does not wait"),
    "attempts": (WHOLE, "number of attempts"),
    "next_at": (maybe(NUMBER), "time of the next attempt, in seconds since 1970"),
    **texts(last_error=_FAILED),
    "last_status": (maybe(WHOLE), "HTTP status of the last attempt"),
    "settled_at": (maybe(NUMBER), "time of its delivery or final failure, in seconds since 1970"),
}
SCHEMAS: Mapping[str, Schema] = {
    "Progress": record(_PROGRESS, ("last_error_text",), "how far the delivery of an event's report is"),
    "Counts": record(
        {"account": (TEXT, "name of the account"), **_COUNTS},
        ("last_error_text", "trouble_text", "last_attempt"),
        "numbers of undelivered reports and dead letters",
    ),
    "Delivery": record(
        {
            **_PROGRESS,
            "delivery": (TEXT, "the id by which the webhook gets it; absent from older versions"),
            "seq": (WHOLE, "sequence number of the event"),
            "time": (NUMBER, "time of the event, in seconds since 1970"),
            "type": (TEXT, "type of the event"),
            "bytes": (WHOLE, "size of its report"),
            "direction": (maybe(TEXT), "in or out; null: not a message, or a large one"),
            "sender": (maybe(TEXT), "name of the message's sender"),
            "receiver": (maybe(TEXT), "name of its receiver"),
            "group": (maybe(TEXT), "name of its group"),
        },
        ("delivery", "last_error_text", "direction", "sender", "receiver", "group"),
        "a report and the state of its delivery",
    ),
    "Choice": {
        "type": "object",
        "properties": {
            "ids": {
                **{"type": "array", "items": TEXT, "minItems": 1, "maxItems": SELECTED_IDS},
                "description": "ids of events, of their deliveries, or of messages",
            },
            "state": explained(TEXT, "states, separated by commas"),
            "all": explained(SWITCH, "all that are in these states"),
        },
        "additionalProperties": False,
        "description": "the reports, by ids, state or both, or all",
    },
}
_ROW = record(
    {
        **dict.fromkeys(("account", "instance"), TEXT),
        **dict.fromkeys(
            ("held", "pending", "retrying", "dead", "dropped", "dropped_at", "damaged_at", "oldest_since"),
            maybe(WHOLE),
        ),
        **dict.fromkeys(("to", "last_error", "trouble", "error"), maybe(TEXT)),
        **dict.fromkeys(("last_error_text", "trouble_text", "error_text"), AS_DATA),
        "last_attempt": maybe({"type": "object"}),
    }
)
_ID = Parameter("id", "the id of the event, of its delivery, or of its message", place="path")
CALLS = Calls()


@CALLS.route(
    "GET deliveries",
    Scope.READ,
    "numbers of undelivered reports and dead letters of all accounts",
    record({"accounts": listing(_ROW)}),
)
async def summary(request: web.Request) -> web.Response:
    """GET /v1/deliveries: the counts of every account that the caller may see, as the accounts publish them.

    ``error`` gives the reason if one publishes none. /v1/accounts/NAME/deliveries has the reports.
    """
    who = caller(request)
    views = [view for view in await context(request).accounts.views() if who.may_see(view.instance)]
    return json_response({"accounts": [row(view) for view in views]})


def row(view: View) -> JsonObject:
    reports = obj(view.published.content.get("reports")) if view.published else {}
    error = NOTHING
    if not view.unit.has_process:
        error = NOT_RUNNING
    elif view.published is None:
        error = Text(
            N_("its process publishes no deliveries: it has just started, or it is another program or version")
        )
    return {
        "account": view.account.name.name,
        "instance": view.instance,
        **{key: reports.get(key) for key in _COUNTS},
        "error": str(error) or None,
        "error_text": error.as_json() if error else None,
    }


def with_counts(fields: Fields) -> Schema:
    return both(ref("Counts"), record(fields))


CALLS.forwarded(
    "GET deliveries",
    "undelivered reports and dead letters, oldest first, with all counts",
    with_counts({"deliveries": listing(ref("Delivery")), "next": maybe(WHOLE)}),
    parameters=(
        Parameter("state", "other states, separated by commas"),
        Parameter("after", "sequence number to continue after", WHOLE),
        LIMIT,
    ),
    decoded=DeliveryPage,
)(pass_on_v1)
for _verb, _done, _meaning in (
    ("replay", "replayed", "send reports again; all: the dead letters"),
    ("purge", "purged", "discard undelivered reports or dead letters"),
    ("ack", "acknowledged", "acknowledge dead letters: they are kept and no longer count as a problem"),
):
    CALLS.forwarded(
        f"POST deliveries/{_verb}",
        _meaning,
        with_counts({_done: WHOLE}),
        body=ref("Choice"),
        decoded=Changed,
    )(pass_on_v1)
CALLS.forwarded(
    "GET deliveries/{id}",
    "one of them with its report",
    both(ref("Delivery"), record({"report": ANYTHING})),
    parameters=(_ID,),
    decoded=DeliveryRecord,
    pattern="accounts/{name}/deliveries/{id:(?!(?:replay|purge|ack)$)[^/]+}",
)(pass_on_v1)
_CONTENT = Content({"application/octet-stream": BINARY, "*/*": ANYTHING})
CALLS.forwarded(
    "GET media/{file}",
    "a received file, as media_url in reports names it",
    _CONTENT,
    parameters=(
        Parameter("file", "its name", place="path"),
        Parameter("Range", "range of bytes", place="header"),
        Parameter("If-Modified-Since", "time of the cached copy", place="header"),
    ),
    also={206: _CONTENT, 304: Content({}), 416: Content({})},
)(pass_on_v1)
