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
    headers = request.headers
    # All names that somebody on the way may have gone by, also one in the request's target.
    hosts: list[str | None] = [*headers.getall("Host", [])]
    target, separator, rest = request.raw_path.partition("://")
    if separator and not target.startswith("/"):
        hosts.append(rest.partition("/")[0])
    foreign = callers.foreign_origin(
        headers.get("Origin"), headers.get("Sec-Fetch-Site"), headers.get("Host"), allowed=()
    )
    if foreign or not all(callers.own_host(host, allowed=()) for host in hosts):
        words = "web pages may not call an account's own port; use the controller's, port 2000"
        return json_answer(replies.reply(NOT_ALLOWED, words), 403)
    return await handler(request)
