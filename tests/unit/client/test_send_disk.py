"""Sends and the disk: what is large is never in memory or in a row, and a slow disk delays without confusing."""

import asyncio
import base64
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

from tests.patience import until
from tests.unit.client.conftest import POST_API, RunningClient, Start, Webhook, locked, running
from tests.unit.client.scripted import message
from wxcontroller.core.jsontypes import obj

PNG = b"\x89PNG\r\n\x1a\n"


@contextlib.asynccontextmanager
async def busy_disk(client: RunningClient) -> AsyncIterator[None]:
    """Nothing can be written to the account's database; reading goes on."""
    await until(lambda: _is_open(client))
    await client.told("deliveries")  # the account has opened it, too
    with locked(client.paths.state("alice") / "events.db"):
        yield


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


# -- a disk that is slow


async def test_repeated_request_waits_for_a_slow_disk(start: Start) -> None:
    client = await running(start, WXCLIENT_LIMIT_SEND_ANSWER_SECONDS="3")
    form = {"id": "@ann", "content": "x", "idempotency_key": "k"}
    async with busy_disk(client):
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


async def test_content_of_sends_is_kept_until_their_delivery(start: Start, webhook: Webhook) -> None:
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
