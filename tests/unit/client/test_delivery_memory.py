"""What waits for a dead webhook is on disk: of large reports one is in memory at a time."""

import asyncio
import base64
import json
import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.unit.client.conftest import POST_API, Start
from tests.unit.client.listener import Listener
from tests.unit.client.test_v1_deliveries import until
from wxcontroller.openwx.replies import to_bytes

SIZE, NUMBER = 1_500_000, 32


def picture(number: int) -> bytes:
    return number.to_bytes(4, "big") + bytes(range(256)) * (SIZE // 256)


def fill(path: Path, media: bool) -> None:
    """Let pictures wait: their content in files next to the log, or in its rows, as 2.0.0 kept those of own sends."""
    with closing(sqlite3.connect(path / "events.db")) as db, db:
        for number in range(NUMBER):
            file = path / f"{number}.png"
            data = "" if media else base64.encodebytes(picture(number)).decode()
            if media:
                file.write_bytes(picture(number))
            post_type = "receive_message" if media else "send_message"
            body = to_bytes({"content": str(number), "media_data": data, "post_type": post_type, "z": "/"})
            db.execute(
                "INSERT INTO events (stamp, time, type, body, size, media, state) "
                "VALUES (?, 4102444800, 'friend_message', ?, ?, ?, 'pending')",
                (number, body, len(body), str(file) if media else ""),
            )


@pytest.mark.parametrize("media", [True, False])
async def test_pictures_that_wait_for_a_webhook_are_on_disk(
    start: Start, listener: Listener, traced: None, media: bool
) -> None:
    first = start(**{POST_API: listener.address})
    await first.login()
    await first.stop()
    await asyncio.to_thread(fill, first.paths.state("alice"), media)
    port, listener.port = listener.port, 1
    quick = {"WXCLIENT_WEBHOOK_RETRY_FIRST": "0.1", "WXCLIENT_WEBHOOK_RETRY_LONGEST": "0.1"}
    client = start(**{POST_API: listener.address}, WXCLIENT_WEBHOOK_SECRET="key", **quick)
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    await client.login()
    async with asyncio.timeout(PATIENCE):
        while " refused" not in str((await client.v1("GET", "deliveries"))[1]["last_error"]):
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)  # a peak can't be waited for: some more tries
    peak = tracemalloc.get_traced_memory()[1] - before
    assert peak < 3 * len(base64.encodebytes(picture(0)))
    assert int(str((await client.v1("GET", "deliveries"))[1]["pending"])) > NUMBER
    await client.stop()

    listener.port = port
    client = start(**{POST_API: listener.address}, WXCLIENT_WEBHOOK_SECRET="key")
    await listener.until(str(NUMBER - 1))
    await until(client, pending=0)
    got = [json.loads(body) for _, body in listener.raw if b'"content":' in body]
    assert [base64.b64decode(one["media_data"]) for one in got] == [picture(number) for number in range(NUMBER)]
    sent = next(body for _, body in listener.raw if b'"content":"7"' in body)
    data = base64.encodebytes(picture(7)).decode()
    post_type = "receive_message" if media else "send_message"
    assert sent == to_bytes({"content": "7", "media_data": data, "post_type": post_type, "z": "/"})
