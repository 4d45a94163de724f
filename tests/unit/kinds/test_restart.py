"""Ids of media outlast a restart of the client, as its session does."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.unit.kinds.stage import Stage, staged
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.media import (
    MediaIndex,
    Received,
    Way,
    import_book,
    recall,
    received_from_json,
    upload_from_json,
)
from wxcontroller.client.store.schema import SCHEMA
from wxcontroller.core.jsontypes import JsonObject, obj, text
from wxcontroller.core.model import MessageKind, MessageMedia
from wxcontroller.drivers.base import Uploaded


async def arrived(stage: Stage, kind: str) -> JsonObject:
    made = await stage.sandbox("receive", {"kind": kind, "from": stage.friend})
    return {**await stage.report(text(made["msg_id"])), "md5": made["md5"]}


async def test_ids_are_good_after_a_restart(tmp_path: Path) -> None:
    async with staged(tmp_path) as stage:
        received = [await arrived(stage, kind) for kind in ("image", "voice", "file")]
        paper = obj(await stage.call("upload_media", b"%PDF" + bytes(99), media_name="报告.pdf"))
        await stage.restart()
        for got in received:
            answer = obj(await stage.call("send_friend_message", id="filehelper", media_id=text(got["media_id"])))
            assert answer["code"] == 0, answer
            sent = await stage.sent(answer)
            assert sent.item is not None
            assert sent.item.md5 == got["md5"]
        answer = obj(await stage.call("send_friend_message", id="filehelper", media_id=text(paper["media_id"])))
        assert answer["code"] == 0, answer
        assert (await stage.sent(answer)).name == "报告.pdf"


async def test_the_latest_are_remembered_at_once(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.db")
    log.open()
    limit = 20
    index = MediaIndex(log, limit)
    upload = Uploaded(MessageKind.FILE, "@up", "a", 5, "sig", "ref")
    _ = index.add_upload(upload)
    for number in range(limit + 1):
        media = MessageMedia(MessageKind.FILE, f"key{number}", "n", 7, public=f"id{number}", reference="x")
        _ = index.add_received(media, "/p")
    _ = index.add_received(MessageMedia(MessageKind.FILE, "key1", "n", 8, public="id1"), "/again")
    await index.add_received(MessageMedia(MessageKind.IMAGE, "\ud800", "\ud800"), "")
    assert await index.upload("@up") == upload
    assert await index.received("id0") is None
    assert await index.received("id2") is None  # id1 is newer now
    assert await index.received("id1") == Received(
        MessageMedia(MessageKind.FILE, "key1", "n", 8, public="id1"), "/again"
    )
    assert await index.received(f"key{limit}") is None
    await log.close(2)


def test_the_ids_of_2_0_0_are_taken_over_as_far_as_they_can_be_read() -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        for statements in SCHEMA:
            db.executescript(statements)
        received: JsonObject = {"kind": "image", "key": "k", "name": "n", "size": 7, "public": "1", "path": "/p"}
        import_book(
            db,
            {
                "uploaded": [{"kind": "image", "key": "@a", "size": "7"}, None],
                "received": [1, {"kind": "text", "key": "x"}, {"kind": "image"}, received],
            },
        )
        import_book(db, {"uploaded": "nonsense"})
        assert upload_from_json(recall(db, Way.UPLOADED, "@a")) == Uploaded(MessageKind.IMAGE, "@a", "", 7)
        found = received_from_json(recall(db, Way.RECEIVED, "1"))
        assert found == Received(MessageMedia(MessageKind.IMAGE, "k", "n", 7, public="1"), "/p")
        assert db.execute("SELECT COUNT(*) FROM media_index").fetchone() == (2,)
