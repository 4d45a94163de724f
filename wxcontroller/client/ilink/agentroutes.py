"""The routes of the iLink API at an account's port. Everything behind them is loaded by the first request."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import web

from wxcontroller.client.calls.call import Parts, json_answer
from wxcontroller.client.store.database.writer import Unavailable
from wxcontroller.client.v1.forms.v1answers import Handler, stored_soon, with_refusals
from wxcontroller.core.jsontypes import JsonValue

if TYPE_CHECKING:
    from wxcontroller.client.ilink.management import Management
    from wxcontroller.client.ilink.serving import Serving

POLL = "/ilink/bot/getupdates"


class ConsumerRoutes:
    """Routes of agents (consumers). ``parts`` are the running account's."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._loading: asyncio.Task[Serving] | None = None
        self._has_consumers: bool | None = None  # None: not checked yet

    def add_routes(self, app: web.Application) -> None:
        """Route ``/ilink/…`` and the account's calls that manage consumers."""
        app.router.add_route("*", "/ilink/{call:.+}", self._call)
        app.router.add_get("/v1/consumers", with_refusals(self._listed))
        app.router.add_put("/v1/consumers/{name}", self._managed(lambda management: management.put))
        app.router.add_delete("/v1/consumers/{name}", self._managed(lambda management: management.delete))

    async def shown(self) -> JsonValue:
        """Return the account's consumers for its status, None while they cannot be read."""
        try:
            if self._loading is None and self._has_consumers is None:
                self._has_consumers = await self._parts.log.read(has_consumers)
            if self._loading is None and not self._has_consumers:
                return []
            return await (await self._serving()).management.briefly()
        except Unavailable:
            return None

    async def _serving(self) -> "Serving":
        from wxcontroller.client.ilink.serving import load

        task = self._loading
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._loading = self._parts.tasks.begin(load(self._parts))
        async with stored_soon(self._parts.log):
            return await asyncio.shield(task)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        from wxcontroller.client.ilink.serving import unavailable

        try:
            serving = await self._serving()
        except Unavailable as problem:
            return await unavailable(request.match_info["call"], str(problem))
        return await serving.call(request)

    async def _listed(self, request: web.Request) -> web.StreamResponse:
        if await self.shown() == []:  # answered without loading the other modules
            name = self._parts.config.name
            return json_answer({"account": name.name, "instance": name.instance, "consumers": []})
        return await (await self._serving()).management.listed(request)

    def _managed(self, call: "Callable[[Management], Handler]") -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            return await call((await self._serving()).management)(request)

        return with_refusals(answer)


def has_consumers(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM consumers LIMIT 1").fetchone() is not None
