"""Moving an account between hosts: departure from this host, and arrival at it.

``wxctl move`` on the account's host decides each step, and its record there (core/registry/leaving.py) records its
progress; the controllers only execute the steps. An arriving account is sealed with the fleet's passphrase, which the
controller does not know: it passes the bytes on to wxcontroller-receive.socket, whose service imports them as root.
So neither a compromised controller nor a holder of its tokens can read a login, or make root import an account that
no host of the fleet has sent.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from wxcontroller.controller.accounts.accountviews import unknown_account
from wxcontroller.controller.accounts.importsocket import imported
from wxcontroller.controller.accounts.view import account_json
from wxcontroller.controller.apis.v1.account.accountcalls import json_object
from wxcontroller.controller.apis.v1.form.declaring import Calls
from wxcontroller.controller.callers.refusals import ArrivalRefused, BadRequest, NotServed
from wxcontroller.controller.context import Context, context
from wxcontroller.controller.edge.failureanswers import json_response
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject, JsonValue, obj, text
from wxcontroller.core.names import AccountName, parse_name
from wxcontroller.core.registry.leaving import Leaving, gone_from
from wxcontroller.core.text.templates import N_, text_in
from wxcontroller.openwx.contract.describing import (
    ANYTHING,
    SWITCH,
    TEXT,
    WHOLE,
    Parameter,
    listing,
    maybe,
    record,
    ref,
)

if TYPE_CHECKING:
    from wxcontroller.controller.hosts.otherhosts import OtherHosts

# Half of the socket's limit, so that bundles do not block accounts that are moved here.
STANDBYS_AT_A_TIME = 4
_STANDBY = " standby"
# In seconds of silence; a host that is up again answers the first probe with a reset. aiohttp turns probes on.
_PROBES = {socket.TCP_KEEPIDLE: 3, socket.TCP_KEEPINTVL: 3, socket.TCP_KEEPCNT: 5}
_WORD = 64
_ACCOUNT = Parameter("account", "its name or instance id", place="path")
_MOVE = Parameter("id", "the id of the move")
_TO = Parameter("to", "the host that keeps the bundle")
_AT = Parameter("to", "the queried host, by default this one")
_REMOVED = record({"name": TEXT, "instance": TEXT})
_EPOCH = (WHOLE, "the last one that is known")
_COPY = record({"host": TEXT, "epoch": _EPOCH})
_DOWN = (maybe(WHOLE), "null: it responds, or is not in the settings")
_RIVAL = record({"host": TEXT, "epoch": _EPOCH, "down_since": _DOWN})
_LEAVING = record({"to": TEXT, "id": TEXT, "sent": SWITCH}, ("sent",))
CALLS = Calls()


@CALLS.route(
    "PUT departures/{account}",
    Scope.ADMIN,
    "mark it as being moved to another host, and stop it; for wxctl move",
    ref("Account"),
    (404, 409, 415),
    (_ACCOUNT,),
    body=_LEAVING,
)
async def leave(request: web.Request) -> web.Response:
    """PUT /v1/departures/{account}: marks an account as being moved away, and stops it."""
    body = await json_object(request, 'send {"to": "host-b", "id": "…"}')
    to, move = text(body.get("to")), text(body.get("id"))
    if not all(word and word.isascii() and word.isprintable() and " " not in word for word in (to, move)):
        raise BadRequest(N_("to and id are words without spaces"), N_("use: wxctl move"))
    leaving = Leaving(to[:_WORD], move[:_WORD], ran=False, sent=body.get("sent") is True)
    return json_response(account_json(await context(request).accounts.leave(request.match_info["account"], leaving)))


@CALLS.route(
    "DELETE departures/{account}",
    Scope.ADMIN,
    "remove the mark of a move; the account is started if it ran before",
    ref("Account"),
    (404, 409),
    (_ACCOUNT, _MOVE),
)
async def stay(request: web.Request) -> web.Response:
    """DELETE /v1/departures/{account}?id=…: undoes that; the account runs again if it did before."""
    accounts = context(request).accounts
    return json_response(
        account_json(await accounts.stay(request.match_info["account"], request.query.get("id", "")))
    )


@CALLS.route(
    "POST departures/{account}",
    Scope.ADMIN,
    "remove it here after its move to the other host",
    record({"name": TEXT, "instance": TEXT, "targets": ANYTHING}),
    (404, 409),
    (_ACCOUNT, _MOVE),
)
async def has_left(request: web.Request) -> web.Response:
    """POST /v1/departures/{account}?id=…: removes the account, which is on the other host now."""
    shared = context(request)
    removed = await shared.accounts.remove(request.match_info["account"], request.query.get("id", ""))
    name = removed.account.name.name
    await shared.gate.consumers.end(removed.instance)
    ended = await asyncio.to_thread(shared.targets.account_removed, name)
    return json_response({"name": name, "instance": removed.instance, "targets": list(ended)})


@CALLS.route(
    "GET arrivals/{account}",
    Scope.ADMIN,
    "whether an account can be moved to this host, and whether it has been",
    record(
        {
            "name": TEXT,
            **dict.fromkeys(("receiving", "under_way", "standby_under_way"), SWITCH),
            "free": WHOLE,
            "account": maybe(ref("Account")),
            "gone": maybe(record({"to": TEXT, "epoch": WHOLE})),
        }
    ),
    (404, 409),
    (_ACCOUNT, _AT),
)
async def arrival(request: web.Request) -> web.Response:
    """GET /v1/arrivals/{account}?to=HOST: whether an account can be moved to a host, and whether it has been."""
    shared, name = context(request), parse_name(request.match_info["account"])
    if (fleet := shared.fleet) is not None and (to := request.query.get("to", "")) not in ("", fleet.name):
        status, content = await fleet.standbys.arrival_at(request, to, name)
        if status != HTTPStatus.OK:
            raise refusal_by(to, obj(content.get("error")))
        return json_response(content)
    view = await shared.accounts.view(name.name, 0)
    gone = await asyncio.to_thread(gone_from, shared.accounts.paths.gone_file(name.instance), name)
    found: JsonObject = {
        "name": name.name,
        "receiving": shared.accounts.paths.receive_socket.exists(),
        "under_way": name.instance in request.app[_UNDER_WAY],
        "standby_under_way": f"{name.instance}{_STANDBY}" in request.app[_UNDER_WAY],
        "free": await asyncio.to_thread(free_bytes, shared),
        "account": account_json(view) if view else None,
        "gone": {"to": gone.to, "epoch": gone.epoch} if gone else None,
    }
    return json_response(found)


def free_bytes(shared: Context) -> int:
    """Return how many more bytes fit on the accounts' file system."""
    # The controller cannot read the first of them, but can query its file system.
    private = shared.accounts.paths.private_state("x").parents[1]
    filesystem = os.statvfs(private if private.exists() else private.parent)
    return filesystem.f_bavail * filesystem.f_frsize


