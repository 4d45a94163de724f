"""Every kind of message from the API to its recipient, and the report of the send."""

import hashlib
import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.unit.kinds.stage import Stage, staged
from tests.unit.kinds.table import OUTGOING, Outgoing
from wxcontroller.core.jsontypes import obj, text
from wxcontroller.drivers.web.media.uploads import LARGE
from wxcontroller.sandbox.faults.faults import FaultKind

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    directory = tmp_path_factory.mktemp("alice")
    large = {"MOJO_WEIXIN_MEDIA_SIZE_MAX": str(1 << 26), "WXCLIENT_MEDIA_PATHS": str(directory)}
    async with staged(directory, **large) as running:
        yield running


@pytest.mark.parametrize("group", [False, True], ids=["friend", "group"])
@pytest.mark.parametrize("kind", OUTGOING, ids=lambda kind: kind.name)
async def test_recipient_gets_what_was_sent(stage: Stage, kind: Outgoing, group: bool) -> None:
    parameters, md5 = dict(kind.parameters), hashlib.md5(kind.data).hexdigest()
    if kind.received:
        got = await stage.receive(kind=kind.received)
        parameters["media_id"], md5 = text(got["media_id"]), text(got["md5"])
    target = stage.group if group else stage.friend
    uploads = stage.wechat.requests("webwxuploadmedia")
    call = "send_group_message" if group else "send_friend_message"
    answer = obj(await stage.call(call, kind.data, id=stage.username(target), **parameters))
    assert (answer["code"], answer["status"]) == (0, "success"), answer
    sent = stage.sent_as(answer)
    assert (sent.kind, sent.wxid) == (kind.kind, target)
    assert answer["id"] == f"{sent.msg_id}:{stage.username(target)}"
    report = await stage.report(text(answer["id"]))
    assert (report["post_type"], report["type"]) == ("send_message", "group_message" if group else "friend_message")
    assert (report["source"], report["from"], report["code"], report["msg"]) == ("local", "api", "", "发送成功")
    if kind.kind == "text":
        assert (sent.text, report["content"], report["format"]) == (kind.gets, kind.gets, "text")
        return
    assert sent.item is not None
    assert (sent.item.md5, sent.item.size) == (md5, report["media_size"])
    assert not kind.title or sent.name == kind.title
    assert (report["format"], report["media_code"]) == ("media", str(kind.code))
    media_id = text(answer["media_id"])
    assert media_id == report["media_id"]
    assert media_id.endswith(f":{kind.code}")
    assert (stage.wechat.requests("webwxuploadmedia") == uploads) is kind.by_reference
    # The media id of the answer sends it again without an upload.
    uploads = stage.wechat.requests("webwxuploadmedia")
    again = obj(await stage.call("send_friend_message", id="filehelper", media_id=media_id))
    assert (again["code"], again["media_id"]) == (0, media_id)
    copy = stage.sent_as(again)
    assert copy.item is not None
    assert (copy.kind, copy.wxid, copy.item.md5) == (kind.kind, "filehelper", md5)
    assert stage.wechat.requests("webwxuploadmedia") == uploads


async def test_symlink_in_place_of_received_media_is_not_followed(stage: Stage) -> None:
    voice = await stage.receive(kind="voice")
    path = text(voice["media_path"])
    os.unlink(path)  # noqa: PTH108
    os.symlink(stage.client.paths.cookie_file("alice"), path)  # noqa: PTH211
    answer = obj(await stage.call("send_friend_message", id="filehelper", media_id=text(voice["media_id"])))
    assert (answer["code"], answer["status"]) == (-1, "invaild media")


async def test_large_file_is_uploaded_once_then_reused(stage: Stage) -> None:
    path = stage.client.paths.root / "big.zip"
    path.write_bytes(b"PK" + bytes(LARGE))
    pieces = -(-(LARGE + 2) // 524_288)
    for uploads in (pieces, 0):  # the second time WeChat has it already
        before, checks = stage.wechat.requests("webwxuploadmedia"), stage.wechat.requests("webwxcheckupload")
        answer = obj(await stage.call("send_friend_message", id=stage.username(stage.friend), media_path=str(path)))
        assert answer["code"] == 0, answer
        sent = stage.sent_as(answer)
        assert sent.item is not None
        assert (sent.kind, sent.name, sent.item.size) == ("file", "big.zip", LARGE + 2)
        assert stage.wechat.requests("webwxuploadmedia") - before == uploads
        assert stage.wechat.requests("webwxcheckupload") - checks == 1
        report = await stage.report(text(answer["id"]))
        assert (report["media_data"], report["media_size"]) == ("", LARGE + 2)  # too large for a report


async def test_ids_of_media_outlive_a_restart(stage: Stage) -> None:
    received = [await stage.receive(kind=kind) for kind in ("image", "voice", "file")]
    paper = obj(await stage.call("upload_media", b"%PDF" + bytes(99), media_name="报告.pdf"))
    await stage.restart()
    for got in received:
        answer = obj(await stage.call("send_friend_message", id="filehelper", media_id=text(got["media_id"])))
        assert answer["code"] == 0, answer
        sent = stage.sent_as(answer).item
        assert sent is not None and sent.md5 == got["md5"]
    answer = obj(await stage.call("send_friend_message", id="filehelper", media_id=text(paper["media_id"])))
    assert (answer["code"], stage.sent_as(answer).name) == (0, "报告.pdf")


async def test_content_is_sent_if_its_reference_is_refused(stage: Stage) -> None:
    got = await stage.receive(kind="image")
    stage.wechat.fault("webwxsendmsgimg", FaultKind.RETCODE, 1)
    answer = obj(await stage.call("send_friend_message", id="filehelper", media_id=text(got["media_id"])))
    assert answer["code"] == 0
    sent = stage.sent_as(answer).item
    assert sent is not None and sent.md5 == got["md5"]


async def test_a_long_text_arrives_as_several_messages(stage: Stage) -> None:
    content, before = "字" * 4500, len(stage.account.sent)
    answer = obj(await stage.call("send_friend_message", id=stage.username(stage.friend), content=content))
    assert answer["code"] == 0, answer
    pieces = [one.text for one in [*stage.account.sent][before:]]
    assert [len(piece) for piece in pieces] == [2000, 2000, 500]
    assert "".join(pieces) == content
