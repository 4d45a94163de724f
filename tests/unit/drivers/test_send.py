"""Sending texts."""

import pytest

from tests.unit.drivers.kit import Wechat
from wxcontroller.core.errors import FailureHandling, ReferenceRefused, WeChatError
from wxcontroller.core.model import MessageKind
from wxcontroller.drivers.base import LossReason, SessionLost, Uploaded
from wxcontroller.sandbox.account import ServerAccount
from wxcontroller.sandbox.faults import FaultKind


async def test_unsendable_characters_are_removed(world: Wechat, alice: ServerAccount) -> None:
    async with world.online(alice) as drive:
        await drive.driver.send_text("filehelper", "a\r\nb\x00\x1bc\ud800", drive.driver.new_client_id())
    assert alice.sent[-1].text == "a\nbc?"


@pytest.mark.parametrize(
    ("ret", "handling"),
    [(-1, FailureHandling.RETRY_SAME_ID), (1205, FailureHandling.WAIT), (1204, FailureHandling.NEVER)],
)
async def test_handling_of_a_refusal(
    world: Wechat, alice: ServerAccount, ret: int, handling: FailureHandling
) -> None:
    image = Uploaded(MessageKind.IMAGE, "@x", reference="<msg/>")
    async with world.online(alice) as drive:
        world.fault("webwxsendmsgimg", FaultKind.RETCODE, ret)
        with pytest.raises(WeChatError) as forwarded:
            await drive.driver.send_media("filehelper", image, drive.driver.new_client_id())
        assert (forwarded.value.ret, forwarded.value.handling) == (ret, handling)
        assert isinstance(forwarded.value, ReferenceRefused) is (ret == -1)  # others are not about the reference
        world.fault("webwxsendmsg", FaultKind.RETCODE, ret)
        with pytest.raises(WeChatError) as refused:
            await drive.driver.send_text("filehelper", "x", drive.driver.new_client_id())
        assert (refused.value.ret, refused.value.handling) == (ret, handling)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (FaultKind.RESET, "after"),
        (FaultKind.RESET, None),
        (FaultKind.TRUNCATE, 10),
        (FaultKind.STATUS, 503),
        (FaultKind.GARBAGE, None),
        (FaultKind.GARBAGE, '{"BaseResponse":{"Ret":0},"MsgID":""}'),
    ],
)
async def test_unreadable_answer_allows_another_try(
    world: Wechat, alice: ServerAccount, kind: FaultKind, value: str | int | None
) -> None:
    async with world.online(alice) as drive:
        world.fault("webwxsendmsg", kind, value)
        client_id = drive.driver.new_client_id()
        with pytest.raises(WeChatError) as failed:
            await drive.driver.send_text("filehelper", "once", client_id)
        assert (failed.value.ret, failed.value.unsure) == (None, True)
        assert failed.value.handling is FailureHandling.RETRY_SAME_ID
        await drive.driver.send_text("filehelper", "once", client_id)
    assert [sent.text for sent in alice.sent] == ["once"]


async def test_single_1101_of_a_send_does_not_end_the_session(world: Wechat, alice: ServerAccount) -> None:
    async with world.online(alice) as drive:
        for number in range(3):
            world.fault("webwxsendmsg", FaultKind.RETCODE, 1101)
            with pytest.raises(WeChatError):
                await drive.driver.send_text("filehelper", "x", f"1{number}")
            await drive.driver.send_text("filehelper", "y", f"2{number}")
        world.hear(alice, "still here")
        await drive.text("still here")
    assert drive.count(SessionLost) == 0


async def test_repeated_1101_ends_the_session(world: Wechat, alice: ServerAccount) -> None:
    async with world.online(alice) as drive:
        world.fault("webwxsendmsg", FaultKind.RETCODE, 1101, count=3)
        for number in range(3):
            with pytest.raises(WeChatError):
                await drive.driver.send_text("filehelper", "x", str(number))
        lost = await drive.until(SessionLost)
    assert (lost.reason, lost.ret) == (LossReason.KICKED, 1101)


async def test_a_send_learns_of_the_end_before_the_poll(world: Wechat, alice: ServerAccount) -> None:
    async with world.online(alice) as drive:
        world.fault("synccheck", FaultKind.GARBAGE, 'window.synccheck={retcode:"0",selector:"0"}', count=None)
        world.sandbox.close_session(alice, 1101)
        with pytest.raises(WeChatError):
            await drive.driver.send_text("filehelper", "x", "1")
        assert (await drive.until(SessionLost)).ret == 1101