@CALLS.route(
    "PUT arrivals/{account}",
    Scope.ADMIN,
    "receive an account that wxctl move sends from another host",
    ref("Account"),
    (409,),
    (_ACCOUNT,),
    status=201,
)
async def arrive(request: web.Request) -> web.Response:
    """PUT /v1/arrivals/{account}: takes an account in that ``wxctl move`` sends; it does not run yet. 201."""
    name = parse_name(request.match_info["account"])
    await received(request, name)
    context(request).accounts.registry.forget(name.instance)
    view = await context(request).accounts.require(name.name)
    return json_response(account_json(view), 201)


@CALLS.route(
    "GET claims/{account}",
    Scope.ADMIN,
    "the epoch of the copy on this host, and the other hosts that may have the account; for wxctl claim",
    record(
        {
            "name": TEXT,
            "epoch": (maybe(WHOLE), "null: it is not here"),
            "rivals": listing(_RIVAL),
            "copies": (listing(_COPY), "standby bundles on other hosts"),
        }
    ),
    (404, 409),
    (_ACCOUNT,),
)
async def claimable(request: web.Request) -> web.Response:
    """GET /v1/claims/{account}: what is known about the other copies of an account."""
    fleet, name = fleet_of(request), parse_name(request.match_info["account"])
    account = context(request).accounts.reread(name.instance)
    await fleet.met()
    known = {**fleet.rivals(name)}
    if account is not None and account.leaving is not None:  # it may have arrived, and nobody knows
        known.setdefault(account.leaving.to, account.epoch)
    rivals: list[JsonValue] = [
        {"host": host, "epoch": epoch, "down_since": fleet.down_since(host) or None}
        for host, epoch in sorted(known.items())
    ]
    copies: list[JsonValue] = [
        {"host": host, "epoch": epoch} for host, epoch in sorted(fleet.copies(name).items()) if host not in known
    ]
    epoch = account.epoch if account else None
    return json_response({"name": name.name, "epoch": epoch, "rivals": rivals, "copies": copies})


@CALLS.route(
    "POST claims/{account}",
    Scope.ADMIN,
    "let the copy on this host be the account, in an epoch after all that are known; it is not started",
    ref("Account"),
    (404, 409),
    (_ACCOUNT,),
)
async def claim(request: web.Request) -> web.Response:
    """POST /v1/claims/{account}: for ``wxctl claim``, after a person has confirmed that the other hosts are off."""
    fleet, accounts = fleet_of(request), context(request).accounts
    name = parse_name(request.match_info["account"])
    if (account := accounts.reread(name.instance)) is None:
        raise unknown_account(name.name)
    await fleet.met()
    gone = await asyncio.to_thread(gone_from, accounts.paths.gone_file(name.instance), name)
    epoch = fleet.adoption(name, max(account.epoch, gone.epoch if gone else 0) + 1, account)
    return json_response(account_json(await accounts.claim(name.name, epoch)))


