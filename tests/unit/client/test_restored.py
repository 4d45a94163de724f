"""A log that was restored from a backup uses no id or number again, and tells its readers."""

import asyncio
import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.unit.client.conftest import POST_API, Opened, Start, Webhook, report, running
from tests.unit.client.scripted import message
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.tables.consumertables import ConsumerRow, consumers, keep_consumer
from wxcontroller.client.store.tables.eventtables import Entry, Selection
from wxcontroller.core.jsontypes import items, obj


async def written(log: EventLog, numbers: Sequence[int], key: str = "") -> list[Entry]:
    """Append reports; return all entries of the log."""
    for number in numbers:
        log.append(report(number), deliver=True)
    if key:
        log.append(report(0), deliver=True, key=key)
    assert await log.settled(PATIENCE)
    return await log.select(Selection(), 1000)


def restore(backup: Path, path: Path) -> None:
    """Replace a log by a backup, as tar does."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copy(backup, path)


async def test_a_restored_log_begins_a_new_generation(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, backup = tmp_path / "events.db", tmp_path / "backup"
    log = opened()
    kept = await written(log, range(5))
    await log.write(lambda db: keep_consumer(db, ConsumerRow("bot", "b", {}, kept[0].log, 4, {})))
    await log.close(PATIENCE)
    shutil.copy(path, backup)
    log = opened()
    before = await written(log, range(5, 12), key="m1")
    await log.close(PATIENCE)
    known = list(before)
    for turn in range(2):
        restore(backup, path)
        now = time.time() + 1000 * turn
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda now=now: now)
            log = opened()
            after = await written(log, range(20, 32), key="m1")
        assert [entry.delivery for entry in after[:5]] == [entry.delivery for entry in kept]
        reset, *new, again = after[5:]
        assert reset.type == "reset"
        # Only the message from WeChat has the id that it had.
        assert again.delivery == before[-1].delivery
        assert not {entry.delivery for entry in new} & {entry.delivery for entry in known}
        assert not {entry.id for entry in (*new, again)} & {entry.id for entry in known}
        assert not {entry.seq for entry in (*new, again)} & {entry.seq for entry in known}
        assert min(entry.seq for entry in new) > before[-1].seq
        # Readers continue behind what they have, also those that were ahead.
        assert await log.position(before[2].id) == 3
        assert await log.position(before[-1].id) == 5
        [consumer] = await log.read(consumers)
        assert (consumer.log, consumer.position) == (log.counts.name, 4)
        await log.close(PATIENCE)
        # The next start is not another restore.
        log = opened()
        assert await written(log, ()) == after
        await log.close(PATIENCE)
        known += after


async def test_a_new_process_uses_other_delivery_ids(opened: Opened, tmp_path: Path) -> None:
    """A snapshot of a whole machine is not recognized: it has the same inodes."""
    path, backup = tmp_path / "events.db", tmp_path / "backup"
    log = opened()
    await written(log, range(3))
    await log.close(PATIENCE)
    shutil.copy(path, backup)
    known: set[str] = set()
    for _ in range(2):
        path.write_bytes(backup.read_bytes())
        log = opened()
        new = {entry.delivery for entry in (await written(log, range(3, 6)))[3:]}
        await log.close(PATIENCE)
        assert len(new) == 3
        assert not new & known
        known |= new


async def test_a_damaged_backup_is_recognized(opened: Opened, tmp_path: Path) -> None:
    path, backup = tmp_path / "events.db", tmp_path / "backup"
    log = opened()
    before = await written(log, range(300))
    await log.close(PATIENCE)
    shutil.copy(path, backup)
    os.truncate(backup, backup.stat().st_size - 4096)
    restore(backup, path)
    log = opened()
    after = await written(log, (400,))
    assert [entry.type for entry in after[-2:]] == ["reset", "friend_message"]
    assert after[-1].seq > before[-1].seq
    name = log.counts.name
    await log.close(PATIENCE)
    # A recovery alone is not a restore.
    os.truncate(path, path.stat().st_size - 4096)
    log = opened()
    await written(log, ())
    assert log.counts.name == name != before[0].log


async def test_an_import_is_not_a_restore(tmp_path: Path) -> None:
    path, copy = tmp_path / "events.db", tmp_path / "copy.db"
    log = EventLog(path)
    log.open()
    before = await written(log, range(3))
    await log.close(PATIENCE)
    shutil.copy(path, copy)
    log = EventLog(copy, epoch=2)
    log.open()
    after = await written(log, (3,))
    assert after[:3] == before
    assert after[3].id == f"{before[0].log}-4"
    await log.close(PATIENCE)


async def test_readers_of_a_restored_account_are_told(start: Start, webhook: Webhook) -> None:
    client = await running(start, **{POST_API: webhook.address})
    client.driver.play([message("first")])
    await webhook.until(lambda reports: any(one.get("content") == "first" for one in reports))
    place = str(obj(items((await client.get_v1("events"))["events"])[-1])["id"])
    await client.stop()
    path = client.paths.state("alice") / "events.db"
    shutil.copy(path, path.with_name("backup"))
    restore(path.with_name("backup"), path)
    client = await running(start, **{POST_API: webhook.address})
    query = f"http://127.0.0.1:{client.port}/v1/events?after={place}&types=friend_message"
    kinds: list[str] = []
    async with asyncio.timeout(PATIENCE), client.http.get(query, headers={"Accept": "text/event-stream"}) as answer:
        while "reset" not in kinds:
            line = (await answer.content.readline()).decode()
            if line.startswith("event:"):
                kinds.append(line.split()[1])
            elif line.startswith("data:") and kinds == ["open"]:
                assert json.loads(line[5:])["log"] != place.partition("-")[0]
    assert kinds == ["open", "reset"]
