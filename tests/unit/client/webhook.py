"""Servers that record their requests; one of them receives reports and responds in any way a test wants."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from tests.patience import PATIENCE
from tests.serving import serving
from wxcontroller.core.jsontypes import JsonObject, JsonValue

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


async def accept(_: web.Request, __: JsonObject) -> web.StreamResponse:
    return web.Response()


@dataclass
class Webhook(Server):
    """A receiver of reports.

    It responds with the ``statuses`` in turn, to a message with the ``refusals`` of its content in turn, and then
    accepts. Accepted messages get the response of ``respond``, and all accepted reports the JSON body of ``answer``,
    if there is one. ``reports`` are the accepted ones, ``ids`` those of their deliveries.
    """

    reports: list[JsonObject] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    refusals: dict[str, list[int]] = field(default_factory=dict)
    respond: Respond = accept
    answer: Callable[[JsonObject], bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/in?key=k"

    async def answer_to(self, request: web.Request, body: bytes) -> web.StreamResponse:
        report: JsonObject = json.loads(body or b"{}")
        statuses = self.refusals.get(str(report.get("content"))) or self.statuses
        if statuses and (status := statuses.pop(0)) >= 300:
            return web.Response(status=status)
        async with self._news:
            self.reports.append(report)
            self.ids.append(request.headers["X-Wx-Delivery"])
            self._news.notify_all()
        if self.answer:
            return web.Response(body=self.answer(report), content_type="application/json")
        return await (accept if report.get("post_type") == "event" else self.respond)(request, report)

    async def until(self, condition: Callable[[list[JsonObject]], bool]) -> list[JsonObject]:
        await self.wait(lambda: condition(self.reports))
        return self.reports

    async def messages(self, number: int = 1) -> list[JsonObject]:
        def of(reports: list[JsonObject]) -> list[JsonObject]:
            return [report for report in reports if report["post_type"] != "event"]

        return of(await self.until(lambda got: len(of(got)) >= number))

    def sends(self) -> list[JsonObject]:
        return [report for report in self.reports if report["post_type"] == "send_message"]

    async def until_sends(self, number: int) -> list[JsonObject]:
        await self.wait(lambda: len(self.sends()) >= number)
        return self.sends()

    def once(self) -> list[JsonObject]:
        """Return the reports without repetitions: a kill may make one come twice, with its id."""
        return list(dict(zip(self.ids, self.reports, strict=True)).values())

    async def event(self, name: str) -> JsonValue:
        await self.until(lambda got: any(report.get("event") == name for report in got))
        return self.events(name)[-1]

    def events(self, name: str) -> list[JsonValue]:
        return [report["params"] for report in self.reports if report.get("event") == name]

    # -- attempts

    @property
    def tried(self) -> list[tuple[dict[str, str], bytes]]:
        """Headers and body of all reports about messages, refused ones included."""
        return [(dict(asked.headers), body) for asked, body in self.asked if b'"post_type":"event"' not in body]

    @property
    def contents(self) -> list[str]:
        return [str(json.loads(body)["content"]) for _, body in self.tried]

    async def until_tried(self, content: str) -> None:
        await self.wait(lambda: content in self.contents)

    async def tries(self, number: int) -> list[tuple[dict[str, str], bytes]]:
        await self.wait(lambda: len(self.tried) >= number)
        return self.tried


@contextlib.asynccontextmanager
async def hooked() -> AsyncIterator[Webhook]:
    hook = Webhook()
    async with serving(hook.serve) as hook.port:
        yield hook
