"""/v1/events: the events of all accounts as a stream, and reconnecting."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import SimpleNamespace

import pytest
from aiohttp import web

from tests.patience import PATIENCE, until
from tests.unit.controller.machine import Machine, Process, fixed
from tests.unit.controller.test_watching import Stream
from wxcontroller.client.store.tables import eventtables as event_rows
from wxcontroller.client.v1.reads import eventreads as account_events
from wxcontroller.controller.account_port import eventhub
from wxcontroller.controller.apis.v1.form.cursor import CURSOR_LENGTH, BadCursor, Cursor, parse
from wxcontroller.controller.edge import streams
from wxcontroller.core.backoff import Backoff
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.core.registry.account import Account
from wxcontroller.openwx.http import eventstream


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_events, "HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(eventhub, "_LOOK_SECONDS", 0.05)


class Reader(Stream):
    """A reader of /v1/events that keeps its events and its cursor."""

    def __init__(self, cursor: str = "") -> None:
        self.got: list[JsonObject] = []
        self.cursor = cursor

    @property
    def contents(self) -> list[str]:
        return [str(obj(one["report"])["content"]) for one in self.got]

    async def take(self) -> None:
        """Read the next event."""
        self.cursor, kind, data = await self.event()
        if kind != "heartbeat":
            self.got.append(data)

    async def until(self, number: int) -> list[str]:
        while len(self.got) < number:
            await self.take()
        return self.contents


@asynccontextmanager
async def reading(host: Machine, reader: Reader, query: str = "") -> "AsyncIterator[Reader]":
    headers = {"Last-Event-ID": reader.cursor} if reader.cursor else {}
    async with host.http.get(f"/v1/events{query}", headers=headers) as reader.answer:
        assert (reader.answer.status, reader.answer.content_type) == (200, "text/event-stream")
        await reader.take()
        yield reader


def say(process: Process, *texts: str, kind: str = "friend_message") -> None:
    for text in texts:
        process.log.append({"post_type": "receive_message", "type": kind, "content": text}, deliver=False)


async def test_returning_reader_misses_nothing(host: Machine) -> None:
    """While accounts are restarted and the reader reconnects."""
    names = ["alice", "bob", "carol", "dave"]
    for name in names:
        await host.start(name)
    expected: dict[str, list[str]] = {name: [] for name in names}
    reader = Reader()
    chance = random.Random(7)
    async with reading(host, reader):
        pass
    for round_ in range(8):
        for _ in range(20):
            name = chance.choice(names)
            if host.accounts.registry.resolve(name) in host.units.processes:
                expected[name].append(f"{name} {len(expected[name])}")
                say(host.process(name), expected[name][-1])
        victim = names[round_ % len(names)]
        await host.v1("POST", f"accounts/{victim}/stop")
        async with reading(host, reader):
            # The reader disconnects at any point.
            with suppress(TimeoutError):
                async with asyncio.timeout(chance.random() / 10):
                    await reader.until(1000)
        await host.v1("POST", f"accounts/{victim}/start")
    async with reading(host, reader):
        await reader.until(sum(map(len, expected.values())))
    assert {name: [content for content in reader.contents if content.startswith(name)] for name in names} == expected


async def test_a_too_long_event_is_announced_and_the_next_ones_follow(host: Machine) -> None:
    host.limit(stream_event_bytes=64 << 10)
    alice = await host.start("alice")
    reader, again = Reader(), Reader()
    async with reading(host, reader):
        say(alice, "short", "x" * 200_000, "next")
        while len(reader.got) < 3 or "next" not in str(reader.got[-1]):
            await reader.take()
    first, long, last = reader.got[-3:]
    assert (obj(first["report"])["content"], obj(last["report"])["content"]) == ("short", "next")
    assert (long["type"], long["account"], long["report"]) == ("friend_message", "alice", {})
    assert int(str(long["omitted"])) > 200_000
    await host.v1("GET", str(long["see"]).removeprefix("/v1/"))
    assert alice.requests[-1] == f"GET /v1/deliveries/{long['id']}"
    # A reader that comes back from before it.
    again.cursor = reader.cursor.replace(f"{reader.got[-1]['id']}", str(first["id"]))
    async with reading(host, again):
        while len(again.got) < 2:
            await again.take()
    assert [one["id"] for one in again.got] == [long["id"], last["id"]]


async def test_a_too_long_event_is_announced_in_the_accounts_own_stream(host: Machine) -> None:
    host.limit(stream_event_bytes=64 << 10)
    alice = await host.start("alice")
    stream = {"Accept": "text/event-stream"}
    async with host.http.get("/v1/accounts/alice/events", headers=stream) as answer, asyncio.timeout(PATIENCE):
        say(alice, "short", "x" * 200_000, "next")
        got: list[JsonObject] = []
        while len(got) < 3:
            line = await answer.content.readline()
            if line.startswith(b"data: ") and "report" in (event := obj(json.loads(line[6:]))):
                got.append(event)
    first, long, last = got
    assert (obj(first["report"])["content"], obj(last["report"])["content"]) == ("short", "next")
    assert (long["account"], long["report"], str(long["see"])[-len(str(long["id"])) :]) == ("alice", {}, long["id"])
    assert int(str(long["omitted"])) > 200_000


async def test_a_clock_set_back_hides_no_events_from_a_new_reader(
    host: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.1)
    alice = await host.start("alice")
    say(alice, "long ago")
    assert await alice.log.settled(5)
    reader = Reader()
    async with reading(host, reader):
        while "alice=" not in reader.cursor:
            await reader.take()
    monkeypatch.setattr(event_rows, "time", SimpleNamespace(time=lambda: 1_000_000.0))
    say(alice, "in the past")
    async with reading(host, reader):
        assert await reader.until(1) == ["in the past"]


async def test_slow_and_fast_readers_get_all_events_once_in_order(
    host: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eventhub, "STREAM_WAITING_EVENTS", 3)
    alice = await host.start("alice")
    readers = [Reader() for _ in range(5)]
    async with AsyncExitStack() as stack:
        for reader in readers:
            await stack.enter_async_context(reading(host, reader))
        for number in range(300):
            say(alice, f"{number} " + "x" * 5000)
        for reader in readers:
            assert [each.split()[0] for each in await reader.until(300)] == [str(n) for n in range(300)]
        # All of them are on the shared connection again.
        say(alice, "last")
        for reader in readers:
            assert (await reader.until(301))[-1] == "last"


async def test_events_during_catching_up_are_delivered_once(host: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shared connection may begin after the reader's own one: both deliver what follows."""
    alice = await host.start("alice")
    say(alice, "one")
    assert await alice.log.settled(10)
    reader = Reader(cursor=str(Cursor(0, {"alice": f"{alice.log.counts.name}-1"})))
    read, began, delivered = eventhub.Hub._read, asyncio.Event(), asyncio.Event()

    async def in_this_order(
        self: eventhub.Hub,
        account: Account,
        place: str | None,
        since: int,
        begins: eventhub.Begins,
        give: eventhub.Give,
    ) -> None:
        def catching_up_begins(after: str) -> None:
            begins(after)
            began.set()

        async def line_gives(event: eventhub.AccountEvent) -> None:
            await give(event)
            delivered.set()

        async def catching_up_gives(event: eventhub.AccountEvent) -> None:
            await delivered.wait()
            await give(event)

        if place is None:
            await began.wait()
            await read(self, account, place, since, begins, line_gives)
        else:
            await read(self, account, place, since, catching_up_begins, catching_up_gives)

    monkeypatch.setattr(eventhub.Hub, "_read", in_this_order)
    async with reading(host, reader):
        await asyncio.wait_for(began.wait(), PATIENCE)
        say(alice, "two")
        await reader.until(1)
        say(alice, "three")
        assert await reader.until(2) == ["two", "three"]


