"""Ids of media outlast a restart of the client, as its session does."""

from pathlib import Path

from tests.unit.kinds.stage import Stage, staged
from wxcontroller.core.jsontypes import JsonObject, obj, text


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
