"""An account on the filehelper route: with the sandbox as WeChat."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.client.stage import Stage, staged
from tests.unit.durability.routes import FILEHELPER
from wxcontroller.core.jsontypes import integer, obj
from wxcontroller.drivers.web.media.uploads import LARGE
from wxcontroller.sandbox import samples
from wxcontroller.sandbox.faults import FaultKind


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path, FILEHELPER, Stage) as found:
        yield found


async def test_unsupported_calls_are_refused_with_a_reason(stage: Stage) -> None:
    client = await stage.enter(MOJO_WEIXIN_MEDIA_SIZE_MAX=str(2 * LARGE))

    async def code(call: str, data: bytes = b"", /, **form: str) -> int:
        return integer(obj(await client.post(call, data, **form))["code"])

    assert await code("send_friend_message", id="somebody", content="x") == 100
    assert await code("send_group_message", id="@@x", content="x") == -10
    assert await code("revoke_message", id="1") == -10
    assert await code("make_friend", id="x") == -10
    assert await code("set_markname", id="filehelper", new="x") != 0
    assert await code("send_friend_message", bytes(LARGE + 1), id="filehelper") != 0
    requests = [stage.wechat.requests(call) for call in ("webwxcheckupload", "webwxuploadmedia")]
    assert (stage.account.sent_count, requests) == (0, [0, 0])
    able = obj((await client.told())["capabilities"])
    assert [able[what] for what in ("contacts", "groups", "recall", "avatars")] == [False] * 4


async def test_files_are_sent_and_received(stage: Stage) -> None:
    client = await stage.enter()
    picture, paper = samples.png("x"), bytes(range(256)) * 2400  # two pieces
    reports = [await stage.show("image", picture, "a.png"), await stage.show("file", paper, "a.pdf")]
    assert [(one["format"], one["media_size"], one["sender_id"]) for one in reports] == [
        ("media", len(picture), "filehelper"),
        ("media", len(paper), "filehelper"),
    ]

    for content, name in ((picture, "b.png"), (samples.gif("x"), "c.gif"), (paper, "d.pdf")):
        answer = await client.post("send_friend_message", content, name, id="filehelper")
        assert obj(answer)["code"] == 0
    sizes = [("image", len(picture)), ("file", len(samples.gif("x"))), ("file", len(paper))]
    assert (stage.contents(), stage.wechat.violations()) == (sizes, [])


async def test_echo_of_a_send_is_not_received(stage: Stage) -> None:
    stage.account.echo = True
    client = await stage.enter()
    for number in range(3):
        assert obj(await client.post("send_friend_message", id="filehelper", content=f"sent {number}"))["code"] == 0
    await stage.hear("written")
    received = [one["content"] for one in stage.webhook.reports if one["post_type"] == "receive_message"]
    assert received == ["written"]


async def test_send_with_a_lost_response_is_not_duplicated(stage: Stage) -> None:
    client = await stage.enter()
    stage.wechat.fault("webwxsendmsg", FaultKind.RESET, "after")
    assert obj(await client.post("send_friend_message", id="filehelper", content="once"))["code"] == 0
    assert stage.sent() == ["once"]
