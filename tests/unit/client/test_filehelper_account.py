"""An account on the filehelper route: with the sandbox as WeChat."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.client.stage import Stage, staged
from tests.unit.durability.routes import FILEHELPER, WEB, Route
from wxcontroller.core.jsontypes import integer, obj
from wxcontroller.drivers.web.media.uploads import LARGE
from wxcontroller.drivers.web.session import ownsends
from wxcontroller.sandbox.faults.faults import FaultKind


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
    assert await code("get_avatar", id="filehelper") == -10
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


@pytest.mark.parametrize("route", [WEB, FILEHELPER], ids=["web", "filehelper"])
@pytest.mark.parametrize("lost", [0, 1, 5])
async def test_echo_of_a_send_with_a_lost_response_is_not_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: Route, lost: int
) -> None:
    """Whether its answer is late, a repetition gets it, or none ever does."""
    monkeypatch.setattr(ownsends, "REPEATED_WITHIN", 2.0)
    async with staged(tmp_path, route, Stage) as stage:
        stage.account.echo = True
        client = await stage.enter()
        if lost:
            stage.wechat.fault("webwxsendmsg", FaultKind.RESET, "after", lost)
        answer = obj(await client.post("send_friend_message", id="filehelper", content="<a> once & only"))
        assert answer["code"] == (-1 if lost == 5 else 0)
        await stage.hear("written")
        if route is FILEHELPER:
            await stage.hear("<a> once & only")
        reported = [(one["post_type"], one["content"]) for one in stage.webhook.reports if "content" in one]
        expected = [("send_message", "<a> once & only"), ("receive_message", "written")]
        if route is FILEHELPER:
            expected.append(("receive_message", "<a> once & only"))
        assert sorted(reported) == sorted(expected)


async def test_send_with_a_lost_response_is_not_duplicated(stage: Stage) -> None:
    client = await stage.enter()
    stage.wechat.fault("webwxsendmsg", FaultKind.RESET, "after")
    assert obj(await client.post("send_friend_message", id="filehelper", content="once"))["code"] == 0
    assert stage.sent() == ["once"]
