"""Event logs that lost their end: everything in the remaining pages survives, and what is lost is counted."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.unit.client.conftest import POST_API, Opened, Start, Webhook, report, running
from tests.unit.client.test_recovery import PAGE, ruin
from wxcontroller.client.sends.model.send import Request, Send
from wxcontroller.client.store.database.recovery import KnownLog, recover
from wxcontroller.client.store.database.schema import SCHEMA
from wxcontroller.client.store.sendstore import SendStore
from wxcontroller.client.store.tables import drivertables
from wxcontroller.client.store.tables.eventtables import EntryState, Selection
from wxcontroller.core.jsontypes import JsonObject

PENDING = Selection((EntryState.PENDING,))
EVENTS, SENDS = 400, 30
KEYED = {"idempotency_key": "key"}
OPEN = "SELECT COUNT(*) FROM events WHERE state = 'pending'"


@pytest.fixture
async def filled(opened: Opened, tmp_path: Path) -> Path:
    """Write reports, queued sends and a position, in turn, into a closed log."""
    log = opened()
    store = SendStore(log, "web")
    for number in range(EVENTS):
        log.append(report(number, content="x" * (20 + number * 7 % 2000)), deliver=True, key=str(number))
        if number % 13 == 0 and number < 13 * SENDS:
            send = Send("@ann", False, f"send {number}" * 20, login="@me", client_id=str(number))
            _ = store.add([send], Request(f"key {number}", "", "send"), 0, "")
    _ = log.write(lambda db: drivertables.advance(db, "position", b"where it was" * 100, ("id",)))
    assert await log.settled(PATIENCE)
    await log.close(PATIENCE)
    return tmp_path / "events.db"


def rows_of(path: Path, table: str) -> dict[int, int]:
    """Return the number of rows in each page of a table."""
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT pageno, ncell FROM dbstat WHERE name = ? AND pagetype = 'leaf'", (table,))
        return {int(page): int(cells) for page, cells in rows}


def cut(path: Path, size: int) -> None:
    with path.open("r+b") as stream:
        stream.truncate(size)


def found(path: Path, statement: str) -> int:
    with closing(sqlite3.connect(path)) as db:
        (number,) = db.execute(statement).fetchone()
    return int(number)


async def test_everything_in_the_remaining_pages_survives(filled: Path, tmp_path: Path) -> None:
    leaves, send_leaves = rows_of(filled, "events"), rows_of(filled, "sends")
    pages, first = found(filled, "PRAGMA page_count"), max(rows_of(filled, "sqlite_schema"))
    assert pages > first + 100
    for size in [*range(first, pages, 7), pages - 1]:
        place = tmp_path / f"cut {size}"
        place.mkdir()
        path = Path(shutil.copy(filled, place))
        cut(path, size * PAGE)
        result = recover(path, SCHEMA, KnownLog())
        assert found(path, OPEN) >= sum(rows for page, rows in leaves.items() if page <= size), size
        assert result.lost == EVENTS - found(path, OPEN), size
        assert found(path, "SELECT value FROM meta WHERE name = 'dropped'") == result.lost
        assert found(path, "SELECT seq FROM sqlite_sequence WHERE name = 'events'") >= EVENTS
        # The content of a lost send is unknown, but not that there was one.
        assert found(path, "SELECT COUNT(*) FROM sends") == SENDS, size
        whole = sum(rows for page, rows in send_leaves.items() if page <= size)
        assert found(path, "SELECT COUNT(*) FROM sends WHERE content != ''") >= whole, size
        shutil.rmtree(place)


@pytest.mark.parametrize("size", [0, 1, 100, 511, PAGE, 3 * PAGE, 40 * PAGE])
async def test_a_log_of_any_size_can_be_used_and_reports_its_loss(filled: Path, opened: Opened, size: int) -> None:
    cut(filled, size)
    log = opened()
    log.append(report(EVENTS), deliver=True)
    assert await log.settled(PATIENCE)
    assert log.counts.dropped_at > 0
    assert log.counts.damaged_at > 0
    left = await log.shown(PENDING, 1000)
    assert left[-1].seq > EVENTS


async def test_unknown_losses_are_not_given_as_a_number(filled: Path) -> None:
    cut(filled, PAGE // 2)
    assert recover(filled, SCHEMA, KnownLog()).lost is None
    assert found(filled, "SELECT value FROM meta WHERE name = 'dropped'") == 0
    assert found(filled, "SELECT value FROM meta WHERE name = 'dropped_at'") > 0


async def queue_sends(start: Start, webhook: Webhook) -> Path:
    """Run an account until one send has gone out and two wait, one of them with a key; return its log."""
    waits = {"MOJO_WEIXIN_SEND_INTERVAL": "60", "WXCLIENT_STOP_DRAIN": "0"}
    client = await running(start, **{POST_API: webhook.address}, **waits)
    for content, key in (("sent", {}), ("waits", {}), ("keyed", KEYED)):
        await client.get("send_friend_message", id="@ann", content=content, **{"async": "1"}, **key)
    await webhook.messages(1)
    assert await client.stop() == 0
    path = client.paths.state("alice") / "events.db"
    assert found(path, "SELECT COUNT(*) FROM sends") == 2
    return path


def results(webhook: Webhook) -> list[JsonObject]:
    return [one for one in webhook.reports if one.get("post_type") == "send_message"]


async def test_each_queued_send_that_was_lost_gets_its_report(start: Start, webhook: Webhook) -> None:
    path = await queue_sends(start, webhook)
    ruin(path, found(path, "SELECT rootpage FROM sqlite_master WHERE name = 'sends'"))
    again = await running(start, **{POST_API: webhook.address})
    await webhook.until(lambda _: len(results(webhook)) == 3)
    assert all("may have arrived" in str(one["info"]) for one in results(webhook)[1:])
    # The caller that repeats the request is told, too.
    assert found(path, "SELECT COUNT(*) FROM requests WHERE json_extract(text, '$.code') = -1") == 1
    assert not again.driver.sends


async def test_a_request_without_its_send_gets_a_report(start: Start, webhook: Webhook) -> None:
    path = await queue_sends(start, webhook)
    with closing(sqlite3.connect(path)) as db:
        roots = db.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = 'sends' AND rootpage > 0").fetchall()
    ruin(path, *(int(page) for (page,) in roots))
    again = await running(start, **{POST_API: webhook.address})
    await webhook.until(lambda _: len(results(webhook)) == 2)
    # The caller that repeats the request is told, too.
    assert found(path, "SELECT COUNT(*) FROM requests WHERE json_extract(text, '$.code') = -1") == 1
    assert not again.driver.sends


async def test_content_of_a_send_that_lost_its_name_is_not_kept_for_good(opened: Opened) -> None:
    log = opened()
    await log.write(lambda db: db.execute("INSERT INTO parcels (given, file) VALUES ('', 'kept.png')"))
    store = SendStore(log, "web")
    assert await store.files() == {"kept.png"}
    await store.left()
    assert await store.files() == frozenset()
