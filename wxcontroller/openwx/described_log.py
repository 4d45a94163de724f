"""The event log of an account over HTTP, described: events, deliveries and received media.

They are answered at the account's own port, and by the controller for the account that its path names.
"""

from collections.abc import Mapping

from wxcontroller.openwx.describing import (
    ANYTHING,
    BINARY,
    NUMBER,
    STREAM,
    SWITCH,
    TEXT,
    WHOLE,
    Content,
    DescribedRoute,
    OnRequest,
    Parameter,
    Schema,
    listing,
    maybe,
    record,
    ref,
    texts,
)
from wxcontroller.openwx.pages import PAGE_EVENTS, SELECTED_IDS

# Codes of the log alone.
CODES = ("no-such-event", "no-such-media", "no-webhook", "unavailable")
_COUNTED: Mapping[str, Schema] = {
    **dict.fromkeys(("held", "pending", "retrying", "dead", "unacknowledged", "dropped"), WHOLE),
    "to": maybe(TEXT),
    **dict.fromkeys(("oldest_since", "dropped_at", "damaged_at"), maybe(WHOLE)),
    **texts("last_error", "trouble"),
    "last_attempt": maybe(record({"time": WHOLE, "status": maybe(WHOLE), "milliseconds": WHOLE})),
}
_DELIVERY: Mapping[str, Schema] = {
    **dict.fromkeys(("id", "type"), TEXT),
    **texts("last_error"),
    **dict.fromkeys(("seq", "attempts", "bytes"), WHOLE),
    "time": NUMBER,
    "state": TEXT,
    "lane": maybe(TEXT),
    "next_at": maybe(NUMBER),
    "last_status": maybe(WHOLE),
    "settled_at": maybe(NUMBER),
    **dict.fromkeys(("direction", "sender", "receiver", "group"), maybe(TEXT)),
}
SCHEMAS: Mapping[str, Schema] = {
    "Text": record(
        {"template": TEXT, "plural": TEXT, "values": {"type": "object"}},
        ("plural",),
        "a text as data: fill the values in at their names; values that are texts are filled in first",
    ),
    "Counts": record(
        {"account": TEXT, **_COUNTED},
        ("last_error_text", "trouble_text", "last_attempt"),
        "how many reports wait, and how many are dead letters",
    ),
    "Delivery": record(
        _DELIVERY, ("last_error_text", "direction", "sender", "receiver", "group"), "what became of one report"
    ),
    "Event": record(
        {
            **dict.fromkeys(("id", "account", "type"), TEXT),
            **dict.fromkeys(("seq", "stamp"), WHOLE),
            "epoch": {**WHOLE, "description": "the account's epoch at that time; absent from older versions"},
            "time": NUMBER,
            "report": {"type": "object"},
        },
        ("epoch",),
        meaning="what happened, with its report as post_api gets it",
    ),
    "Choice": {
        "type": "object",
        "properties": {
            "ids": {"type": "array", "items": TEXT, "minItems": 1, "maxItems": SELECTED_IDS},
            "state": {**TEXT, "description": "states, separated by commas"},
            "all": SWITCH,
        },
        "additionalProperties": False,
        "description": "which reports: some of ids and state, or all",
    },
}
_AFTER = Parameter("after", "the number of the last that is known", WHOLE)
_LIMIT = Parameter(
    "limit",
    "how many at most",
    {"type": "integer", "minimum": 0, "maximum": PAGE_EVENTS},
)
TYPES = Parameter("types", "only events of these types, separated by commas")
BAD = (400,)
_BODY = (400, 404, 408, 413, 415)


def with_counts(fields: Mapping[str, Schema]) -> Schema:
    return {"allOf": [ref("Counts"), record(fields)]}


def routes(path: str, first: tuple[Parameter, ...], failures: tuple[int, ...]) -> tuple[DescribedRoute, ...]:
    """Return what is below ``path`` (``/v1`` or an account's there); ``first`` are the path's own parameters."""

    def route(
        method: str,
        rest: str,
        meaning: str,
        answers: Mapping[int, Schema | Content],
        parameters: tuple[Parameter, ...] = (),
        failed: tuple[int, ...] = (),
        body: Schema | None = None,
    ) -> DescribedRoute:
        all_failures = tuple(sorted({*failures, *failed}))
        about = (*first, *parameters)
        return DescribedRoute(
            method, f"{path}/{rest}", meaning, answers, about, body, failures=all_failures, tag="v1"
        )

    one = Parameter("id", "the event's id", place="path")
    shown = {"deliveries": listing(ref("Delivery")), "next": maybe(WHOLE)}
    content = Content({"application/octet-stream": BINARY, "*/*": ANYTHING})
    ranges = (
        Parameter("Range", "bytes that are wanted", place="header"),
        Parameter("If-Modified-Since", "when it was known", place="header"),
    )
    return (
        route(
            *("GET", "deliveries", "reports that wait or are dead, oldest first, with the counts of all"),
            {200: with_counts(shown)},
            (Parameter("state", "other states, separated by commas"), _AFTER, _LIMIT),
            BAD,
        ),
        route(
            *("POST", "deliveries/replay", "send reports again; all: the dead ones"),
            {200: with_counts({"replayed": WHOLE})},
            failed=(*_BODY, 409),
            body=ref("Choice"),
        ),
        route(
            *("POST", "deliveries/purge", "give reports up that wait or are dead"),
            {200: with_counts({"purged": WHOLE})},
            failed=_BODY,
            body=ref("Choice"),
        ),
        route(
            *("POST", "deliveries/ack", "acknowledge dead letters: they are kept, and count as known"),
            {200: with_counts({"acknowledged": WHOLE})},
            failed=(*_BODY, 409),
            body=ref("Choice"),
        ),
        route(
            *("GET", "deliveries/{id}", "one of them with its report"),
            {200: {"allOf": [ref("Delivery"), record({"report": ANYTHING})]}},
            (one,),
            (404,),
        ),
        route(
            *("GET", "media/{file}", "a received file, as media_url in reports names it"),
            {200: content, 206: content, 304: Content({}), 416: Content({})},
            (Parameter("file", "its name", place="path"), *ranges),
            (404,),
        ),
    )


def events(path: str, first: tuple[Parameter, ...], failures: tuple[int, ...]) -> DescribedRoute:
    """Return the account's own stream, which the controller reads and passes on; as ``routes``."""
    page = record(
        {
            **dict.fromkeys(("account", "log"), TEXT),
            **dict.fromkeys(("first", "last"), WHOLE),
            "events": listing(ref("Event")),
            "more": SWITCH,
        }
    )
    parameters = (
        Parameter("after", "the id or number of the last that is known"),
        Parameter("since", "from when on, in microseconds since 1970", WHOLE),
        TYPES,
        _LIMIT,
    )
    return DescribedRoute(
        *("GET", f"{path}/events", "what happened, as a page, or with Accept: text/event-stream as it happens"),
        {200: OnRequest(page, (STREAM,))},
        (*first, *parameters),
        failures=tuple(sorted({*failures, *BAD})),
        tag="v1",
    )
