"""Requests for a token by agents: get_bot_qrcode and get_qrcode_status."""

import asyncio
import contextlib

from aiohttp import web

from wxcontroller.controller.apis.ilink.agentcalls import BODY_BYTES, no_such_call
from wxcontroller.controller.apis.ilink.ilinkanswers import answer
from wxcontroller.controller.callers.pairings import PAIRINGS, Pairing, Status
from wxcontroller.controller.context import Context, context
from wxcontroller.controller.edge.baseurl import certain_origin, prefix
from wxcontroller.controller.edge.peers import address_of
from wxcontroller.controller.edge.requestbody import read_body
from wxcontroller.controller.tasks import first_of
from wxcontroller.core.jsontypes import field, items, read_json, text
from wxcontroller.core.net.addresses import host_in

_HOLD_SECONDS = 25.0
# Shown to an administrator.
_AGENT_CHARACTERS = 256


async def get_bot_qrcode(request: web.Request) -> web.Response:
    """GET or POST /ilink/bot/get_bot_qrcode: open a request; its link is what the agent shows.

    Raises Refused at an address that may not be the controller's, and TooManyPairings.
    """
    shared = context(request)
    if not shared.settings.ilink_serve:
        return await no_such_call(request)
    origin = certain_origin(request)
    try:
        content = read_json(await read_body(request, BODY_BYTES) or b"{}")
    except ValueError:
        content = {}
    address = address_of(request)
    pairing = Pairing(
        address=host_in(address),
        agent=_agent(text(field(field(content, "base_info"), "bot_agent")) or request.headers.get("User-Agent", "")),
        account=request.match_info.get("account", ""),
        base_url=origin + prefix(request),
    )
    tokens = map(text, items(field(content, "local_token_list"))[:10])
    if any(is_live(shared, token) for token in tokens):
        pairing.status = Status.BOUND
    request.app[PAIRINGS].add(pairing)
    return answer(qrcode=pairing.key, qrcode_img_content=f"{origin}/ilink/pair/{pairing.code}")


async def get_qrcode_status(request: web.Request) -> web.Response:
    """GET /ilink/bot/get_qrcode_status: the status of a request; held until it changes.

    Raises BadSettings and OSError when the token cannot be stored.
    """
    shared = context(request)
    if not shared.settings.ilink_serve:
        return await no_such_call(request)
    pairings = request.app[PAIRINGS]
    pairing = pairings.of_agent(request.query.get("qrcode", ""))
    if pairing is None:
        return answer(status=Status.EXPIRED)
    if digits := request.query.get("verify_code"):
        pairing.enter(digits)
    elif pairing.status is pairing.reported:
        await wait_for_change(shared, pairing)
    pairing.reported = pairing.status
    if pairing.is_over:
        pairings.forget(pairing)
        return answer(status=pairing.status if pairing.status in (Status.BLOCKED, Status.BOUND) else Status.EXPIRED)
    if pairing.status is not Status.CONFIRMED or pairing.approval is None:
        return answer(status=pairing.status)
    pairings.forget(pairing)  # before anything is awaited: the token is fetched once
    approval = pairing.approval
    account = shared.accounts.account(approval.instance)
    shown, _ = await shared.gate.consumers.issue(account, approval.consumer)
    return answer(
        status=Status.CONFIRMED,
        bot_token=shown,
        ilink_bot_id=approval.bot_id,
        ilink_user_id=approval.user_id,
        baseurl=pairing.base_url,
    )


async def wait_for_change(shared: Context, pairing: Pairing) -> None:
    """Wait until a request changes, the poll times out or the controller stops."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_HOLD_SECONDS):
            await first_of(pairing.changed.wait(), shared.draining.wait())


def is_live(shared: Context, token: str) -> bool:
    found = shared.gate.consumers.tokens.find(token)
    return found is not None and shared.gate.consumers.find(*found.name.split(".", 1)) is not None


def _agent(name: str) -> str:
    """Return an agent's name for itself, safe to display."""
    return "".join(each for each in name if each.isprintable())[:_AGENT_CHARACTERS]
