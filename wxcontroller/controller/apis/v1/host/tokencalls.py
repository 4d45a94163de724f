"""/v1/tokens: the tokens without their secrets, including those of agents.

The file of the others belongs to root: a compromised controller can neither add nor remove tokens. So they are only
listed here, and revoked by ``wxctl token revoke`` on the controller's machine. An agent's ends with the agent, too.
"""

import time

from aiohttp import web

from wxcontroller.controller.apis.v1.form.declaring import Calls
from wxcontroller.controller.context import context
from wxcontroller.controller.edge.failureanswers import json_response
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.access.tokenfile import Token
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.text.templates import text_fields
from wxcontroller.openwx.contract.describing import SWITCH, TEXT, WHOLE, listing, maybe, record, texts, word

_TOKEN = record(
    {
        **dict.fromkeys(("id", "name"), TEXT),
        "scope": word(*(scope.value for scope in Scope)),
        "accounts": (listing(TEXT), "the accounts that it is bound to; none: all"),
        "created_at": WHOLE,
        "expires_at": maybe(WHOLE),
        "expired": SWITCH,
        "consumer": (maybe(TEXT), "the name of the agent that it is for; null: it is for none"),
    },
    meaning="an API token, without its secret",
)
_ANSWER = record({"required": SWITCH, "tokens": listing(_TOKEN), **texts("reason")})
CALLS = Calls()


@CALLS.route("GET tokens", Scope.ADMIN, "API tokens and those of agents, without their secrets", _ANSWER)
async def tokens(request: web.Request) -> web.Response:
    """GET /v1/tokens: all of them; ``reason`` is why their file cannot be used, "" while it can."""
    gate, now = context(request).gate, time.time()
    current = gate.tokens
    listed: list[JsonValue] = [token_row(token, now) for token in current.by_id.values()]
    listed += [token_row(each.token, now, each.name) for each in gate.consumers.all()]
    return json_response({"required": current.required, "tokens": listed, **text_fields(reason=current.broken)})


def token_row(token: Token, now: float, consumer: str | None = None) -> JsonObject:
    return {
        "id": token.id,
        "name": token.name,
        "scope": token.scope.value,
        "accounts": [*token.accounts],
        "created_at": token.created,
        "expires_at": token.expires,
        "expired": token.expired(now),
        "consumer": consumer,
    }
