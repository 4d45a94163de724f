"""Damaged databases: readable rows survive with their ids, and the log stays usable."""

import asyncio
import contextlib
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from tests.patience import PATIENCE
from tests.unit.client.conftest import Opened, report
from wxcontroller.client.store.database.writer import Unavailable
from wxcontroller.client.store.tables import history
from wxcontroller.client.store.tables.eventtables import EntryState, Selection

PENDING = Selection((EntryState.PENDING,))
PAGE = 4096
WRITER = """
import asyncio, os, signal, sys
from pathlib import Path
from wxcontroller.client.store.eventlog import EventLog

async def main():
    log = EventLog(Path(sys.argv[1]))
    log.open()
    for number in range(int(sys.argv[2])):
        log.append({"post_type": "receive_message", "type": "friend_message", "id": str(number)}, True)
    assert await log.settled(10)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def filled(opened: Opened, number: int) -> "tuple[str, list[str]]":
    """Write large reports, close the log; return its name and the ids."""
    log = opened()
    for one in range(number):
        log.append(report(one, content="x" * 3000), deliver=True)
    assert await log.settled(10)
    ids = [entry.id for entry in await log.shown(PENDING, 1000)]
    await log.close(2)
    return log.counts.name, ids


async def killed_writer(path: Path, number: int) -> None:
    """Append reports in another process, which is killed once they are committed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WRITER, str(path), str(number)), cwd=Path(__file__).parents[3]
    )
    assert await process.wait() == -9


def leaf_pages(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT pageno FROM dbstat WHERE name = 'events' AND pagetype = 'leaf'").fetchall()
    return [int(number) for (number,) in rows]


def ruin(path: Path, *pages: int) -> None:
    with path.open("r+b") as stream:
        for page in pages:
            stream.seek((page - 1) * PAGE)
            stream.write(b"\xa5" * PAGE)


def sets(directory: Path) -> list[str]:
    return sorted(found.name for found in directory.iterdir() if ".damaged-" in found.name)


async def test_the_write_ahead_log_is_kept_with_the_damaged_file(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    await killed_writer(path, 10)
    wal = (tmp_path / "events.db-wal").read_bytes()
    # With wrong checksums SQLite ignores the log; it is kept for a recovery by hand.
    (tmp_path / "events.db-wal").write_bytes(wal[:24] + b"\xa5" * 8 + wal[32:])
    path.write_bytes(b"\xa5" * PAGE)
    log = opened()
    log.append(report(99), deliver=True)
    assert await log.settled(10)
    assert log.counts.dropped_at > 0
    [aside, kept] = [name for name in sets(tmp_path) if not name.endswith("-shm")]
    assert kept == f"{aside}-wal"
    assert (tmp_path / kept).stat().st_size == len(wal)


async def test_rows_around_damage_keep_ids_and_the_rest_is_counted_as_lost(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    name, ids = await filled(opened, 60)
    pages = leaf_pages(path)
    ruin(path, *pages[20:23])
    log = opened()
    log.append(report(1000), deliver=True)
    assert await log.settled(10)
    with contextlib.suppress(Unavailable):  # unless the writer has met the damage first
        await log.shown(PENDING, 1000)
    async with asyncio.timeout(PATIENCE):
        while log.counts.dropped == 0:
            await log.news.wait()
    left = [entry.id for entry in await log.shown(PENDING, 1000)]
    assert log.counts.name == name
    assert left[:-1] == [one for one in ids if one in left]
    assert 50 <= len(left) - 1 < 60
    assert log.counts.dropped == 60 - (len(left) - 1)
    assert log.counts.damaged_at > 0
    assert left[-1] == f"{name}-61"


async def test_sequences_never_decrease_after_loss_of_all_data(opened: Opened, tmp_path: Path) -> None:
    await filled(opened, 5)
    (tmp_path / "events.db").write_bytes(b"no database at all" * 1000)
    log = opened()
    log.append(report(1), deliver=True)
    assert await log.settled(10)
    [entry] = await log.shown(PENDING, 10)
    assert entry.seq > 5
    # A cursor of the old log does not count: reading starts at the beginning.
    [same] = await log.shown(Selection(after=1 << 50, log="0ld10g00"), 10)
    assert same == entry


async def test_a_recovery_killed_between_its_renames_is_finished(opened: Opened, tmp_path: Path) -> None:
    _, ids = await filled(opened, 5)
    path = tmp_path / "events.db"
    path.rename(tmp_path / "events.db.new")
    (tmp_path / "events.db-wal").write_bytes(b"of the damaged file")
    log = opened()
    assert await log.settled(10)
    assert [entry.id for entry in await log.shown(PENDING, 10)] == ids
    assert any(name.endswith("-wal") for name in sets(tmp_path))


async def test_log_of_a_later_version_is_not_changed(opened: Opened, tmp_path: Path) -> None:
    await filled(opened, 5)
    path = tmp_path / "events.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA user_version = 900")
    before = path.read_bytes()
    log = opened()
    log.append(report(1), deliver=True)
    assert not await log.settled(0.5)
    assert "later version" in str(log.trouble)
    await log.close(0.1)
    assert path.read_bytes() == before
    assert not sets(tmp_path)


async def test_history_has_exactly_the_surviving_messages(opened: Opened, tmp_path: Path) -> None:
    log = opened()
    for number in range(60):
        log.append(report(number, sender_id=f"ann{number % 2}", content="x" * 3000), deliver=True, key=str(number))
    for number in range(60, 65):
        log.append(report(number, sender_id="ben"), deliver=True, key=str(number))
    assert await log.settled(10)
    await log.close(2)
    path = tmp_path / "events.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM messages WHERE seq BETWEEN 20 AND 29")  # as on a page that was lost
    ruin(path, leaf_pages(path)[-1])  # the last messages of a chat are lost, too
    log = opened()
    assert await log.settled(10)
    with contextlib.suppress(Unavailable):  # unless the writer has met the damage first
        await log.shown(PENDING, 1000)
    async with asyncio.timeout(PATIENCE):
        while log.counts.dropped == 0:
            await log.news.wait()
    left = [entry.seq for entry in await log.shown(PENDING, 1000)]
    assert set(range(20, 30)) <= set(left) < set(range(1, 66))
    page = await log.read(lambda db: history.page(db, (), 0, None, 1000))
    assert [found.seq for found in page.found] == left
    chats = dict(await log.read(history.chats))
    assert max(chats.values()) == left[-1]
    assert set(chats.values()) <= set(left)
