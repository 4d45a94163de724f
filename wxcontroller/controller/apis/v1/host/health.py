"""/v1/health: whether the controller itself works."""

import time
from collections import Counter
from collections.abc import Mapping

from aiohttp import web

from wxcontroller import __version__
from wxcontroller.controller.accounts.units import Verb
from wxcontroller.controller.apis.v1.form.declaring import Calls
from wxcontroller.controller.context import context
from wxcontroller.controller.edge.authorization import caller
from wxcontroller.controller.edge.failureanswers import json_response
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.errors import UnitFailed
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.names import unit_of
from wxcontroller.core.text.templates import text_fields
from wxcontroller.openwx.contract.describing import (
    AS_DATA,
    SWITCH,
    TEXT,
    WHOLE,
    Schema,
    either,
    listing,
    maybe,
    record,
    ref,
    texts,
    word,
)

# An id that only a name with exactly this hash would have, so that the test stops no account.
_NOBODY = "x-aaaaaaaaaaaaaaa"
_PATIENCE = 10.0
_ETCD = record(
    {
        **texts("reason"),
        "held": (listing(TEXT), "accounts of lost hosts that no host takes over"),
        "taken_over": (listing(TEXT), "accounts that this host has taken over recently"),
    }
)
SCHEMAS: Mapping[str, Schema] = {
    "Health": record(
        {
            "status": (word("ok", "degraded"), "degraded: systemd does not answer"),
            "version": (TEXT, "version of the controller"),
            "uptime": (WHOLE, "seconds since the start"),
            "draining": (SWITCH, "whether it is shutting down"),
            "notices": (listing(TEXT), "notices for the administrator"),
            "notices_text": (listing(ref("Text")), "the same as data"),
            "settings": (
                record({"read_at": WHOLE, "error": maybe(TEXT), "error_text": AS_DATA}),
                "time when the settings were read, and their current problems",
            ),
            "reason": (TEXT, "why it is degraded"),
            "accounts": (
                record({"known": WHOLE, "wanted": WHOLE, "alive": WHOLE, "states": {"type": "object"}}),
                "number of accounts by kind",
            ),
            "fleet": (
                record({"name": TEXT, "unreachable": listing(TEXT), "etcd": maybe(_ETCD)}),
                "this host's name, the other hosts that do not respond, and why accounts cannot be claimed in etcd; "
                "only in a fleet",
            ),
        },
        ("reason", "accounts", "fleet"),
    ),
}
_MAY_ACT = record({"may_act": SWITCH, "reason": maybe(TEXT)})
CALLS = Calls()


@CALLS.route("GET health/units", Scope.READ, "whether systemd carries out the controller's requests", _MAY_ACT)
async def may_act(request: web.Request) -> web.Response:
    """GET /v1/health/units: whether systemd, and polkit before it, does what the controller asks; ``reason`` if not.

    It is asked to stop a unit that does not exist.
    """
    try:
        await context(request).accounts.units.act(Verb.STOP, _NOBODY, _PATIENCE)
    except UnitFailed as problem:
        return json_response({"may_act": False, "reason": problem.message.replace(unit_of(_NOBODY), "a unit")})
    return json_response({"may_act": True, "reason": None})


@CALLS.route(
    "GET health",
    Scope.READ,
    "status of the controller",
    ref("Health"),
    also={503: either(ref("Health"), ref("Error"))},
)
async def health(request: web.Request) -> web.Response:
    """GET /v1/health: 200 when systemd answers, 503 when not.

    ``notices`` are about the settings and who may call, ``accounts`` counts those that the caller may see;
    ``settings`` has the time when they were read, and the reason why newer ones are not in use. ``fleet`` is present
    if the settings have one, for callers that are not bound to accounts.
    """
    shared, who = context(request), caller(request)
    notices = [*shared.notices, *shared.warnings]
    error = shared.settings_error
    answer: JsonObject = {
        "status": "ok",
        "version": __version__,
        "uptime": int(time.time() - shared.started),
        "draining": shared.draining.is_set(),
        "notices": [str(notice) for notice in notices],
        "notices_text": [notice.as_json() for notice in notices],
        "settings": {
            "read_at": int(shared.settings_read),
            "error": str(error) or None,
            "error_text": error.as_json() if error else None,
        },
    }
    try:
        views = [view for view in await shared.accounts.views() if who.may_see(view.instance)]
    except UnitFailed as problem:
        answer.update(status="degraded", reason=str(problem))
        return json_response(answer, 503)
    if shared.fleet is not None and who.instances is None:
        unreachable: list[JsonValue] = [*shared.fleet.unreachable()]
        owns = shared.fleet.ownership
        etcd: JsonObject | None = None
        if owns is not None:
            etcd = {**text_fields(reason=owns.trouble), "held": [*owns.held], "taken_over": [*owns.taken_over]}
        answer["fleet"] = {"name": shared.fleet.name, "unreachable": unreachable, "etcd": etcd}
    states: dict[str, JsonValue] = dict(Counter(view.word or "unknown" for view in views))
    answer["accounts"] = {
        "known": len(views),
        "wanted": sum(view.registered for view in views),
        "alive": sum(view.unit.has_process for view in views),
        "states": states,
    }
    return json_response(answer)
