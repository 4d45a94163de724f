"""A receiver of reports that answers in any way a test wants."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from tests.patience import PATIENCE
from wxcontroller.core.jsontypes import JsonObject, obj

Respond = Callable[[web.Request, JsonObject], Awaitable[web.StreamResponse]]


async def taken(_: web.Request, __: JsonObject) -> web.StreamResponse:
    return web.Response()


@dataclass
class Listener:
    """A receiver of reports; ``respond`` answers those about messages in any way. ``asked`` has all."""

    port: int = 0
    respond: Respond = taken
    asked: list[tuple[str, str]] = field(default_factory=list)
    contents: list[str] = field(default_factory=list)
    raw: list[tuple[web.Request, bytes]] = field(default_factory=list)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/in"

    async def serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        report = obj(json.loads(body)) if body else {}
        async with self._news:
            self.asked.append((request.method, request.path))
            self.raw.append((request, body))
            if report.get("post_type") not in (None, "event"):
                self.contents.append(str(report["content"]))
            self._news.notify_all()
        return web.Response() if report.get("post_type") == "event" else await self.respond(request, report)

    async def until(self, content: str) -> list[str]:
        """Wait for a message report with this content; return the contents of all."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: content in self.contents)
        return self.contents


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    """Run one on a real socket."""
    one = Listener()
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{path:.*}", one.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.port = runner.addresses[0][1]
    try:
        yield one
    finally:
        await runner.cleanup()
