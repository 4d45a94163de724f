"""Sends and the disk: what is large is never in memory or in a row, and a slow disk delays without confusing."""

import asyncio
import base64
import contextlib
import json
import sqlite3
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp

from tests.patience import until
from tests.unit.client.conftest import POST_API, RunningClient, Start, Webhook, running
from tests.unit.client.scripted import message
from wxcontroller.core.jsontypes import obj

PNG = b"\x89PNG\r\n\x1a\n"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def escaped(content: bytes) -> bytes:
    """As a script sends it that escapes every byte: three times its size."""
    return b"id=%40ann&media_data=%" + content.hex("%").encode()


@contextlib.contextmanager
def peak(limit: int) -> Iterator[None]:
    """Tell when more memory than this is needed on top in the meantime."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


@contextlib.asynccontextmanager
async def locked(client: RunningClient) -> AsyncIterator[None]:
    """Nothing can be written to the account's database, as on a disk that is busy; reading goes on."""
    await until(lambda: _is_open(client))
    await client.told("deliveries")  # the account is done with opening it, too
    with contextlib.closing(sqlite3.connect(client.paths.state("alice") / "events.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


def _is_open(client: RunningClient) -> bool:
    with contextlib.closing(sqlite3.connect(client.paths.state("alice") / "events.db")) as db:
        return bool(db.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchall())


def events(client: RunningClient) -> list[tuple[str, int]]:
    """State and size of what the log has of messages."""
    with contextlib.closing(sqlite3.connect(client.paths.state("alice") / "events.db")) as db:
        return db.execute("SELECT state, size FROM events WHERE type = 'friend_message' ORDER BY seq").fetchall()


def kept_files(client: RunningClient) -> list[Path]:
    directory = client.paths.media("alice")
    return sorted(directory.iterdir()) if directory.exists() else []


async def test_an_escaped_upload_is_decoded_piece_by_piece(client: RunningClient) -> None:
    content = PNG + bytes(range(256)) * 10_000
    body = escaped(content)
    with peak(3 * len(body) + 2 * len(content)):
        async with client.http.post(client.address("send_friend_message"), data=body, headers=FORM) as answer:
            assert obj(await answer.json(content_type=None))["code"] == 0
    assert [uploaded for _, uploaded in client.driver.uploads] == [content]


async def test_an_upload_above_the_limit_is_refused_while_it_is_decoded(start: Start) -> None:
    client = await running(start, MOJO_WEIXIN_MEDIA_SIZE_MAX="1000000")
    for body in (escaped(bytes(1_000_001)), b"id=%40ann&media_data=" + b"x" * 1_000_001):
        async with client.http.post(client.address("send_friend_message"), data=body, headers=FORM) as answer:
            found = obj(await answer.json(content_type=None))
        assert (found["code"], found["status"]) == (-1, "media size exceed, maximum size is 1000000 bytes")
    assert kept_files(client) == []


# -- a disk that is slow


async def test_who_asks_again_while_the_disk_is_slow_hears_how_it_ended(start: Start) -> None:
    client = await running(start, WXCLIENT_LIMIT_SEND_ANSWER_SECONDS="3")
    form = {"id": "@ann", "content": "x", "idempotency_key": "k"}
    async with locked(client):
        answer = obj(await client.get("send_friend_message", **form))
        assert (answer["code"], answer["status"]) == (-1, "unknown data")
        assert "can't be stored for now" in str(answer["reason"])
        again = asyncio.create_task(client.get("send_friend_message", **form))
        await asyncio.sleep(0.2)
    answer = obj(await again)
    assert (answer["code"], answer["status"]) == (0, "success")
    assert obj(await client.get("send_friend_message", **form)) == answer
    other = {**form, "content": "y"}
    async with client.http.get(client.address("send_friend_message"), params=other) as refused:
        assert refused.status == 422
    assert len(client.driver.sends) == 1


# -- content of the account's own sends


async def test_content_of_own_sends_is_in_files_until_their_reports_are_delivered(
    start: Start, webhook: Webhook
) -> None:
    client = start(**{POST_API: webhook.address})
    webhook.statuses = [503] * 1000
    await client.login()
    for number in range(3):
        answer = await client.post("send_friend_message", id="@ann", media_data="%PDF" + str(number) * 500_000)
        assert obj(answer)["code"] == 0
    client.driver.play([message("from Ann")])
    await until(lambda: len(events(client)) == 4)
    assert max(size for _, size in events(client)) < 4096
    assert len(kept_files(client)) == 3
    await client.stop()
    webhook.statuses.clear()
    again = start(**{POST_API: webhook.address})
    got = await webhook.messages(4)
    contents = [base64.b64decode(str(one["media_data"])) for one in got[:3]]
    assert contents == [b"%PDF" + str(number).encode() * 500_000 for number in range(3)]
    await until(lambda: {state for state, _ in events(again)} == {"delivered"})
    await until(lambda: kept_files(again) == [])


async def test_without_a_webhook_content_goes_with_the_send(client: RunningClient) -> None:
    assert obj(await client.post("send_friend_message", id="@ann", media_data="%PDF..."))["code"] == 0
    await until(lambda: kept_files(client) == [])
    [report] = [one for one in json.loads(json.dumps(await client.get("check_event"))) if one["class"] == "send"]
    assert base64.b64decode(report["media_data"]) == b"%PDF..."


async def test_a_disk_that_can_not_take_a_request_is_told(client: RunningClient) -> None:
    client.paths.media("alice").write_text("not a directory")
    form = aiohttp.FormData({"id": "@ann"})
    form.add_field("media_data", bytes(3_000_000), filename="x")
    async with client.http.post(client.address("send_friend_message"), data=form) as answer:
        assert answer.status == 507
        assert "can't be kept" in str(obj(await answer.json())["status"])
    assert obj(await client.get("send_friend_message", id="@ann", content="x"))["code"] == 0
