"""/v1/accounts/{name}/qr: the code that waits to be scanned, as data or drawn by us."""

import base64

from aiohttp import web

from wxcontroller.controller.context import context
from wxcontroller.controller.errors import BadRequest, NoQrcode, json_response
from wxcontroller.controller.qrdrawing import drawn
from wxcontroller.controller.view import View
from wxcontroller.core.jsontypes import JsonValue

# Whoever sees the code can race the scan: nobody may keep it.
_HEADERS = {"Cache-Control": "no-store"}
_TYPES = {"svg": "image/svg+xml", "png": "image/png", "txt": "text/plain; charset=utf-8"}


async def qrcode(request: web.Request) -> web.Response:
    """GET /v1/accounts/{name}/qr[?format=svg|png|txt]: 404 with the reason when there is none."""
    wanted = request.query.get("format", "json")
    if wanted != "json" and wanted not in _TYPES:
        raise BadRequest(f"the format {wanted[:32]} is none of ours", "use json, svg, png or txt")
    accounts = context(request).accounts
    view = await accounts.the(request.match_info["name"])
    if not view.has_qrcode:
        raise _none(view)
    if wanted == "json":
        image = accounts.state_files.qrcode(view.instance)
        jpeg: JsonValue = base64.b64encode(image).decode() if image else None
        response = json_response({"link": view.qrcode_link or None, "jpeg": jpeg})
        response.headers.update(_HEADERS)
        return response
    if not view.qrcode_link:
        raise NoQrcode(
            f"account {view.account.name} shows a code, but its program tells no link",
            "use /openwx/get_qrcode for the picture",
        )
    return web.Response(body=drawn(view.qrcode_link, wanted), headers={**_HEADERS, "Content-Type": _TYPES[wanted]})


def _none(view: View) -> NoQrcode:
    name = view.account.name
    if view.live is None:
        return NoQrcode(f"account {name} shows no QR code: {view.status}", f"start it: wxctl start {name.name}")
    return NoQrcode(
        f"account {name} shows no QR code: it is {view.word or 'in an unknown state'} ({view.status})",
        "a code is there only while the account waits to be scanned",
    )
