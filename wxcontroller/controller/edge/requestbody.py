"""Reading request bodies, with limits on size, time and their total memory."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from wxcontroller.controller.context import context

_TAKEN = "body that was read"


def has_body(request: web.Request) -> bool:
    """Return whether there is a body that can be read, or has been taken.

    Raises RequestPayloadError for one that is broken already.
    """
    if (problem := request.content.exception()) is not None:
        raise problem
    return request.can_read_body or bool(request.get(_TAKEN))


def is_taken(request: web.Request) -> bool:
    """Return whether ``take`` has read a body."""
    return _TAKEN in request


async def chunks(request: web.Request) -> AsyncIterator[bytes]:
    """Yield a body while it arrives, counted until the request is answered, or one that was already read. Raises
    HTTPRequestTimeout after ua_inactivity_timeout seconds without data or ua_request_timeout in all, and Busy when
    the memory for bodies is used up.
    """
    taken: bytes | None = request.get(_TAKEN)
    if taken is not None:
        yield taken
        return
    shared, loop = context(request), asyncio.get_running_loop()
    latest = loop.time() + shared.settings.ua_request_timeout
    while True:
        try:
            # Both limits: a trickle of bytes must not hold the memory, and a slow connection may pause more than
            # once.
            async with asyncio.timeout_at(min(latest, loop.time() + shared.settings.ua_inactivity_timeout)):
                chunk = await request.content.readany()
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        if not chunk:
            return
        shared.admission.hold(request, len(chunk))
        yield chunk


async def read_body(request: web.Request, limit: int) -> bytes:
    """Read a body of at most ``limit`` bytes; raises HTTPRequestEntityTooLarge, and as ``chunks``."""
    body = bytearray()
    async for chunk in chunks(request):
        body += chunk
        if len(body) > limit:
            raise web.HTTPRequestEntityTooLarge(limit, len(body))
    return bytes(body)


async def take(request: web.Request, limit: int) -> bytes:
    """Read a body as ``read_body`` does, and keep it for other readers."""
    body: bytes = request.get(_TAKEN) or await read_body(request, limit)
    request[_TAKEN] = body
    return body