async def test_stalled_reader_is_disconnected_without_affecting_others(
    host: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eventstream, "STREAM_STALL_SECONDS", 4.0)
    alice = await host.start("alice")
    slow_reader, slow_writer = await asyncio.open_connection(*host.address)
    slow_writer.write(b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert (await slow_reader.readline()).startswith(b"HTTP/1.1 200")
    async with reading(host, Reader()) as reader:
        for number in range(400):
            say(alice, f"{number} " + "x" * 50_000)
        contents = await reader.until(400)
        assert [content.split()[0] for content in contents] == [str(number) for number in range(400)]
    await until(lambda: not host.shared.readers)
    slow_writer.close()


@pytest.mark.parametrize("status", [200, 403])
async def test_refusing_account_is_retried_less_often_until_it_restarts(
    host: Machine, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(eventhub, "RETRY_FIRST", 600.0)
    monkeypatch.setattr(eventhub, "RETRY_LONGEST", 600.0)
    alice = await host.start("alice")
    opened = 0

    async def refuse(_: web.Request) -> web.StreamResponse:
        nonlocal opened
        opened += 1
        return web.Response(status=status, content_type="text/html")

    alice.serve_events = refuse
    async with reading(host, Reader()) as reader:
        for number in range(3):  # each makes the hub look at the accounts again
            say(await host.start(f"other{number}"), "hello")
            await reader.until(number + 1)
        assert opened == 1
        assert (await host.v1("POST", "accounts/alice/restart"))[0] == 200
        say(host.process("alice"), "again")
        assert (await reader.until(4))[-1] == "again"


def frame(kind: str, **data: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


async def test_pauses_grow_with_refusals_and_reset_after_success(
    host: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    class Pauses(Backoff):
        def next(self) -> float:
            super().next()
            tries.append(self.tries)
            return 0.0

    opening = fixed(200, {"Content-Type": "text/event-stream"}, frame("open", account="alice", after="0badcafe-0"))
    answers = iter((fixed(403), opening, opening, fixed(403), fixed(403), fixed(403)))

    async def next_answer(request: web.Request) -> web.StreamResponse:
        return await next(answers, fixed(403))(request)

    monkeypatch.setattr(eventhub, "Backoff", Pauses)
    (await host.start("alice")).serve_events = next_answer
    async with reading(host, Reader()):
        await until(lambda: len(tries) >= 4)
    assert tries[:4] == [1, 1, 2, 3]


async def test_event_naming_another_account_is_dropped(host: Machine) -> None:
    events = frame("open", account="alice", after="0a0b0c0d-1") + b"".join(
        frame(
            "friend_message",
            **{"account": account, "id": f"0a0b0c0d-{number}", "type": "friend_message", "seq": number},
            **{"stamp": number, "time": number, "report": {"content": account}},
        )
        for number, account in enumerate(("bob", "alice"), 2)
    )
    (await host.start("alice")).serve_events = fixed(200, {"Content-Type": "text/event-stream"}, events)
    async with reading(host, Reader(), "?types=friend_message") as reader:
        assert await reader.until(1) == ["alice"]


def test_cursor_names_its_sources_and_fits_into_a_header() -> None:
    assert str(Cursor(1000)) == "1000"
    places = {f"account-{number}": f"{number:08x}-{number}" for number in range(100)}
    cursor = Cursor(1000, places)
    assert parse(str(cursor)) == cursor
    many = Cursor(1000, {f"account-{number}": f"{number:08x}-{number}" for number in range(1000)})
    assert len(str(many)) <= CURSOR_LENGTH
    kept = parse(str(many)).places
    assert list(kept) == list(many.places)[-len(kept) :]  # the most recent accounts are kept
    with pytest.raises(BadCursor):
        parse("1" + ".a=00000000-1" * 2000)
