"""The event log: what it keeps, for how long, and what is deleted first."""

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.patience import PATIENCE, until
from tests.unit.client.conftest import POST_API, Opened, Start, Webhook, locked, report, running
from tests.unit.client.scripted import message
from wxcontroller.client import retention, service
from wxcontroller.client.login import session
from wxcontroller.client.store.database import writer
from wxcontroller.client.store.database.schema import SCHEMA
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.expiry import RetentionLimits, Swept
from wxcontroller.client.store.tables.eventtables import DELIVERIES, EntryState, Selection
from wxcontroller.core.jsontypes import JsonObject, integer, obj
from wxcontroller.drivers.base import Checkpoint

PENDING = Selection((EntryState.PENDING,))
Dated = Callable[[], Awaitable[EventLog]]


async def stored(log: EventLog, where: Selection = PENDING) -> list[str]:
    assert await log.settled(10)
    return [entry.body.decode() for entry in await log.shown(where, 1000)]


async def test_repeated_message_is_stored_once(opened: Opened) -> None:
    log = opened()
    log.append(report(1), deliver=True, key="m1")
    log.append(report(1), deliver=True, key="m1")
    place = log.hold(report(1), "m1", {})
    log.fill(place, report(99), deliver=True)
    await log.settled(10)
    await log.close(2)
    again = opened()
    again.append(report(1), deliver=True, key="m1")
    again.append(report(2), deliver=True, key="m2")
    assert len(await stored(again)) == 2


async def test_held_report_is_not_overtaken(opened: Opened) -> None:
    log = opened()
    log.append(report(1), deliver=True)
    place = log.hold(report(2), "m2", {"key": "k"})
    log.append(report(3), deliver=True)
    assert len(await stored(log)) == 1
    assert await log.last() == 1
    await log.close(2)
    again = opened()
    [held] = await again.held()
    assert (held.report["id"], held.source) == ("2", {"key": "k"})
    assert place.seq == held.place.seq == 2
    again.fill(held.place, None, deliver=True)
    assert [body[:9] for body in await stored(again)] == ['{"id":"1"', '{"id":"2"', '{"id":"3"']
    assert await again.last() == 3


async def test_age_and_size_limits_delete_in_the_documented_order(opened: Opened) -> None:
    log = opened()
    for number in range(6):
        log.append(report(number, content="x" * 1000), deliver=number != 0)
    await log.settled(10)
    entries = await log.shown(Selection(), 10)
    log.delivered(entries[1], 200)
    log.died(entries[2], "the webhook returned 410", 410)
    await log.settled(10)
    size = log.counts.bytes
    assert (log.counts.pending, log.counts.dead) == (3, 1)
    # Delivered reports are deleted first, then dead letters, pending ones last.
    swept = await log.sweep(RetentionLimits(0, 0, 0, max_bytes=size - 1))
    assert (swept.forgotten, swept.dead_forgotten, swept.dropped) == (1, 0, 0)
    swept = await log.sweep(RetentionLimits(0, 0, 0, max_bytes=size - 2500))
    assert (swept.forgotten, swept.dead_forgotten, swept.dropped) == (1, 1, 0)
    swept = await log.sweep(RetentionLimits(0, 0, 0, max_bytes=1500))
    # The dead letter was not acknowledged.
    assert (swept.dropped, log.counts.dropped, log.counts.pending) == (2, 3, 1)
    assert [entry.seq for entry in await log.shown(Selection(), 10)] == [6]
    # Sequences are never used again.
    log.append(report(7), deliver=True)
    assert await log.settled(10)
    assert await log.last() == 7


async def test_file_shrinks_after_a_backlog(opened: Opened, tmp_path: Path) -> None:
    log = opened()
    for number in range(2500):
        log.append(report(number, content="x" * 10_000), deliver=False)
    assert await log.settled(PATIENCE)
    size = found_size(tmp_path)
    assert size > 25_000_000
    await log.sweep(RetentionLimits(keep=0, keep_dead=0, give_up=0, max_bytes=100_000))
    await log.close(PATIENCE)
    assert found_size(tmp_path) < 1_000_000


def found_size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.glob("events.db*"))


