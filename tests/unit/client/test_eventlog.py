"""The event log on real disks: full ones, damaged ones, ones that are pulled out."""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.unit.client.conftest import Opened, report
from wxcontroller.client.store import consumers, writer
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.events import EntryState, Selection, before, last, last_shown
from wxcontroller.client.store.expiry import RetentionLimits
from wxcontroller.core.jsontypes import JsonObject

PENDING = Selection((EntryState.PENDING,))


async def stored(log: EventLog, where: Selection = PENDING) -> list[str]:
    assert await log.settled(10)
    return [entry.body.decode() for entry in await log.shown(where, 1000)]


async def test_entries_are_there_again_in_order_with_the_same_ids(opened: Opened) -> None:
    log = opened()
    for number in range(5):
        log.append(report(number), deliver=True)
    assert await log.settled(10)
    before = [entry.id for entry in await log.shown(PENDING, 10)]
    await log.close(2)
    again = opened()
    assert await again.settled(10)
    assert [entry.id for entry in await again.shown(PENDING, 10)] == before
    assert len(set(before)) == 5
    assert (again.counts.pending, again.counts.waiting, again.counts.dead) == (5, 5, 0)
    third = await again.get(before[2])
    assert third is not None
    assert third.body == b'{"id":"2","post_type":"receive_message","type":"friend_message"}'
    assert await again.get("other-3") is None
    assert await again.get("") is None


async def test_the_same_message_twice_is_one_entry_also_after_a_restart(opened: Opened) -> None:
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


async def test_nothing_passes_what_is_held(opened: Opened) -> None:
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


async def test_a_full_disk_is_waited_for_and_reading_goes_on(opened: Opened, small_disk: Path) -> None:
    log = opened(small_disk / "events.db")
    log.append(report(1), deliver=True)
    assert await log.settled(10)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as stream, pytest.raises(OSError, match="No space"):
        while True:
            stream.write(bytes(4096))
    log.append(report(2, content="x" * 50_000), deliver=True)
    log.append(report(3), deliver=True)
    assert not await log.settled(0.5)
    assert "full" in str(log.trouble)
    assert [entry.seq for entry in await log.shown(PENDING, 10)] == [1]
    filler.unlink()
    assert await log.settled(10)
    assert str(log.trouble) == ""
    assert [entry.seq for entry in await log.shown(PENDING, 10)] == [1, 2, 3]
    await log.close(2)


async def test_a_directory_that_can_not_be_used_is_tried_again(opened: Opened, tmp_path: Path) -> None:
    log = opened(tmp_path / "later" / "events.db")
    log.append(report(1), deliver=True)
    assert not await log.settled(0.3)
    assert log.trouble
    (tmp_path / "later").mkdir()
    assert len(await stored(log)) == 1
    assert (tmp_path / "later" / "events.db").stat().st_mode & 0o777 == 0o600


