"""How often and how long is tried: options ua_retry_times, ua_request_timeout, ua_inactivity_timeout."""

import time

import pytest

from tests.unit.drivers.kit import Wechat, hurried
from wxcontroller.core.errors import WeChatError
from wxcontroller.drivers.base import LoginStalled, Online, RosterLoaded
from wxcontroller.sandbox.account import ServerAccount
from wxcontroller.sandbox.faults import FaultKind


@pytest.mark.parametrize(("times", "asked"), [("0", 1), ("2", 3), ("7", 8)])
async def test_a_question_is_asked_so_often(world: Wechat, alice: ServerAccount, times: str, asked: int) -> None:
    world.fault("webwxgetcontact", FaultKind.STATUS, 503, count=None)
    async with world.online(alice, ua_retry_times=times) as drive:
        assert drive.count(RosterLoaded) == 1
    assert world.requests("webwxgetcontact") == asked


async def test_a_send_is_made_once(world: Wechat, alice: ServerAccount) -> None:
    async with world.online(alice, ua_retry_times="9") as drive:
        world.fault("webwxsendmsg", FaultKind.RESET, "after")
        with pytest.raises(WeChatError):
            await drive.driver.send_text("filehelper", "x", "1")
    assert world.requests("webwxsendmsg") == 1


@pytest.mark.parametrize(("longest", "silence"), [("1", "600"), ("600", "1")])
async def test_how_long_an_answer_may_take(world: Wechat, alice: ServerAccount, longest: str, silence: str) -> None:
    async with world.online(alice, ua_request_timeout=longest, ua_inactivity_timeout=silence) as drive:
        world.fault("webwxsendmsg", FaultKind.DELAY, 3600)
        began = time.monotonic()
        with pytest.raises(WeChatError, match="in time"):
            await drive.driver.send_text("filehelper", "x", "1")
        assert time.monotonic() - began > 0.9


async def test_a_poll_is_longer_than_any_silence(world: Wechat, alice: ServerAccount) -> None:
    slow = hurried(offline_after=5.0)
    async with world.drive(timing=slow, ua_inactivity_timeout="1", ua_request_timeout="1") as drive:
        world.fault("login", FaultKind.DELAY, 1.5)
        world.fault("synccheck", FaultKind.DELAY, 1.5)
        await world.enter(drive, alice)
        world.hear(alice, "x")
        await drive.text("x")
    assert drive.count(Online) == 1
    assert drive.count(LoginStalled) == 0
