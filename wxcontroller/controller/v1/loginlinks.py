"""Login links: making, listing and revoking them, and what their page asks (see ``controller.loginlinks``)."""

import time

from aiohttp import web

from wxcontroller.controller.access import caller
from wxcontroller.controller.account_port.client import NotRunning
from wxcontroller.controller.account_port.status import keep_user
from wxcontroller.controller.context import Context, context
from wxcontroller.controller.errors import AlreadyLoggedIn, OlderVersion, json_response
from wxcontroller.controller.loginlinks import LoginLink, is_logged_in, over
from wxcontroller.controller.peers import address_of
from wxcontroller.controller.qrdrawing import drawn
from wxcontroller.controller.v1.calls import call
from wxcontroller.controller.view import View
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.messages import N_
from wxcontroller.core.states import LoginState
from wxcontroller.openwx.describing import SWITCH, TEXT, WHOLE, Parameter, listing, maybe, record, word

LINK_HEADER, BROWSER_HEADER = "X-Login-Link", "X-Login-Browser"
_PAGE = "page/login#"
_STATES = ("starting", "scan", "confirm", "digits", "done", "stopped")


async def create(request: web.Request) -> web.Response:
    """POST /v1/accounts/{name}/login-links: ``url`` is only in this response, relative to the dashboard's address."""
    shared, who = context(request), caller(request)
    view = await shared.accounts.require(request.match_info["name"])
    name = view.account.name
    if view.pid is None:
        raise NotRunning(view.account)
    if is_logged_in(view):
        raise AlreadyLoggedIn(
            N_("account {account} is logged in"),
            N_("login links can be created only while the account waits for a scan"),
            account=name.name,
        )
    kept = await keep_user(shared.ports, view.account, who.scope)
    if kept is None:
        raise OlderVersion(
            N_("account {account} runs an older version, which does not support login links"),
            N_("restart it: wxctl restart {account}"),
            account=name.name,
        )
    link, secret = shared.login_links.create(view, kept, who)
    # The dashboard of the host that forwards this has no such link.
    origin = f"{shared.settings.public_url or f'https://{request.host}'}/" if who.hop else ""
    return json_response({**link.as_json(), "url": f"{origin}{_PAGE}{secret}"}, 201)


async def all_links(request: web.Request) -> web.Response:
    """GET /v1/login-links: the links of the caller's accounts that can still be used."""
    shared, who = context(request), caller(request)
    links = [link for link in shared.login_links.current() if who.may_see(link.instance)]
    found: list[JsonValue] = [
        link.as_json() for link in links if (view := await account_of_link(shared, link)) and not link.is_done(view)
    ]
    return json_response({"links": found})


async def revoke(request: web.Request) -> web.Response:
    """DELETE /v1/accounts/{name}/login-links/{id}."""
    shared = context(request)
    view = await shared.accounts.require(request.match_info["name"])
    wanted = request.match_info["id"]
    for link in shared.login_links.current():
        if link.id == wanted and link.instance == view.instance:
            shared.login_links.drop(link, f"revoked by {caller(request).words}")
            return json_response({"id": link.id, "revoked": True})
    raise over()


async def code(request: web.Request) -> web.Response:
    """GET /v1/login-code: the code that waits to be scanned and the login's state, for holders of a link."""
    shared, headers = context(request), request.headers
    links = shared.login_links
    link = links.open(headers.get(LINK_HEADER, ""), headers.get(BROWSER_HEADER, ""), address_of(request))
    view = await account_of_link(shared, link)
    if view is None:
        links.drop(link, "the account was restarted, stopped or removed, or the token revoked")
        raise over()
    state = _state(link, view)
    shown = view.live if state == "scan" else None
    answer: JsonObject = {
        "state": state,
        "code": drawn(shown.qrcode_link, "svg").decode() if shown else None,
        "code_number": shown.qrcode_number if shown else None,
        "code_seconds": seconds_left(view.counted("qrcode_until")) if shown else None,
        "same_user": link.kept,
        "seconds": seconds_left(link.expires),
    }
    return json_response(answer)


def seconds_left(until: int) -> int | None:
    """Return the seconds until a moment, None for unknown: the reader's clock may be another one."""
    return max(0, until - int(time.time())) if until else None


async def account_of_link(shared: Context, link: LoginLink) -> View | None:
    """Return the account of a link that was not restarted since, None if the link is no longer valid."""
    view = await shared.accounts.view(link.instance)
    return view if view and link.is_for(view) and shared.gate.is_still_valid(link.creator) else None


def _state(link: LoginLink, view: View) -> str:
    """Return how the login goes, in the words of ``_STATES``."""
    if link.is_done(view):
        return "done"
    match view.login:
        case LoginState.SCANNING if view.qrcode_link:
            return "scan"
        case LoginState.CONFIRMING:
            asks = view.live.asks if view.live else None
            return "digits" if asks is not None and asks.kind == "code" else "confirm"
        case LoginState.PARKED | LoginState.STOPPED:
            return "stopped"
        case _:
            return "starting"


_LINK = {
    **dict.fromkeys(("id", "account", "creator"), TEXT),
    **dict.fromkeys(("created", "expires"), WHOLE),
    "opened": maybe(WHOLE),
}
_ID = Parameter("id", "the link's id", place="path")
CALLS = (
    call(
        "POST",
        "accounts/{name}/login-links",
        create,
        "create a link that lets another person scan the code: 15 minutes, one browser, one login",
        record({**_LINK, "url": TEXT}),
        (409, 502),
        status=201,
    ),
    call(
        "DELETE",
        "accounts/{name}/login-links/{id}",
        revoke,
        "revoke a login link",
        record({"id": TEXT, "revoked": SWITCH}),
        (410,),
        (_ID,),
    ),
    call(
        "GET",
        "login-links",
        all_links,
        "the login links that are still valid, without their secrets",
        record({"links": listing(record(_LINK))}),
    ),
    call(
        "GET",
        "login-code",
        code,
        "the QR code and the progress of the login, for the holder of a login link",
        record(
            {
                "state": word(*_STATES),
                "code": maybe(TEXT),
                "code_number": maybe(WHOLE),
                "code_seconds": maybe(WHOLE),
                "same_user": SWITCH,
                "seconds": WHOLE,
            }
        ),
        (410, 429),
        (
            Parameter(LINK_HEADER, "the part of the link after #", place="header"),
            Parameter(BROWSER_HEADER, "64 hexadecimal digits generated by the browser", place="header"),
        ),
    ),
)
