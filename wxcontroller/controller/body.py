"""Reading request bodies, bounded in size and in silence."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from wxcontroller.controller.context import context

_TAKEN = "body that was read"


def has_body(request: web.Request) -> bool:
    """Say whether there is a body that can be read, or has been taken."""
    return request.can_read_body or bool(request.get(_TAKEN))


async def chunks(request: web.Request) -> AsyncIterator[bytes]:
    """Give a body as it comes, or the one that was taken.

    Raises HTTPRequestTimeout when nothing comes for ua_inactivity_timeout seconds.
    """
    taken: bytes | None = request.get(_TAKEN)
    if taken is not None:
        yield taken
        return
    silence = context(request).settings.ua_inactivity_timeout
    while True:
        try:
            async with asyncio.timeout(silence):
                chunk = await request.content.readany()
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        if not chunk:
            return
        yield chunk


async def whole(request: web.Request, most: int) -> bytes:
    """Read a body of at most ``most`` bytes; raises HTTPRequestEntityTooLarge or HTTPRequestTimeout."""
    body = bytearray()
    async for chunk in chunks(request):
        body += chunk
        if len(body) > most:
            raise web.HTTPRequestEntityTooLarge(most, len(body))
    return bytes(body)


async def take(request: web.Request, most: int) -> bytes:
    """Read a body as ``whole`` does, and leave it for the others who want it."""
    body: bytes = request.get(_TAKEN) or await whole(request, most)
    request[_TAKEN] = body
    return body
