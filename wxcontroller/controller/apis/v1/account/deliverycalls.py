"""Waiting and dead reports: of all accounts together, and those of one with the media of its reports."""

from collections.abc import Mapping

from aiohttp import web

from wxcontroller.controller.account_port.portfailures import NOT_RUNNING
from wxcontroller.controller.accounts.view import View
from wxcontroller.controller.apis.v1.account.eventcalls import LIMIT
from wxcontroller.controller.apis.v1.form.declaring import Calls
from wxcontroller.controller.apis.v1.form.recordschemas import schemas_of
from wxcontroller.controller.context import context
from wxcontroller.controller.edge.authorization import caller
from wxcontroller.controller.edge.failureanswers import json_response
from wxcontroller.controller.forwarding.proxy import pass_on_v1
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.records.accountrecords import Reports
from wxcontroller.core.records.decoding import as_object, given
from wxcontroller.core.records.deliveryrecords import (
    Changed,
    CountsRecord,
    DeliveryPage,
    DeliveryRecord,
    ProgressRecord,
)
from wxcontroller.core.text.templates import N_, NOTHING, Text
from wxcontroller.openwx.contract.describing import (
    ANYTHING,
    AS_DATA,
    BINARY,
    SWITCH,
    TEXT,
    WHOLE,
    Content,
    Parameter,
    Schema,
    both,
    explained,
    listing,
    maybe,
    record,
    ref,
)
from wxcontroller.openwx.contract.paging import SELECTED_IDS

# Codes of refused requests, in addition to those of every request.
CODES = ("no-such-event", "no-such-media", "no-webhook", "unavailable")
SCHEMAS: Mapping[str, Schema] = {
    **schemas_of(ProgressRecord, CountsRecord, DeliveryRecord),
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
    reports = as_object(given(view.published.status.reports, Reports())) if view.published else {}
    error = NOTHING
    if not view.unit.has_process:
        error = NOT_RUNNING
    elif view.published is None:
        error = Text(
            N_("its process publishes no deliveries: it has just started, or it is another program or version")
        )
    return {
        **{key: reports.get(key) for key in CountsRecord.__struct_fields__},
        "account": view.account.name.name,
        "instance": view.instance,
        "error": str(error) or None,
        "error_text": error.as_json() if error else None,
    }


CALLS.forwarded(
    "GET deliveries",
    "undelivered reports and dead letters, oldest first, with all counts",
    DeliveryPage,
    parameters=(
        Parameter("state", "other states, separated by commas"),
        Parameter("after", "sequence number to continue after", WHOLE),
        LIMIT,
    ),
)(pass_on_v1)
for _verb, _done, _meaning in (
    ("replay", "replayed", "send reports again; all: the dead letters"),
    ("purge", "purged", "discard undelivered reports or dead letters"),
    ("ack", "acknowledged", "acknowledge dead letters: they are kept and no longer count as a problem"),
):
    CALLS.forwarded(
        f"POST deliveries/{_verb}",
        _meaning,
        both(ref("Counts"), record({_done: WHOLE})),
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
