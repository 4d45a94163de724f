"""A database that 2.0.0 left: what was queued is sent, and what was answered is known."""

import asyncio
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from tests.patience import PATIENCE, until
from tests.unit.client.conftest import POST_API, Start, Webhook
from wxcontroller.client.sends.pacer import today
from wxcontroller.client.store.schema import SCHEMA
from wxcontroller.core.jsontypes import obj
from wxcontroller.core.model import MessageKind
from wxcontroller.core.paths import Paths
from wxcontroller.drivers.base import Uploaded

_VERSION = 3  # of 2.0.0's database
# Of send_friend_message with "waits" for @ann.
_FINGERPRINT = "1923eaaad7584c1eb257c14ef4951bc72c71d4330620175fd3e3154c7522ac6c"
_PDF = b"%PDF of an older version"


def left_by_2_0_0(state: Path, media: Path) -> None:
    """Write what 2.0.0 has on disk of two sends that wait, one that may have arrived, and three keys."""
    media.mkdir(mode=0o700)
    kept = media / ".send.abcd"
    kept.write_bytes(_PDF)
    facts = {
        **{"kind": "file", "id": "", "path": "", "name": "a.pdf", "mime": "application/pdf", "ext": "pdf"},
        **{"size": len(_PDF), "mtime": 5, "md5": "x", "chunks": 1, "has_file": True, "forced": False},
    }
    now = time.time()
    with closing(sqlite3.connect(state / "events.db")) as db, db:
        for number, statements in enumerate(SCHEMA[:_VERSION], 1):
            db.executescript(f"{statements}; PRAGMA user_version={number}")
        db.execute(
            "INSERT INTO parcels (given, file, facts, uploaded) VALUES (?, ?, ?, '')",
            (json.dumps({"media_name": "a.pdf"}), str(kept), json.dumps(facts)),
        )
        columns = "place, time, tried, login, target, is_group, content, client_id, attempts_left, origin, sides"
        rows: tuple[tuple[object, ...], ...] = (
            (1, now, 0.0, "@me", "@ann", 0, "waits", "11", 5, "api", "{}", None, "k-waits"),
            (2, now, 0.0, "@me", "@ben", 0, "", "12", 5, "api", "{}", 1, None),
            (3, now, now, "@me", "@ben", 0, "unsure", "13", 4, "api", "{}", None, None),
        )
        for row in rows:
            db.execute(f"INSERT INTO sends ({columns}, parcel, request) VALUES ({', '.join('?' * 13)})", row)
        ended = json.dumps({"id": "77:@ann", "code": 0, "status": "success"})
        for key, text in (("k-waits", ""), ("k-done", ended)):
            db.execute(
                "INSERT INTO requests (key, time, fingerprint, call, target, text) VALUES (?, ?, ?, ?, '@ann', ?)",
                (key, now, _FINGERPRINT, "send_friend_message", text),
            )


async def test_what_2_0_0_left_is_sent_and_its_keys_are_known(start: Start, webhook: Webhook, tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    left_by_2_0_0(paths.state("alice"), paths.media("alice"))
    client = start(**{POST_API: webhook.address})
    await client.login()
    reports = await webhook.messages(3)
    assert [(text, client_id) for _, text, client_id in client.driver.sends] == [("unsure", "13"), ("waits", "11")]
    assert [content for _, content in client.driver.uploads] == [_PDF]
    assert [(one["code"], one["uid"]) for one in reports] == [("", "13"), ("", "11"), ("", "12")]
    for key, message_id in (("k-waits", "7711:@ann"), ("k-done", "77:@ann")):
        answer = obj(await client.get("send_friend_message", id="@ann", content="waits", idempotency_key=key))
        assert (answer["id"], answer["code"]) == (message_id, 0)
    assert len(client.driver.sends) == 2
    await until(lambda: not list(paths.media("alice").iterdir()))


async def test_its_counts_and_ids_of_media_are_taken_over(start: Start, tmp_path: Path) -> None:
    state = Paths(tmp_path).state("alice")
    counts = {"2001-01-01": 3, today(): 2, "x": "nonsense", "2001-01-02": -5, "2001-01-03": 10**30}
    (state / "sent_today.json").write_text(json.dumps(counts))
    upload = {"kind": "file", "key": "@up", "name": "paper.pdf", "size": 9, "signature": "s", "reference": ""}
    (state / "media.json").write_text(json.dumps({"uploaded": [upload, None], "received": ["nonsense"]}))
    client = start(WXCLIENT_SEND_DAILY_MAX="3")
    async with asyncio.timeout(PATIENCE):
        while len(list(state.glob("*.2.0.0"))) < 2:  # a login waits for that
            await asyncio.sleep(0.01)
    await client.login()
    answer = obj(await client.get("send_friend_message", id="@ann", media_id="@up:6"))
    assert (answer["code"], answer["media_id"]) == (0, "@up:6")
    assert client.driver.media_sends == [("@ann", Uploaded(MessageKind.FILE, "@up", "paper.pdf", 9, "s"))]
    assert obj(await client.get("send_friend_message", id="@ann", content="x"))["code"] == -8
    assert sorted(path.name for path in state.glob("*.json*")) == ["media.json.2.0.0", "sent_today.json.2.0.0"]
