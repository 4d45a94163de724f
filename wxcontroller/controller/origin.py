"""Refusing calls that a web page from elsewhere makes through somebody's browser (openwx-api 5.3 no. 43).

The API listens on loopback and takes GET for everything, so any page that is open on the machine could start, stop
and read accounts. Browsers say where a call comes from; other callers say nothing and pass.
"""

from collections.abc import Mapping

from aiohttp import web

from wxcontroller.controller.context import context
from wxcontroller.controller.errors import Handler, error_object, json_response
from wxcontroller.openwx.replies import reply

REFUSED = -6  # the contract's code for a caller that is not let in
_OWN = frozenset({"same-origin", "none"})
_REMEDY = "add the page's origin to allow_origins in the settings, if it may do this"


@web.middleware
async def no_foreign_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a request pass unless a foreign page sent it. The dashboard itself may be linked to from anywhere."""
    headers = request.headers
    if "Origin" in headers or "Sec-Fetch-Site" in headers:
        path = request.path
        guarded = path.startswith(("/openwx", "/v1"))
        if guarded and is_foreign(headers, context(request).settings.allow_origins):
            message = f"a page of {headers.get('Origin', 'another site')[:200]} may not call this API"
            if path.startswith("/v1"):
                return json_response(error_object("foreign-origin", message, _REMEDY), 403)
            return json_response(reply(REFUSED, f"{message}; {_REMEDY}"), 403)
    return await handler(request)


def is_foreign(headers: Mapping[str, str], allowed: tuple[str, ...]) -> bool:
    """Say whether a browser sent this for a page that is neither ours nor allowed."""
    if "*" in allowed:
        return False
    origin = headers.get("Origin")
    if origin is not None:
        return origin not in allowed and origin.partition("://")[2] != headers.get("Host")
    # Without Origin, as with a link or an image: only what the user typed, and our own pages.
    return headers.get("Sec-Fetch-Site", "none") not in _OWN
