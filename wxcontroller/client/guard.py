"""Who may call an account's port: the controller and local programs, no web page."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from wxcontroller.client.calls import json_answer
from wxcontroller.openwx import callers, replies

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
NOT_ALLOWED = -6


@web.middleware
async def no_foreign_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what a web page sends through somebody's browser: this port is for the controller and local programs."""
    host = request.headers.get("Host")
    foreign = callers.foreign_origin(
        request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site"), host, allowed=()
    )
    if foreign or not callers.own_host(host, allowed=()):
        words = "web pages may not call an account's own port; use the controller's, port 2000"
        return json_answer(replies.reply(NOT_ALLOWED, words), 403)
    return await handler(request)
