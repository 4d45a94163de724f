"""Servers that note what they are asked; one of them receives reports and answers in any way a test wants."""

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


@dataclass
class Server:
    """A server on a real socket, which accepts everything. ``asked`` are the requests and their bodies."""

    port: int = 0
    asked: list[tuple[web.Request, bytes]] = field(default_factory=list)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        async with self._news:
            self.asked.append((request, body))
            self._news.notify_all()
        return await self.answer_to(request, body)

    async def answer_to(self, request: web.Request, body: bytes) -> web.StreamResponse:
        return web.Response()

    async def wait(self, condition: Callable[[], bool]) -> None:
        """Wait for requests that fulfil a condition."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(condition)

    @property
    def calls(self) -> list[str]:
        """Method and path of all requests."""
        return [f"{request.method} {request.path_qs}" for request, _ in self.asked]


async def taken(_: web.Request, __: JsonObject) -> web.StreamResponse:
    return web.Response()


def _is_message(report: JsonObject) -> bool:
    return report.get("post_type") not in (None, "event")


@dataclass
class Listener(Server):
    """Answers reports about messages with the ``statuses`` of their content in turn, and then by ``respond``."""

    respond: Respond = taken
    statuses: dict[str, list[int]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/in"

    @property
    def contents(self) -> list[str]:
        reports = (obj(json.loads(body or b"{}")) for _, body in self.asked)
        return [str(report["content"]) for report in reports if _is_message(report)]

    async def answer_to(self, request: web.Request, body: bytes) -> web.StreamResponse:
        report = obj(json.loads(body or b"{}"))
        if report.get("post_type") == "event":
            return web.Response()
        if turn := self.statuses.get(str(report.get("content"))):
            return web.Response(status=turn.pop(0))
        return await self.respond(request, report)

    async def until(self, content: str) -> list[str]:
        """Wait for a message report with this content; return the contents of all."""
        await self.wait(lambda: content in self.contents)
        return self.contents

    async def tries(self, number: int) -> list[tuple[dict[str, str], bytes]]:
        """Wait for so many reports about messages; return headers and body of all."""
        await self.wait(lambda: len(self.contents) >= number)
        return [(dict(asked.headers), body) for asked, body in self.asked if b'"post_type":"event"' not in body]


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    one = Listener()
    async with serving(one.serve) as one.port:
        yield one
