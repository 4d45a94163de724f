"""/v1/deliveries: waiting and dead reports, of all accounts together."""

from aiohttp import web

from wxcontroller.controller.access import caller
from wxcontroller.controller.account_port.status import Answer, ask_all
from wxcontroller.controller.context import context
from wxcontroller.controller.errors import json_response
from wxcontroller.controller.v1.calls import NAME, PASSED_ON, RoutedCall, call
from wxcontroller.controller.v1.newer import pass_on_newer
from wxcontroller.core.account import Account
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.messages import Text
from wxcontroller.openwx import described_log
from wxcontroller.openwx.describing import AS_DATA, TEXT, WHOLE, listing, maybe, record

_COUNTS = (
    *(
        "to",
        "held",
        "pending",
        "retrying",
        "dead",
        "unacknowledged",
        "dropped",
        "dropped_at",
        "damaged_at",
        "oldest_since",
        *("last_error", "last_error_text"),
        *("trouble", "trouble_text"),
        "last_attempt",
    ),
)


async def summary(request: web.Request) -> web.Response:
    """GET /v1/deliveries: the counts of every account that the caller may see.

    ``error`` says so where the account's program does not tell. Which they are tells /v1/accounts/NAME/deliveries.
    """
    shared = context(request)
    who = caller(request)
    views = [view for view in await shared.accounts.views() if who.may_see(view.instance)]
    answers: dict[str, Answer] = {}
    seconds = shared.settings.limits.account_answer_seconds
    accounts = [view.account for view in views]
    await ask_all(shared.ports, accounts, answers.__setitem__, "/v1/deliveries?limit=1", seconds)
    rows: list[JsonValue] = [row(account, answers[account.name.instance]) for account in accounts]
    return json_response({"accounts": rows})


def row(account: Account, answer: Answer) -> JsonObject:
    content = answer.content or {}
    counts = {key: content.get(key) for key in _COUNTS}
    name = account.name
    return {"account": name.name, "instance": name.instance, **counts, **error(answer.reason)}


def error(reason: Text) -> JsonObject:
    return {"error": str(reason) or None, "error_text": reason.as_json() if reason else None}


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
CALLS = (
    call(
        "GET",
        "deliveries",
        summary,
        "how many reports wait, and how many are dead letters, of every account",
        record({"accounts": listing(_ROW)}),
    ),
    *(
        RoutedCall(
            route,
            pass_on_newer,
            route.path.replace("{id}", "{id:(?!(?:replay|purge|ack)$)[^/]+}"),
        )
        for route in described_log.routes("/v1/accounts/{name}", (NAME,), PASSED_ON)
    ),
)