async def test_own_reports_are_deleted_before_messages(opened: Opened) -> None:
    log = opened()
    for number in range(20):
        log.append(report(number, content="y" * 100), deliver=True, key=f"message {number}")
    for number in range(2500):
        own: JsonObject = {
            "post_type": "send_message",
            "type": "friend_message",
            "id": str(number),
            "content": "x" * 1000,
        }
        log.append(own, deliver=True)
    await log.settled(10)
    swept = await log.sweep(RetentionLimits(0, 0, 0, max_bytes=10_000))
    assert swept.dropped >= 2490
    left = await log.shown(PENDING, 1000)
    assert sum(b'"receive_message"' in entry.body for entry in left) == 20
    # Only when nothing else is left.
    await log.sweep(RetentionLimits(0, 0, 0, max_bytes=1000))
    assert 0 < len(await log.shown(PENDING, 1000)) < 20


@dataclass
class Clocks:
    """The clocks of a process. ``run`` lets it run, and ``off`` switches the machine off for this many seconds."""

    monotonic: float = 50.0
    wall: float = time.time()

    def run(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds

    def off(self, seconds: float) -> None:
        self.monotonic = 10.0
        self.wall += seconds


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    found = Clocks()
    monkeypatch.setattr(time, "time", lambda: found.wall)
    return found


DAY = 86400.0
KEPT = RetentionLimits(keep=0, keep_dead=30 * DAY, give_up=3 * DAY, max_bytes=0)


@pytest.fixture
async def dated(tmp_path: Path, clocks: Clocks) -> AsyncIterator[Dated]:
    """Return a function that opens the log with these clocks, and closes the one before."""
    logs: list[EventLog] = []

    async def begin() -> EventLog:
        for earlier in logs:
            await earlier.close(PATIENCE)
        log = EventLog(tmp_path / "events.db", clock=lambda: clocks.monotonic)
        log.open()
        logs.append(log)
        return log

    yield begin
    for one in logs:
        await one.close(2)


async def test_a_report_is_given_up_after_a_time_of_trying(dated: Dated, clocks: Clocks) -> None:
    log = await dated()
    for number in range(2):
        log.append(report(number), deliver=True)
    await log.settled(PATIENCE)
    first, second = await log.shown(PENDING, 10)
    # Without an attempt it is not given up, whatever the clocks say.
    clocks.run(4 * DAY)
    assert await log.sweep(KEPT) == Swept()
    log.failed(first, "no connection", 0, 0)
    assert await log.settled(PATIENCE)
    clocks.off(400 * DAY)
    log = await dated()
    assert await log.sweep(KEPT) == Swept()
    clocks.run(2 * DAY)
    assert await log.sweep(KEPT) == Swept()
    log.moved_aside(first, "kind", "500", 500, 0)
    assert await log.settled(PATIENCE)
    clocks.off(-800 * DAY)
    log = await dated()
    clocks.run(1.1 * DAY)
    assert (await log.sweep(KEPT)).given_up == 1
    assert [entry.seq for entry in await log.shown(PENDING, 10)] == [second.seq]
    # A replayed report has its time again.
    assert await log.replay(Selection((EntryState.DEAD,))) == 1
    clocks.run(4 * DAY)
    assert await log.sweep(KEPT) == Swept()


async def test_dead_letters_are_kept_for_their_time_and_then_count_as_lost(dated: Dated, clocks: Clocks) -> None:
    log = await dated()
    for number in range(3):
        log.append(report(number), deliver=True)
    await log.settled(PATIENCE)
    clocks.run(31 * DAY)
    for entry in await log.shown(PENDING, 10):
        log.died(entry, "the webhook returned 410", 410)
    await log.acknowledge(Selection(seqs=(3,)))
    clocks.run(29 * DAY)
    assert await log.sweep(KEPT) == Swept()
    clocks.off(400 * DAY)
    log = await dated()
    assert await log.sweep(KEPT) == Swept()
    assert log.counts.dead == 3
    clocks.run(1.1 * DAY)
    swept = await log.sweep(KEPT)
    assert (swept.dead_forgotten, swept.unseen, log.counts.dead) == (3, 2, 0)
    # Of the acknowledged one, people know.
    assert log.counts.dropped == 2
    assert log.counts.dropped_at == int(clocks.wall)


async def test_clock_set_back(dated: Dated, clocks: Clocks) -> None:
    log = await dated()
    for number in range(3):
        log.append(report(number), deliver=False)
    assert await log.settled(PATIENCE)
    clocks.wall -= 3600
    begin = int(clocks.wall * 1e6)
    # A reader from now on gets none of the old events, and all new ones.
    assert await log.before(begin) == 3
    for number in range(3):
        log.append(report(number), deliver=False)
    assert await log.settled(PATIENCE)
    clocks.run(5)
    assert await log.before(begin) == 3
    assert await log.before(int(clocks.wall * 1e6)) == 6
    # Each stamp is that of one event, in their order.
    stamps = [entry.stamp for entry in await log.shown(Selection(), 10)]
    assert stamps == sorted({*stamps}) and len(stamps) == 6


async def test_reports_are_posted_after_days_without_power(start: Start, webhook: Webhook) -> None:
    client = await running(start, **{POST_API: "http://127.0.0.1:9/"})
    client.driver.play([message("hello")])
    await client.until_v1(lambda found: integer(found["pending"]), "deliveries")
    await client.stop()
    with contextlib.closing(sqlite3.connect(client.paths.state("alice") / "events.db")) as db, db:
        db.execute("UPDATE events SET time = time - 40 * 86400, stamp = stamp - 40 * 86400000000")
    again = start(**{POST_API: webhook.address})
    await webhook.until(lambda reports: any(one.get("content") == "hello" for one in reports))
    assert (await again.get_v1("deliveries"))["dead"] == 0


async def test_entries_of_an_earlier_version_keep_their_ids(opened: Opened, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "events.db")) as db, db:
        for version, statements in enumerate(SCHEMA[: SCHEMA.index(DELIVERIES)], 1):
            db.executescript(f"{statements}; PRAGMA user_version={version}")
        columns = "stamp, time, type, key, body, size, state"
        db.execute(f"INSERT INTO events ({columns}) VALUES (1, 1, 'friend_message', 'm1', '{{}}', 2, 'pending')")
    log = opened()
    log.append(report(2), deliver=True, key="m2")
    await log.settled(10)
    old, new = await log.shown(PENDING, 10)
    assert old.delivery == old.id == f"{log.counts.name}-1"
    assert new.delivery != new.id
    assert [await log.get(one) for one in (old.id, new.id, new.delivery)] == [old, new, new]


