"""GET /v1/access: whether the caller has access. Never an error, because browsers log errors."""

from aiohttp import web

from wxcontroller.controller.apis.v1.form.declaring import Calls
from wxcontroller.controller.callers.authentication import ANYBODY
from wxcontroller.controller.callers.refusals import Refused
from wxcontroller.controller.context import context
from wxcontroller.controller.edge.authorization import presented
from wxcontroller.controller.edge.failureanswers import json_response
from wxcontroller.controller.edge.peers import address_of
from wxcontroller.core.access.rights import LADDER
from wxcontroller.openwx.contract.describing import SWITCH, maybe, record, word

CALLS = Calls()


@CALLS.route(
    "GET access",
    None,
    "whether a token is needed, and whether the given one is valid",
    record(
        {
            **{"needed": SWITCH, "accepted": SWITCH, "scope": maybe(word(*LADDER))},
            "bound": (SWITCH, "whether the token is bound to accounts"),
        }
    ),
    (429, 503),
)
async def admission(request: web.Request) -> web.Response:
    """GET /v1/access: whether a token is ``needed``; whether the caller is ``accepted``; ``scope`` and ``bound``.

    A wrong token counts as a failure, as everywhere. A token whose scope is outside the ladder is not accepted,
    because it permits none of these calls. Raises Refused where too many were, or, but for root, when the tokens file
    cannot be used: no token would be accepted.
    """
    gate = context(request).gate
    if gate.is_open:
        return json_response({"needed": False, "accepted": True, "scope": ANYBODY.scope.value, "bound": False})
    refused = json_response({"needed": True, "accepted": False, "scope": None, "bound": False})
    token = await presented(request)
    if token is None and not gate.tokens.broken:
        return refused
    try:
        found = gate.caller(token, address_of(request))
    except Refused as problem:
        if problem.status != 401:
            raise
        return refused
    if not found.scope.in_ladder:
        return refused
    bound = found.instances is not None
    return json_response({"needed": True, "accepted": True, "scope": found.scope.value, "bound": bound})
