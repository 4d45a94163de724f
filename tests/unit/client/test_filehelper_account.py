"""An account on the filehelper route: with the sandbox as WeChat."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.client.stage import Stage, staged
from tests.unit.durability.routes import FILEHELPER
from wxcontroller.core.jsontypes import integer, obj
from wxcontroller.drivers.web.media.uploads import LARGE
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
    able = obj((await client.get_v1())["capabilities"])
    assert [able[what] for what in ("contacts", "groups", "recall", "avatars")] == [False] * 4


async def test_echo_of_a_send_is_not_received(stage: Stage) -> None:
    stage.account.echo = True
    client = await stage.enter()
    for number in range(3):
        assert obj(await client.post("send_friend_message", id="filehelper", content=f"sent {number}"))["code"] == 0
    await stage.hear("written")
    received = [report["content"] for report in stage.webhook.reports if report["post_type"] == "receive_message"]
    assert received == ["written"]


async def test_send_with_a_lost_response_is_not_duplicated(stage: Stage) -> None:
    client = await stage.enter()
    stage.wechat.fault("webwxsendmsg", FaultKind.RESET, "after")
    assert obj(await client.post("send_friend_message", id="filehelper", content="once"))["code"] == 0
    assert stage.sent() == ["once"]
