"""A receiver of reports that answers in any way a test wants."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from tests.patience import PATIENCE
from tests.serving import serving
from wxcontroller.core.jsontypes import JsonObject, obj

Respond = Callable[[web.Request, JsonObject], Awaitable[web.StreamResponse]]


async def taken(_: web.Request, __: JsonObject) -> web.StreamResponse:
    return web.Response()


@dataclass
class Listener:
    """A receiver of reports, of which ``asked`` and ``raw`` have all.

    Those about messages are answered with the ``statuses`` of their content in turn, and then by ``respond``.
    """

    port: int = 0
    respond: Respond = taken
    asked: list[tuple[str, str]] = field(default_factory=list)
    contents: list[str] = field(default_factory=list)
    raw: list[tuple[web.Request, bytes]] = field(default_factory=list)
    statuses: dict[str, list[int]] = field(default_factory=dict)
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
        if report.get("post_type") == "event":
            return web.Response()
        if turn := self.statuses.get(str(report.get("content"))):
            return web.Response(status=turn.pop(0))
        return await self.respond(request, report)

    async def until(self, content: str) -> list[str]:
        """Wait for a message report with this content; return the contents of all."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: content in self.contents)
        return self.contents

    async def tries(self, number: int) -> list[tuple[dict[str, str], bytes]]:
        """Wait for so many reports about messages; return headers and body of all."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: len(self.contents) >= number)
        return [(dict(asked.headers), body) for asked, body in self.raw if b'"post_type":"event"' not in body]


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    """Run one on a real socket."""
    one = Listener()
    async with serving(one.serve) as one.port:
        yield one
