"""/v1/events at the account's port: stored and new events, as server-sent events or a page of JSON.

The controller reads it, and serves SSE and WebSocket with the events of all accounts.
"""

import asyncio
from collections.abc import Mapping

from aiohttp import web

from wxcontroller.client.calls.call import json_answer
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.tables.eventtables import Entry, Selection
from wxcontroller.client.v1.forms.fitting import fitting
from wxcontroller.client.v1.forms.selecting import number_of
from wxcontroller.client.v1.forms.v1answers import report_of
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.openwx.contract.eventtypes import RESET
from wxcontroller.openwx.contract.paging import PAGE_EVENTS
from wxcontroller.openwx.contract.replies import to_bytes
from wxcontroller.openwx.http import eventstream

_AT_ONCE = 100
# After three such pauses of silence, the controller considers the connection broken
# (controller/account_port/eventhub.py).
HEARTBEAT_SECONDS = 10.0


class Events:
    """The call, for the ``log`` of ``account``."""

    def __init__(self, log: EventLog, account: str) -> None:
        self._log = log
        self._account = account

    async def get(self, request: web.Request) -> web.StreamResponse:
        """GET: entries after ``after`` (an id or a seq) or from ``since`` (a stamp) on, only of ``types``, in order.

        As JSON, at most ``limit`` of them; with ``Accept: text/event-stream``, existing and new ones until the reader
        disconnects. Without a start, a stream begins now, and a page with the oldest event. An id of another log
        means the start of this one, which replaced it; of an earlier generation, the place of the restore at most.
        """
        query = request.query
        types = tuple(word for word in query.get("types", "").split(",") if word)
        types = (*types, RESET) if types else ()
        if "text/event-stream" in request.headers.get("Accept", ""):
            return await self._stream(request, await self._start(query, await self._log.last()), types)
        limit = max(1, number_of(query, "limit", 100, PAGE_EVENTS))
        found = await self._log.shown(Selection(after=await self._start(query, 0), types=types), limit + 1)
        fit = fitting(found[:limit], lambda entry: 512 + len(entry.body))
        events: list[JsonValue] = [self._shown(entry) for entry in fit]
        return json_answer({**await self._bounds(), "events": events, "more": len(found) > len(fit)})

    async def _start(self, query: Mapping[str, str], default: int) -> int:
        if "since" in query:
            return await self._log.before(number_of(query, "since", 0, 1 << 60))
        after = query.get("after")
        if after is None:
            return default
        if "-" in after:
            return await self._log.position(after)
        return number_of(query, "after", 0, 1 << 60)

    async def _bounds(self) -> JsonObject:
        """Report the log's name and range: a reader that is behind ``first`` has missed events."""
        first, last = await self._log.first(), await self._log.last()
        return {"account": self._account, "log": self._log.counts.name, "first": first, "last": last}

    async def _stream(self, request: web.Request, after: int, types: tuple[str, ...]) -> web.StreamResponse:
        response = web.StreamResponse(headers=eventstream.HEADERS)
        await response.prepare(request)
        log = self._log
        # ``after``: the stream's start, for a reader that disconnects before the first event.
        opening: JsonObject = {**await self._bounds(), "after": f"{log.counts.name}-{after}"}
        await self._send(response, eventstream.event("open", to_bytes(opening)))
        while True:
            # Before the read: entries stored during it set this event.
            news = log.news
            found = await log.shown(Selection(after=after, types=types), _AT_ONCE)
            for entry in found:
                await self._send(response, self._event(entry))
                after = entry.seq
            if len(found) == _AT_ONCE:
                continue
            if log.ended:
                return response
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await news.wait()
            except TimeoutError:
                await self._send(response, eventstream.event("here"))

    async def _send(self, response: web.StreamResponse, content: bytes) -> None:
        await eventstream.write(response.write(content))

    def _event(self, entry: Entry) -> bytes:
        return eventstream.event(entry.type, to_bytes(self._shown(entry)), entry.id)

    def _shown(self, entry: Entry) -> JsonObject:
        return {
            "id": entry.id,
            "delivery": entry.delivery,
            "seq": entry.seq,
            "epoch": entry.epoch,
            "stamp": entry.stamp,
            "account": self._account,
            "time": round(entry.time, 3),
            "type": entry.type,
            "report": report_of(entry.type, entry.body),
        }
