"""/v1/deliveries: what waits and what is dead, of all accounts together."""

from aiohttp import web

from wxcontroller.controller.access import caller
from wxcontroller.controller.context import context
from wxcontroller.controller.errors import json_response
from wxcontroller.controller.v1.passing import Said, ask_all
from wxcontroller.core.jsontypes import JsonObject, JsonValue

_COUNTS = (
    *(
        "to",
        "held",
        "pending",
        "retrying",
        "dead",
        "dropped",
        "dropped_at",
        "damaged_at",
        "oldest_since",
        "last_error",
        "trouble",
    ),
)


async def summary(request: web.Request) -> web.Response:
    """GET /v1/deliveries: the counts of every account that the caller may see.

    ``error`` says so where the account's program does not tell. Which they are tells /v1/accounts/NAME/deliveries.
    """
    shared = context(request)
    who = caller(request)
    views = [view for view in await shared.accounts.views() if who.may_see(view.instance)]
    said = await ask_all(shared, views, "/v1/deliveries?limit=1")
    rows: list[JsonValue] = [_row(one) for one in said]
    return json_response({"accounts": rows})


def _row(said: Said) -> JsonObject:
    account: JsonObject = {"account": said.view.account.name.name, "instance": said.view.instance}
    return {**account, **{key: said.answer.get(key) for key in _COUNTS}, "error": said.reason or None}
