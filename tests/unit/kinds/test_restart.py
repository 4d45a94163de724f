"""Ids of media outlast a restart of the client, as its session does."""

import json
from pathlib import Path

from tests.unit.kinds.stage import Stage, staged
from wxcontroller.client.mediabook import MediaBook
from wxcontroller.client.store.files import FileStore
from wxcontroller.core.jsontypes import JsonObject, obj, text
from wxcontroller.core.model import Media, MessageKind
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
        store = stage.paths.state("alice") / "media.json"
    assert private(store)


def private(path: Path) -> bool:
    return path.stat().st_mode & 0o777 == 0o600


def test_the_latest_are_remembered(tmp_path: Path) -> None:
    store, most = FileStore(tmp_path / "media.json"), 20
    book = MediaBook(store, most)
    upload = Uploaded(MessageKind.FILE, "@up", "a", 5, "sig", "ref")
    book.add_upload(upload)
    for number in range(most + 1):
        book.add_received(Media(MessageKind.FILE, f"key{number}", "n", 7, public=f"id{number}", reference="x"), "/p")
    book.keep()
    again = MediaBook(store, most)
    assert again.upload("@up") == upload
    assert again.received("id0") is None
    assert again.received(f"id{most}") == book.received(f"id{most}")
    assert again.received(f"key{most}") is None


def test_a_damaged_store_is_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "media.json"
    for content in ("", "{", "[1]", '{"received":[1,{"kind":"text","key":"x"},{"kind":"image"}]}', "[" * 100_000):
        path.write_text(content)
        assert MediaBook(FileStore(path)).received("x") is None
    path.write_text(json.dumps({"uploaded": [{"kind": "image", "key": "@a", "size": "7"}, None]}))
    assert MediaBook(FileStore(path)).upload("@a") == Uploaded(MessageKind.IMAGE, "@a", "", 7)
