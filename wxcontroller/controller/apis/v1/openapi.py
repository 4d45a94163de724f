"""/v1/openapi.json: the OpenAPI description of this API."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from wxcontroller.controller.apis.v1.form.declaring import Calls
from wxcontroller.openwx.contract.replies import CONTENT_TYPE


@dataclass(frozen=True, slots=True)
class Document:
    """The factory of the document: of all calls, this one included."""

    make: Callable[[], bytes]


DOCUMENT = web.AppKey("document", Document)
CALLS = Calls()


@CALLS.route("GET openapi.json", None, "the description of this API", {"type": "object"})
async def openapi(request: web.Request) -> web.Response:
    """GET /v1/openapi.json: the OpenAPI document of /v1 and /openwx."""
    return web.Response(body=request.app[DOCUMENT].make(), headers={"Content-Type": CONTENT_TYPE})
