"""The API of an account's own port, described: one entry for each route of its /v1, and the calls under /openwx.

A test walks the router and compares.
"""

from collections.abc import Mapping

from wxcontroller import __version__
from wxcontroller.core import access
from wxcontroller.core.access import Scope
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.states import LoginState
from wxcontroller.openwx import described, described_input, described_log
from wxcontroller.openwx.describing import (
    NUMBER,
    SWITCH,
    TEXT,
    WHOLE,
    Route,
    Schema,
    document,
    either,
    listing,
    maybe,
    record,
    ref,
    word,
)

_ABOUT = (
    "One account's own port, on 127.0.0.1 only. Its calls under /openwx are those that the controller passes on; it "
    "has no client parameter."
)
_ALWAYS = (400, 403, 431, 500, 503, 505)
SCHEMAS: Mapping[str, Schema] = {
    **described.SCHEMAS,
    **described_log.SCHEMAS,
    "Error": either(record({"error": record({"code": TEXT, "message": TEXT, "remedy": TEXT})}), ref("Failure")),
    "Status": record(
        {
            **dict.fromkeys(("name", "instance", "version", "driver", "state", "status", "reason"), TEXT),
            "login_state": word(*(state.value for state in LoginState)),
            "input": maybe(described_input.INPUT),
            **dict.fromkeys(("pid", "start_time", "since"), WHOLE),
            "queue": record(
                {"waiting": WHOLE, "in_flight": WHOLE, "most_waiting": WHOLE, "interval": NUMBER, "held": SWITCH}
            ),
            "reports": record(
                {
                    "to": maybe(TEXT),
                    **dict.fromkeys(
                        ("waiting", "retrying", "delivered", "refused", "dropped", "dead", "bytes"), WHOLE
                    ),
                    **dict.fromkeys(("last_error", "trouble"), TEXT),
                    **dict.fromkeys(("oldest_since", "dropped_at", "damaged_at"), maybe(WHOLE)),
                }
            ),
            "media": record({"files": WHOLE, "bytes": WHOLE}),
            "roster": record({"contacts": WHOLE, "groups": WHOLE, "members": WHOLE, "changes": WHOLE}),
            "last_message_time": record({"received": maybe(WHOLE), "sent": maybe(WHOLE)}),
            "last_sync_time": maybe(WHOLE),
        }
    ),
}


def _v1(method: str, path: str, meaning: str, answer: Schema) -> Route:
    return Route(method, f"/v1/{path}", meaning, {200: answer}, failures=_ALWAYS, tag="v1")


V1: tuple[Route, ...] = (
    _v1("GET", "openapi.json", "this document", {"type": "object"}),
    _v1("GET", "status", "how the account is: its queue, reports, media and times", ref("Status")),
    _v1(
        "GET",
        "options",
        "the options it runs by, without secrets",
        record({"name": TEXT, "instance": TEXT, "options": {"type": "object"}, "credentials": listing(TEXT)}),
    ),
    Route(
        *("POST", "/v1/logout", "end its session for good; the process stays, parked, until it is stopped"),
        {200: record({"account": TEXT, "logged_out": SWITCH})},
        failures=(*_ALWAYS, 504),
        tag="v1",
    ),
    described_input.route("/v1", (), _ALWAYS),
    *described_log.routes("/v1", (), _ALWAYS),
    described_log.events("/v1", (), _ALWAYS),
)
ROUTES = (*V1, *described.calls())


def openapi() -> JsonObject:
    """Return the document that /v1/openapi.json of the account's port gives."""
    return document("wxclient", __version__, _ABOUT, ROUTES, SCHEMAS, _scope_of)


def _scope_of(route: Route) -> Scope | None:
    return (access.of_own_port(route.method, route.path) if route in V1 else access.of_call(route.path)).scope