def fleet_of(request: web.Request) -> "OtherHosts":
    """Return the fleet of this host. Raises NotServed."""
    if (fleet := context(request).fleet) is None:
        raise NotServed(N_("this host is not part of a fleet"), N_("add the table [fleet] to its settings"))
    return fleet


@CALLS.route(
    "PUT standbys/{account}",
    Scope.ADMIN,
    "keep a sealed copy of an account of another host; for wxctl claim",
    record({"name": TEXT, "host": TEXT, "epoch": WHOLE, "at": WHOLE, "bytes": WHOLE}),
    (409, 504),
    (_ACCOUNT, _TO),
)
async def stand_by(request: web.Request) -> web.Response:
    """PUT /v1/standbys/{account}?to=HOST: keeps a sealed bundle of an account; another host's is passed on to it."""
    try:
        return json_response(await kept_by(request, request.query.get("to", "")))
    except WxError:
        with contextlib.suppress(OSError, web.HTTPException):  # read the rest, so that the answer arrives
            async for _ in body_chunks(request, context(request).settings.ua_inactivity_timeout):
                pass
        raise


async def kept_by(request: web.Request, to: str) -> JsonObject:
    """Have a host store the body as an account's bundle; return its answer. Raises WxError."""
    shared, name, fleet = context(request), parse_name(request.match_info["account"]), fleet_of(request)
    if to == fleet.name:
        return await received(request, name, _STANDBY)
    body = body_chunks(request, shared.settings.ua_inactivity_timeout)
    status, content = await fleet.standbys.pass_bundle(request, to, name, body)
    if status != HTTPStatus.OK:
        raise refusal_by(to, obj(content.get("error")))
    return content


def refusal_by(host: str, error: JsonObject) -> ArrivalRefused:
    """Return another host's refusal with its text."""
    return ArrivalRefused(
        N_("host {host}: {reason}"), text_in(error, "remedy"), host=host, reason=text_in(error, "message")
    )


async def received(request: web.Request, name: AccountName, purpose: str = "") -> JsonObject:
    """Have root's program import the body for a ``purpose``, one at a time per account. Raises ArrivalRefused."""
    under_way, line = request.app[_UNDER_WAY], f"{name.instance}{purpose}"
    if line in under_way:
        raise ArrivalRefused(
            N_("account {account} is being received already"), N_("wait for it to end"), account=name.name
        )
    if purpose and sum(each.endswith(purpose) for each in under_way) >= STANDBYS_AT_A_TIME:
        raise ArrivalRefused(
            N_("{count} standby bundles are being received already"),
            N_("wait for one to end"),
            count=STANDBYS_AT_A_TIME,
        )
    under_way.add(line)
    body = body_chunks(request, context(request).settings.ua_inactivity_timeout)
    try:
        detect_lost_sender(request)
        return await imported(context(request).accounts.paths.receive_socket, name, line, body)
    finally:
        under_way.discard(line)


def detect_lost_sender(request: web.Request) -> None:
    """Let the kernel end the connection of a host that lost its power, which closes nothing itself.

    Else the next attempt of that host is refused until ``ua_inactivity_timeout`` has passed.
    """
    connection = request.get_extra_info("socket")
    with contextlib.suppress(AttributeError, OSError):  # it is closed already, or is not a TCP connection
        for option, value in _PROBES.items():
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


@CALLS.route(
    "POST arrivals/{account}",
    Scope.ADMIN,
    "start an account received in this move",
    ref("Account"),
    (404, 409),
    (_ACCOUNT, _MOVE),
)
async def start_arrived(request: web.Request) -> web.Response:
    """POST /v1/arrivals/{account}?id=…: starts an account that this move has brought; returns when its unit is up."""
    accounts = context(request).accounts
    name = request.match_info["account"]
    accounts.arrived(name, request.query.get("id", ""))
    started = await accounts.start(accounts.registry.name_of(name), {}, {}, keep=True)
    return json_response(account_json(started.view))


@CALLS.route(
    "DELETE arrivals/{account}",
    Scope.ADMIN,
    "remove an account received in this move, if it was never started",
    _REMOVED,
    (404, 409),
    (_ACCOUNT, _MOVE),
)
async def send_back(request: web.Request) -> web.Response:
    """DELETE /v1/arrivals/{account}?id=…: removes what this move has brought, if it was never started."""
    removed = await context(request).accounts.send_back(request.match_info["account"], request.query.get("id", ""))
    return json_response({"name": removed.account.name.name, "instance": removed.instance})


async def body_chunks(request: web.Request, silence: float) -> AsyncIterator[bytes]:
    """Yield the body as it arrives: forwarded immediately, it takes no memory, and only the disk limits it."""
    while True:
        try:
            async with asyncio.timeout(silence):
                piece = await request.content.readany()
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        if not piece:
            return
        yield piece


# By target, as passed to root's program: a move does not wait for a bundle, which may take hours.
_UNDER_WAY = web.AppKey("arrivals under way", set[str])


def setup(app: web.Application) -> None:
    """Prepare an application for these calls."""
    app[_UNDER_WAY] = set()
