"""/v1/ilink/pairings: agents that ask for a token, and the administrator's decision (controller/apis/ilink)."""

import secrets

from aiohttp import web

from wxcontroller.controller.apis.ilink.agents import keep, need_served
from wxcontroller.controller.apis.v1.account.accountcalls import json_object
from wxcontroller.controller.apis.v1.form.declaring import Calls
from wxcontroller.controller.callers.agenttokens import checked_name
from wxcontroller.controller.callers.pairings import PAIRINGS, Approval, NoPairing, Pairing, Status
from wxcontroller.controller.callers.refusals import BadRequest
from wxcontroller.controller.context import context
from wxcontroller.controller.edge.authorization import hold_to_accounts
from wxcontroller.controller.edge.failureanswers import json_response
from wxcontroller.core.access.rights import About, Scope
from wxcontroller.core.jsontypes import JsonValue, text
from wxcontroller.core.text.templates import N_
from wxcontroller.openwx.contract.describing import (
    SWITCH,
    TEXT,
    WHOLE,
    Parameter,
    both,
    listing,
    maybe,
    record,
    ref,
    word,
)

_PAIRING = record(
    {
        "status": word(*(status.value for status in Status)),
        "address": TEXT,
        "agent": TEXT,
        "account": maybe(TEXT),
        "asked_at": WHOLE,
        "base_url": TEXT,
        "digits": maybe(TEXT),
    }
)
_CODE = Parameter("code", "the code at the end of the link that the agent shows", place="path")
CALLS = Calls()


@CALLS.route(
    "GET ilink/pairings", Scope.ADMIN, "open pairing requests of agents", record({"pairings": listing(_PAIRING)})
)
async def pairings(request: web.Request) -> web.Response:
    """GET: the open requests, without their codes: only who has opened a request's link can approve it."""
    rows: list[JsonValue] = [each.as_json() for each in request.app[PAIRINGS].open()]
    return json_response({"pairings": rows})


@CALLS.route(
    "GET ilink/pairings/{code}",
    Scope.ADMIN,
    "a pairing request, by the code in its link",
    _PAIRING,
    (404,),
    (_CODE,),
    about=About.NOTHING,
)
async def opened(request: web.Request) -> web.Response:
    """GET of one: the requesting agent, which is shown that the link was opened."""
    pairing = _pairing(request)
    if pairing.status is Status.WAIT:
        pairing.set(Status.OPENED)
    return json_response(pairing.as_json())


@CALLS.route(
    "POST ilink/pairings/{code}",
    Scope.ADMIN,
    "approve a pairing request; the agent receives a token for this account, under this name",
    both(_PAIRING, record({"consumer": TEXT})),
    (404, 409, 504),
    (_CODE,),
    body=both(ref("ConsumerOptions"), record({"account": TEXT, "consumer": TEXT})),
    about=About.NOTHING,
)
async def approve(request: web.Request) -> web.Response:
    """POST ``{"account": …, "consumer": …, …options}``: the agent gets a token for this consumer.

    Raises NotServed while the API is off.
    """
    shared, pairing = context(request), _pairing(request)
    need_served(shared.settings)
    options = await json_object(request, 'send {"account": "alice", "consumer": "helper"}')
    named, name = text(options.pop("account", None)), checked_name(text(options.pop("consumer", None)))
    hold_to_accounts(request, named)
    account = shared.accounts.account(named)
    if pairing.approval is not None:
        raise BadRequest(N_("this agent has already been approved"), N_("start pairing in the agent again"))
    consumer = await keep(shared.ports, account, name, options)
    approval = Approval(
        account.name.instance, name, text(consumer.get("ilink_bot_id")), text(consumer.get("ilink_user_id"))
    )
    if pairing.is_over:
        raise NoPairing
    pairing.approval = approval
    if shared.settings.ilink_pair_digits:
        pairing.digits = f"{secrets.randbelow(10**6):06}"
        pairing.set(Status.DIGITS)
    else:
        pairing.set(Status.CONFIRMED)
    return json_response({**pairing.as_json(), "account": account.name.name, "consumer": name})


@CALLS.route(
    "DELETE ilink/pairings/{code}",
    Scope.ADMIN,
    "refuse it",
    record({"refused": SWITCH}),
    (404,),
    (_CODE,),
    about=About.NOTHING,
)
async def refuse(request: web.Request) -> web.Response:
    """DELETE: the agent's request has expired."""
    pairing = _pairing(request)
    pairing.approval = None
    pairing.set(Status.EXPIRED)
    return json_response({"refused": True})


def _pairing(request: web.Request) -> Pairing:
    return request.app[PAIRINGS].of_link(request.match_info["code"])
