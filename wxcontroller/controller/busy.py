"""How much the controller takes on at a time, by its settings."""

from aiohttp import web

from wxcontroller.controller.context import context
from wxcontroller.controller.errors import Handler
from wxcontroller.core.settings import Settings
from wxcontroller.openwx.crowd import Limits

# Requests that wait for something to happen: many of them cost little but their places.
LONG_POLLS = frozenset({"/openwx/check_event", "/openwx/consult", "/v1/events"})


@web.middleware
async def not_too_much(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a request in if there is room for it. Raises Busy."""
    shared = context(request)
    if request.path.rstrip("/") in LONG_POLLS:
        return await shared.load.wait(request, handler, shared.settings.max_long_polls)
    return await shared.load.work(request, handler, shared.settings.max_requests)


def limits_of(settings: Settings) -> Limits:
    """Return what callers are granted."""
    return Limits(
        idle=settings.idle_timeout,
        head=settings.header_timeout,
        unread=settings.send_timeout,
        head_bytes=settings.max_head,
        headers=settings.max_headers,
        connections=settings.max_connections,
        per_peer=settings.max_connections_per_peer,
        line_bytes=settings.limits.request_line_bytes,
    )
