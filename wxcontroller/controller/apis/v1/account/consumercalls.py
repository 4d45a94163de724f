"""/v1/accounts/{name}/consumers: the agents that use an account by the iLink API (controller/apis/ilink).

The account's process keeps them; their tokens are the controller's. A token can be made while the account is stopped:
the process adds the consumer at its first call.
"""

from collections.abc import Mapping

from aiohttp import web

from wxcontroller.controller.account_port.portfailures import NotRunning, PortFailure
from wxcontroller.controller.apis.ilink.agents import keep, need_served
from wxcontroller.controller.apis.v1.account.accountcalls import json_object
from wxcontroller.controller.apis.v1.form.declaring import Calls
from wxcontroller.controller.apis.v1.form.freshstatus import ask
from wxcontroller.controller.apis.v1.form.recordschemas import schema_of
from wxcontroller.controller.callers.agenttokens import checked_name
from wxcontroller.controller.callers.refusals import BadRequest, NoConsumer
from wxcontroller.controller.context import context
from wxcontroller.controller.edge.authorization import caller
from wxcontroller.controller.edge.failureanswers import json_response
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.access.tokenfile import Token
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj, text
from wxcontroller.core.jsontypes import field as member
from wxcontroller.core.records.accountrecords import ConsumerRecord
from wxcontroller.core.text.templates import N_, text_fields
from wxcontroller.openwx.contract.describing import (
    SWITCH,
    TEXT,
    WHOLE,
    Parameter,
    Schema,
    both,
    either,
    listing,
    maybe,
    record,
    ref,
    word,
)
from wxcontroller.openwx.contract.describing import texts as text_schemas

_SECONDS = 10.0
# The end of the year 9999: the file of tokens holds dates.
_LATEST = 253402300799
_ACCESS = record({"id": TEXT, "created_at": WHOLE, "expires_at": maybe(WHOLE)})
SCHEMAS: Mapping[str, Schema] = {
    "ConsumerOptions": record(
        {
            "owner": (TEXT, "the person treated as its user, on the web route and File Transfer"),
            "peers": (either(TEXT, listing(TEXT)), "people whose messages it receives: all, or a list of ids"),
            "groups": (word("off", "on", "at"), "group messages; at: only those that mention the account"),
            "own": (SWITCH, "also messages sent from other devices"),
            "public": (SWITCH, "also messages of public accounts"),
            "backlog": (WHOLE, "minutes of messages that it receives after being offline"),
            "when_held": (
                word("refuse", "accept", "drop"),
                "the answer to a send that must wait for the person to write",
            ),
            "wait": (WHOLE, "seconds to wait for the outcome of a send, at most 14 (8); 0 answers once stored"),
            "interim": (SWITCH, "its sends are progress messages, which may be dropped"),
        },
        ("owner", "peers", "groups", "own", "public", "backlog", "when_held", "wait", "interim"),
        "options of an agent that uses an account through the iLink API",
    ),
    "Consumer": schema_of(ConsumerRecord, access=(maybe(_ACCESS), "its token; null: it has none")),
}
_NAME = Parameter("consumer", "the agent's name", place="path")
_ROW = ref("Consumer")
_OPTIONS = record({"token": SWITCH, "expires": maybe(WHOLE)}, ("token", "expires"))
CALLS = Calls()


@CALLS.route(
    "GET accounts/{name}/consumers",
    Scope.READ,
    "agents that use the account through the iLink API",
    record({"account": TEXT, "consumers": listing(_ROW), **text_schemas("reason")}),
)
async def consumers(request: web.Request) -> web.Response:
    """GET: each consumer as the account's process reports it, and those that only have a token so far."""
    shared = context(request)
    account = shared.accounts.account(request.match_info["name"])
    answer = await ask(shared.ports, account, "/v1/consumers")
    tokens = shared.gate.consumers.of_account(account.name.instance)
    found: dict[str, JsonObject] = {name: {"name": name} for name in tokens}
    found |= {
        text(member(consumer, "name")): obj(consumer) for consumer in items((answer.content or {}).get("consumers"))
    }
    rows: list[JsonValue] = [_row(consumer, tokens.get(name)) for name, consumer in sorted(found.items())]
    return json_response({"account": account.name.name, "consumers": rows, **text_fields(reason=answer.reason)})


@CALLS.route(
    "PUT accounts/{name}/consumers/{consumer}",
    Scope.ADMIN,
    "add an agent or change its options; a new token is shown only in this response",
    both(_ROW, record({"account": TEXT, "token": TEXT}, ("token",))),
    parameters=(_NAME,),
    body=both(ref("ConsumerOptions"), _OPTIONS),
)
async def put(request: web.Request) -> web.Response:
    """PUT options: add a consumer with a token, or change its options.

    ``token`` true replaces the token; a new consumer always gets one, which is shown only once. Raises NotServed
    while the API is off.
    """
    shared = context(request)
    account = shared.accounts.account(request.match_info["name"])
    name = checked_name(request.match_info["consumer"])
    need_served(shared.settings)
    options = await json_object(request, 'send {"when_held": "refuse"}, or nothing')
    expires, again = options.pop("expires", None), options.pop("token", False)
    if (
        not isinstance(again, bool)
        or isinstance(expires, bool)
        or not isinstance(expires, int | None)
        or not 0 <= (expires or 0) <= _LATEST
    ):
        raise BadRequest(N_("token or expires is invalid"), N_("send true or false, and seconds since 1970"))
    tokens = shared.gate.consumers
    existing = tokens.find(account.name.instance, name)
    try:
        row = await keep(shared.ports, account, name, options)
    except NotRunning:
        if options:
            raise
        row = {"name": name}
    if existing is not None and not again:
        return json_response({"account": account.name.name, **_row(row, existing.token)})
    shown, token = await tokens.issue(account, name, expires)
    return json_response({"account": account.name.name, **_row(row, token), "token": shown})


@CALLS.route(
    "DELETE accounts/{name}/consumers/{consumer}",
    Scope.ADMIN,
    "remove an agent and revoke its token",
    record({"account": TEXT, "name": TEXT, "token_ended": SWITCH, "forgotten": SWITCH}),
    parameters=(_NAME,),
)
async def remove(request: web.Request) -> web.Response:
    """DELETE: end a consumer's token, and have the account's process forget the consumer."""
    shared = context(request)
    account = shared.accounts.account(request.match_info["name"])
    name = checked_name(request.match_info["consumer"])
    ended = bool(await shared.gate.consumers.end(account.name.instance, name))
    try:
        status, _ = await shared.ports.ask(
            account, f"/v1/consumers/{name}", _SECONDS, caller(request).scope, "DELETE"
        )
        forgotten = status == 200
    except PortFailure:
        if not ended:
            raise
        forgotten = False
    if not ended and not forgotten:
        raise NoConsumer(
            N_("account {account} has no agent {consumer}"),
            N_("wxctl ilink consumers {account} lists them"),
            account=account.name.name,
            consumer=name,
        )
    return json_response({"account": account.name.name, "name": name, "token_ended": ended, "forgotten": forgotten})


def _row(consumer: JsonObject, token: Token | None) -> JsonObject:
    """Return a consumer with the stored facts of its token."""
    return {**consumer, "access": None if token is None else _access(token)}


def _access(token: Token) -> JsonObject:
    return {"id": token.id, "created_at": token.created, "expires_at": token.expires}