async def test_a_damaged_file_is_set_aside_and_said(
    opened: Opened, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "events.db"
    log = opened()
    log.append(report(1), deliver=True)
    await log.settled(10)
    name = log.counts.name
    await log.close(2)
    path.write_bytes(b"this is no database" * 1000)
    again = opened()
    again.append(report(2), deliver=True)
    assert len(await stored(again)) == 1
    assert again.counts.name not in ("", name)
    [aside] = [found for found in sorted(tmp_path.iterdir()) if ".damaged-" in found.name]  # noqa: ASYNC240
    assert aside.read_bytes().startswith(b"this is no database")
    assert str(aside) in caplog.text


async def test_age_and_size_let_go_in_the_right_order(opened: Opened) -> None:
    log = opened()
    for number in range(6):
        log.append(report(number, content="x" * 1000), deliver=number != 0)
    await log.settled(10)
    entries = await log.shown(Selection(), 10)
    log.delivered(entries[1], 200)
    log.died(entries[2], "it answers 410", 410)
    await log.settled(10)
    size = log.counts.bytes
    assert (log.counts.pending, log.counts.dead) == (3, 1)
    # What nobody waits for goes first, then the dead, and what is pending at last.
    swept = await log.sweep(RetentionLimits(0, 0, 0, max_bytes=size - 1))
    assert (swept.forgotten, swept.dead_forgotten, swept.dropped) == (1, 0, 0)
    swept = await log.sweep(RetentionLimits(0, 0, 0, max_bytes=size - 2500))
    assert (swept.forgotten, swept.dead_forgotten, swept.dropped) == (1, 1, 0)
    swept = await log.sweep(RetentionLimits(0, 0, 0, max_bytes=1500))
    assert (swept.dropped, log.counts.dropped, log.counts.pending) == (2, 2, 1)
    assert [entry.seq for entry in await log.shown(Selection(), 10)] == [6]
    # Sequences are never used again.
    log.append(report(7), deliver=True)
    assert await log.settled(10)
    assert await log.last() == 7


async def test_peoples_messages_go_after_the_accounts_own_reports(opened: Opened) -> None:
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


async def test_nothing_is_lost_while_much_is_there_that_nobody_waits_for(opened: Opened) -> None:
    """More than one step of a sweep deletes."""
    log = opened()
    for number in range(2500):
        log.append(report(number, content="x" * 100), deliver=False)
    for number in range(20):
        log.append(report(number, content="y" * 100), deliver=True)
    await log.settled(10)
    for entry in (await log.shown(Selection((EntryState.PENDING,)), 100))[:10]:
        log.died(entry, "it answers 410", 410)
    await log.settled(10)
    swept = await log.sweep(RetentionLimits(0, 0, 0, max_bytes=log.counts.bytes * 3 // 10))
    assert (swept.dead_forgotten, swept.dropped) == (0, 0)
    assert 1600 < swept.forgotten < 1900
    assert (log.counts.pending, log.counts.dead) == (10, 10)


async def test_what_is_pending_for_too_long_is_dead_and_can_be_replayed(opened: Opened) -> None:
    log = opened()
    log.append(report(1), deliver=True)
    await log.settled(10)
    swept = await log.sweep(RetentionLimits(0, 0, give_up=0.000001, max_bytes=0))
    assert (swept.given_up, log.counts.pending, log.counts.dead) == (1, 0, 1)
    assert await log.replay(Selection((EntryState.DEAD,))) == 1
    assert (log.counts.pending, log.counts.dead) == (1, 0)
    assert await log.purge(PENDING) == 1
    assert (log.counts.pending, log.counts.dead) == (0, 0)
    [entry] = await log.select(Selection((EntryState.PURGED,)), 10)
    assert await log.get(entry.id) == entry


async def test_dead_letters_are_kept_for_their_own_time(opened: Opened) -> None:
    log = opened()
    for number in range(2):
        log.append(report(number), deliver=True)
    await log.settled(10)
    delivered, died = await log.shown(PENDING, 10)
    log.delivered(delivered, 200)
    log.died(died, "it answers 410", 410)
    await log.settled(10)
    swept = await log.sweep(RetentionLimits(keep=0.000001, keep_dead=3600, give_up=0, max_bytes=0))
    assert (swept.forgotten, swept.dead_forgotten, log.counts.dead) == (1, 0, 1)
    swept = await log.sweep(RetentionLimits(keep=0, keep_dead=0.000001, give_up=0, max_bytes=0))
    assert (swept.dead_forgotten, log.counts.dead) == (1, 0)


def test_what_was_said_to_be_stored_outlives_a_kill(tmp_path: Path) -> None:
    program = """
import asyncio, os, signal, sys
from dataclasses import replace
from pathlib import Path
from wxcontroller.client.store.eventlog import EventLog

async def main():
    log = EventLog(Path(sys.argv[1]))
    log.open()
    number = 0
    while True:
        for _ in range(10):
            number += 1
            log.append({"post_type": "receive_message", "type": "friend_message", "id": str(number)}, True)
        assert await log.settled(10)
        print(number, flush=True)

asyncio.run(main())
"""
    path = tmp_path / "events.db"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(50)]
        process.kill()
        said += process.stdout.readlines()
    promised = int([line for line in said if line.endswith(b"\n")][-1])
    with sqlite3.connect(path) as db:
        found = [seq for (seq,) in db.execute("SELECT seq FROM events ORDER BY seq")]
    assert found[:promised] == list(range(1, promised + 1))
    assert promised >= 500


async def test_a_mistake_in_one_change_undoes_that_change_and_no_other(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
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


async def test_who_follows_the_log_misses_nothing_that_comes_between_his_looks(
    opened: Opened,
) -> None:
    log, number, after, name = opened(), 600, 0, ""
    got: list[str] = []

    async def fill() -> None:
        for one in range(number):
            log.append(report(one), deliver=True)
            for _ in range(one % 7):  # at every moment of the follower's and of the writer's round
                await asyncio.sleep(0)
            if one % 50 == 0:
                assert await log.settled(60)

    filling = asyncio.create_task(fill())
    async with asyncio.timeout(PATIENCE):
        while len(got) < number:
            news = log.news
            where = Selection((EntryState.PENDING,), after=after, log=name)
            found = await log.upcoming(where, 8, 1000)
            if not found:
                await news.wait()
                continue
            for entry in found:
                got.append(entry.body.decode())
                after, name = entry.seq, entry.log
                log.delivered(entry, 200)
    await filling
    assert got == [f'{{"id":"{one}","post_type":"receive_message","type":"friend_message"}}' for one in range(number)]
    assert await log.settled(60)
    assert (log.writing, log.counts.waiting) == (False, 0)


async def test_a_reader_sees_what_was_delivered_just_before(opened: Opened) -> None:
    """Counts are published at once, and whoever sees them asks for the list."""
    log = opened()
    for number in range(2):
        log.append(report(number), deliver=True)
    assert await log.settled(PATIENCE)
    first, second = await log.shown(PENDING, 10)
    log.delivered(first, 200)
    assert await log.shown(PENDING, 10) == [second]
    log.delivered(second, 200)
    assert await log.shown(PENDING, 10) == []


async def test_notes_that_cannot_be_written_hold_up_no_delivery(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_NOTED_SECONDS", 10 * PATIENCE)
    log = opened()
    for number in range(2):
        log.append(report(number), deliver=True)
    assert await log.settled(PATIENCE)
    [first] = await log.upcoming(PENDING, 1, 1000)
    with contextlib.closing(sqlite3.connect(tmp_path / "events.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        log.delivered(first, 200)
        after = Selection((EntryState.PENDING,), after=first.seq, log=first.log)
        [second] = await asyncio.wait_for(log.upcoming(after, 1, 1000), PATIENCE)
        assert await asyncio.wait_for(log.body(second), PATIENCE) == second.body
        other.execute("ROLLBACK")
    assert second.seq == first.seq + 1


async def test_a_commit_that_looked_before_the_follower_went_on_is_not_believed(
    opened: Opened,
) -> None:
    log = opened()
    log.append(report(0), deliver=True)
    assert await log.settled(60)
    [first] = await log.upcoming(PENDING, 8, 1000)
    after_first = Selection((EntryState.PENDING,), after=first.seq, log=first.log)
    log.append(report(1), deliver=True)
    assert await log.settled(60)
    log.append(report(2), deliver=True)
    # The writer commits and looks, and the loop does not know yet. Where it takes longer, nothing is proved.
    time.sleep(0.2)  # noqa: ASYNC251
    [second] = await log.upcoming(after_first, 8, 1000)
    assert await log.settled(60)
    [third] = await log.upcoming(replace(after_first, after=second.seq), 8, 1000)
    assert [second.body[7:8], third.body[7:8]] == [b"1", b"2"]


async def test_what_a_consumer_lags_behind_is_counted_in_bounded_work(opened: Opened) -> None:
    """The status is asked for again and again, also while an agent is away for weeks from an account of groups."""
    log = opened()

    def fill(db: sqlite3.Connection, first: int) -> None:
        columns = "stamp, time, type, key, body, size, state"
        insert = f"INSERT INTO events ({columns}) VALUES (1, 1, ?, ?, '{{}}', 2, 'kept')"
        db.execute(insert, ("friend_message", None))  # one of ours
        db.execute(insert, ("friend_message", f"friend {first}"))
        db.executemany(insert, (("group_message", str(number)) for number in range(first, first + 60_000)))

    def count(db: sqlite3.Connection) -> tuple[list[int], int]:
        steps = 0

        def step() -> None:
            nonlocal steps
            steps += 1

        db.set_progress_handler(step, 1000)
        try:
            return [consumers.behind(db, 0, with_groups) for with_groups in (False, True)], steps
        finally:
            db.set_progress_handler(None, 0)

    await log.write(lambda db: fill(db, 0))
    found, steps = await log.read(count)
    assert found == [1, consumers.MAX_BEHIND]
    await log.write(lambda db: fill(db, 60_000))
    assert await log.read(count) == (found, steps)


@pytest.mark.parametrize("state", ["none", "held"])
async def test_a_reader_begins_before_what_comes_while_its_place_is_looked_up(
    opened: Opened, tmp_path: Path, state: str
) -> None:
    log = opened()
    log.append(report(0), deliver=False)
    assert await log.settled(PATIENCE)
    since, looks = int(time.time() * 1e6), 0

    def meanwhile(_: str) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            with contextlib.closing(sqlite3.connect(tmp_path / "events.db", isolation_level=None)) as other:
                columns = "time, type, body, size, media, source, epoch"
                made = f"INSERT INTO events (stamp, state, {columns}) SELECT {since + 9}, '{state}', {columns}"
                other.execute(f"{made} FROM events LIMIT 1")

    with contextlib.closing(sqlite3.connect(tmp_path / "events.db", isolation_level=None)) as db:
        db.set_trace_callback(meanwhile)
        assert (before(db, since) if state == "none" else last_shown(db)) == 1
        db.set_trace_callback(None)
        assert last(db) == 2
