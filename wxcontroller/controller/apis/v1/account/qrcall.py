"""/v1/accounts/{name}/qr: the code that waits to be scanned, as data or drawn by us."""

import base64

from aiohttp import web

from wxcontroller.controller.accounts.view import View
from wxcontroller.controller.apis.v1.form.declaring import Calls
from wxcontroller.controller.callers.refusals import BadRequest, NoQrcode
from wxcontroller.controller.context import context
from wxcontroller.controller.edge.failureanswers import json_response
from wxcontroller.controller.qrdrawing import drawn
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.jsontypes import JsonValue
from wxcontroller.core.text.templates import N_
from wxcontroller.openwx.contract.describing import TEXT, OnRequest, Parameter, maybe, record, word

# A cached copy of the code could be scanned by another person.
_HEADERS = {"Cache-Control": "no-store"}
_TYPES = {"svg": "image/svg+xml", "png": "image/png", "txt": "text/plain; charset=utf-8"}
CALLS = Calls()


@CALLS.route(
    "GET accounts/{name}/qr",
    Scope.CONTROL,
    "the QR code to scan: anyone who has it can start a login",
    OnRequest(
        record({"link": maybe(TEXT), "jpeg": maybe({"type": "string", "contentEncoding": "base64"})}),
        ("image/svg+xml", "image/png", "text/plain"),
    ),
    parameters=(Parameter("format", "json, or drawn", word("json", "svg", "png", "txt")),),
)
async def qrcode(request: web.Request) -> web.Response:
    """GET /v1/accounts/{name}/qr[?format=svg|png|txt]: 404 with the reason without one."""
    wanted = request.query.get("format", "json")
    if wanted != "json" and wanted not in _TYPES:
        raise BadRequest(N_("unknown format {wanted}"), N_("use json, svg, png or txt"), wanted=wanted[:32])
    accounts = context(request).accounts
    view = await accounts.require(request.match_info["name"])
    if not view.has_qrcode:
        raise no_code(view)
    if wanted == "json":
        image = accounts.state_files.qrcode(view.instance)
        jpeg: JsonValue = base64.b64encode(image).decode() if image else None
        response = json_response({"link": view.qrcode_link or None, "jpeg": jpeg})
        response.headers.update(_HEADERS)
        return response
    if not view.qrcode_link:
        raise NoQrcode(
            N_("account {account} shows a code, but its program does not report the link"),
            N_("use /openwx/get_qrcode to get the picture"),
            account=str(view.account.name),
        )
    return web.Response(body=drawn(view.qrcode_link, wanted), headers={**_HEADERS, "Content-Type": _TYPES[wanted]})


def no_code(view: View) -> NoQrcode:
    """Return what to raise for an account that shows no code, with the reason."""
    name = view.account.name
    if view.live is None:
        return NoQrcode(
            N_("account {account} shows no QR code: {status}"),
            N_("start it: wxctl start {name}"),
            account=str(name),
            status=view.status,
            name=name.name,
        )
    return NoQrcode(
        N_("account {account} shows no QR code in the state {word}: {status}"),
        N_("a code exists only while the account waits for a scan"),
        account=str(name),
        word=view.word or "unknown",
        status=view.status,
    )
