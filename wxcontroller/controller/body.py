"""Reading request bodies, bounded in size and in silence."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import StreamReader, web

from wxcontroller.controller.context import context


async def chunks(content: StreamReader, silence: float) -> AsyncIterator[bytes]:
    """Give a body as it comes; raises HTTPRequestTimeout when nothing comes for ``silence`` seconds."""
    while True:
        try:
            async with asyncio.timeout(silence):
                chunk = await content.readany()
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        if not chunk:
            return
        yield chunk


async def whole(request: web.Request, most: int) -> bytes:
    """Read a body of at most ``most`` bytes; raises HTTPRequestEntityTooLarge or HTTPRequestTimeout."""
    body = bytearray()
    async for chunk in chunks(request.content, context(request).settings.ua_inactivity_timeout):
        body += chunk
        if len(body) > most:
            raise web.HTTPRequestEntityTooLarge(most, len(body))
    return bytes(body)