async def test_failed_change_is_rolled_back_alone(opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    def half(db: sqlite3.Connection) -> None:
        db.execute("UPDATE events SET state = 'dead'")
        db.execute("SELECT * FROM nowhere")

    log = opened()
    log.append(report(1), deliver=True)
    broken = log.write(half)
    log.append(report(2), deliver=True)
    with pytest.raises(sqlite3.OperationalError):
        await asyncio.wait_for(broken, PATIENCE)
    assert len(await stored(log)) == 2
    assert "a change of the event log failed" in caplog.text


@contextlib.contextmanager
def refusing(path: Path, key: str) -> Iterator[sqlite3.Connection]:
    """Open a log, and make it refuse the message with a key."""
    with contextlib.closing(sqlite3.connect(path, timeout=PATIENCE)) as db:
        refusal = f"WHEN new.key = '{key}' BEGIN SELECT RAISE(ABORT, '{key} message'); END"
        db.execute(f"CREATE TRIGGER refuse BEFORE INSERT ON events {refusal}")
        yield db


async def test_message_that_cannot_be_stored_is_not_acknowledged(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_STORE_SECONDS", 0.1)
    client = await running(start)
    await client.get_v1("deliveries")  # it has its tables
    with refusing(client.paths.state("alice") / "events.db", "odd") as db:
        db.execute("BEGIN IMMEDIATE")
        client.driver.play([message("odd", id="odd"), Checkpoint(b"after it", ("odd",)), message("next", id="next")])
        assert "the disk is slow" in json.dumps(await client.until_state("updating"))
        db.execute("ROLLBACK")
        await until(client.state, lambda state: "odd message" in json.dumps(state))
        # Sends do not wait for it.
        answer = await client.post("send_friend_message", id="@ann", content="hello")
        assert obj(answer)["code"] == 0

        def keys() -> set[str]:
            return {str(key) for (key,) in db.execute("SELECT key FROM events WHERE key IS NOT NULL")}

        assert not db.execute("SELECT value FROM driver").fetchall()
        assert not db.execute("SELECT id FROM seen").fetchall()
        assert not keys()
        db.execute("DROP TRIGGER refuse")
        await until(lambda: keys() == {"odd", "next"})
        assert db.execute("SELECT value FROM driver WHERE name = 'position'").fetchall() == [(b"after it",)]
    await client.until_state("running")


async def test_later_changes_do_not_stand_for_one_that_cannot_be_stored(opened: Opened, tmp_path: Path) -> None:
    log = opened()
    assert await log.settled(PATIENCE)
    with refusing(tmp_path / "events.db", "odd") as db:
        log.append(report(1), deliver=True, key="odd")
        settled = asyncio.create_task(log.settled(0.3))
        await asyncio.sleep(0)
        for _ in range(3):
            await log.write(lambda db: None)
        assert not await settled
        db.execute("DROP TRIGGER refuse")
        assert await log.settled(PATIENCE)


async def test_stop_leaves_a_message_that_cannot_be_stored_to_wechat(start: Start) -> None:
    client = await running(start)
    await client.get_v1("deliveries")  # it has its tables
    with refusing(client.paths.state("alice") / "events.db", "odd") as db:
        client.driver.play([message("odd", id="odd"), Checkpoint(b"after it", ("odd",))])
        await client.until_v1(lambda found: "odd message" in str(found["trouble"]), "deliveries")
        await client.stop()
        assert not db.execute("SELECT value FROM driver").fetchall()


async def test_reader_sees_a_delivery_at_once(opened: Opened) -> None:
    """Counts are published at once, so the list must be as recent."""
    log = opened()
    for number in range(2):
        log.append(report(number), deliver=True)
    assert await log.settled(PATIENCE)
    first, second = await log.shown(PENDING, 10)
    log.delivered(first, 200)
    assert await log.shown(PENDING, 10) == [second]
    log.delivered(second, 200)
    assert await log.shown(PENDING, 10) == []


async def test_unwritable_notes_do_not_delay_deliveries(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_NOTED_SECONDS", 10 * PATIENCE)
    log = opened()
    for number in range(2):
        log.append(report(number), deliver=True)
    assert await log.settled(PATIENCE)
    [first] = await log.upcoming(PENDING, 1, 1000)
    with locked(tmp_path / "events.db"):
        log.delivered(first, 200)
        after = Selection((EntryState.PENDING,), after=first.seq, log=first.log)
        [second] = await asyncio.wait_for(log.upcoming(after, 1, 1000), PATIENCE)
        assert await asyncio.wait_for(log.body(second), PATIENCE) == second.body
    assert second.seq == first.seq + 1


async def test_loss_is_announced_first(
    monkeypatch: pytest.MonkeyPatch, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    # Nobody listens there: all reports wait, and a stop does not try to deliver them.
    monkeypatch.setattr(service, "FLUSH_SECONDS", 0.01)
    unheard = {POST_API: "http://127.0.0.1:9/"}
    client = await running(start, **unheard)
    client.driver.play([message("x" * 40_000) for _ in range(40)])
    await client.until_v1(lambda found: integer(found["pending"]) >= 40, "deliveries?limit=1")
    await client.stop()
    monkeypatch.setattr(retention, "SWEEP_PAUSE", 0.01)
    monkeypatch.setattr(retention, "SWEEP_SECONDS", 0.01)
    caplog.clear()
    # The first check finds the log too large.
    client = start(**unheard, WXCLIENT_EVENT_KEEP_BYTES=str(1 << 20))

    def checks() -> Iterator[str]:
        """Yield what each check logs."""
        for record in caplog.records:
            if "reports wait for" in record.msg:
                yield "warned"
            elif "that were never delivered are lost" in record.msg:
                yield "lost"

    await until(lambda: "lost" in checks())
    assert [*checks()][:3] == ["warned", "warned", "lost"]
    now = await client.get_v1("deliveries?limit=1")
    assert now["dropped"]
    assert time.time() - PATIENCE <= integer(now["dropped_at"]) <= time.time()


async def test_transaction_that_fails_on_a_full_disk_is_repeated(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.01)
    log = opened()
    sequences: list[int] = []

    def within(_: sqlite3.Connection, add: Callable[[], int]) -> None:
        sequences.append(add())
        if len(sequences) == 1:
            full = sqlite3.OperationalError("database or disk is full")
            full.sqlite_errorname = "SQLITE_FULL"
            raise full

    await log.append_within(report(1), True, within)
    assert (sequences, len(await stored(log))) == ([1, 1], 1)
