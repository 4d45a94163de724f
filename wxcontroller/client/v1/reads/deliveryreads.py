"""/v1/deliveries at the account's port: delivered, waiting and dead reports; replay and purge."""

import asyncio

from aiohttp import web

from wxcontroller.client.calls.call import Parts, json_answer
from wxcontroller.client.sends.content.callbodies import BODIES
from wxcontroller.client.store.tables.eventtables import Entry, EntryState, Selection
from wxcontroller.client.v1.forms.selecting import chosen, number_of, states_of
from wxcontroller.client.v1.forms.v1answers import RequestRefused, report_of, stored_soon
from wxcontroller.client.v1.reads.status import counts_of
from wxcontroller.core.jsontypes import JsonObject, JsonValue, kept_json, text
from wxcontroller.core.text.templates import N_
from wxcontroller.openwx.contract.paging import PAGE_DELIVERIES

# Larger reports are listed without direction, sender and receiver: a page may have a thousand of them.
_SHOWN_BYTES = 8 * 1024
_DIRECTIONS = {"receive_message": "in", "send_message": "out"}


class Deliveries:
    """The calls. ``parts`` are the running account's."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def listed(self, request: web.Request) -> web.StreamResponse:
        """GET: entries of some states (default: pending and dead), oldest first, after ``after``."""
        query = request.query
        states = states_of(query.get("state", "held,pending,dead"))
        after, limit = number_of(query, "after", 0, 1 << 60), number_of(query, "limit", 100, PAGE_DELIVERIES)
        counts = self._counts()  # first: a report that is counted as settled is not listed as pending
        found = await self._parts.log.select(
            Selection(states, after=after), max(1, limit) + 1, most_body=_SHOWN_BYTES
        )
        more = len(found) > limit
        shown: list[JsonValue] = [_shown(entry) for entry in found[:limit]]
        return json_answer({**counts, "deliveries": shown, "next": found[limit - 1].seq if more and limit else None})

    async def one(self, request: web.Request) -> web.StreamResponse:
        """GET one with its report, as readers of events get it."""
        entry = await self._parts.log.get(request.match_info["id"])
        if entry is None:
            raise RequestRefused(
                404,
                "no-such-event",
                N_("there is no event {id}"),
                N_("it may be too old (event_keep_days), or belong to another account"),
                id=f"{request.match_info['id'][:64]!r}",
            )
        return json_answer({**_shown(entry), "report": report_of(entry.type, entry.body)})

    async def replay(self, request: web.Request) -> web.StreamResponse:
        """POST: send entries again, in the order in which they happened; ``all`` means all dead ones."""
        body = await request.app[BODIES].small(request)
        if not self._parts.delivery.address:
            raise RequestRefused(409, "no-webhook", N_("the account has no post_api"), N_("start it with one"))
        where = await chosen(self._parts.log, body)
        if not where.states and not where.seqs:
            where = Selection((EntryState.DEAD,))
        return await self._changed("replayed", self._parts.log.replay(where))

    async def purge(self, request: web.Request) -> web.StreamResponse:
        """POST: discard waiting or dead entries; ``all`` means both. They stay in the log for its time."""
        where = await chosen(self._parts.log, await request.app[BODIES].small(request))
        return await self._changed("purged", self._parts.log.purge(where))

    async def acknowledge(self, request: web.Request) -> web.StreamResponse:
        """POST: acknowledge dead letters. They are kept, but no longer count as a problem of the account."""
        where = await chosen(self._parts.log, await request.app[BODIES].small(request))
        return await self._changed("acknowledged", self._parts.log.acknowledge(where))

    async def _changed(self, word: str, change: "asyncio.Future[int]") -> web.Response:
        """Return the number of entries changed in the log, once it is on disk. Raises Unavailable."""
        # Also for a change that is stored later than its caller waits.
        change.add_done_callback(lambda _: self._parts.delivery.again())
        async with stored_soon(self._parts.log):
            number = await asyncio.shield(change)
        return json_answer({word: number, **self._counts()})

    def _counts(self) -> JsonObject:
        return {"account": self._parts.config.name.name, **counts_of(self._parts)}


def _shown(entry: Entry) -> JsonObject:
    from wxcontroller.client.v1.forms.deliveryprogress import progress_of  # with the first request

    report = kept_json(entry.body[:_SHOWN_BYTES])
    return {
        **progress_of(entry),
        "delivery": entry.delivery,
        "seq": entry.seq,
        "time": round(entry.time, 3),
        "type": entry.type,
        "bytes": entry.size,
        "direction": _DIRECTIONS.get(text(report.get("post_type"))),
        **{name: text(report.get(name)) or None for name in ("sender", "receiver", "group")},
    }
