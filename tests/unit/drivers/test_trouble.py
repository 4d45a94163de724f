"""Return codes, repeated events and failed sends: some end a session, some stop the account, others are survived."""

import asyncio

import pytest

from tests.patience import until
from tests.unit.drivers.kit import OUTAGE, Wechat, counted, friend, hurried
from wxcontroller.core.errors import FailureHandling, ReferenceRefused, WeChatError
from wxcontroller.core.model import MessageKind
from wxcontroller.drivers import base
from wxcontroller.drivers.ilink.timing import ILinkTiming
from wxcontroller.drivers.web.wire.timing import WebTiming
from wxcontroller.sandbox.faults.faults import FaultKind
from wxcontroller.sandbox.world import websession as sandbox_session
from wxcontroller.sandbox.world.phone import ServerAccount


def test_times_of_the_routes_are_the_documented_ones() -> None:
    web, ilink = WebTiming(), ILinkTiming()
    assert (web.offline_after, web.group_refresh, web.code_life) == (45, 3600, 120)
    assert (ilink.code_refresh, ilink.code_life) == (80, 120)


# -- codes


@pytest.mark.parametrize("endpoint", ["synccheck", "webwxsync"])
@pytest.mark.parametrize(
    ("ret", "reason"),
    [(1100, base.LossReason.LOGGED_OUT), (1101, base.LossReason.KICKED), (1102, base.LossReason.COOKIE)],
)
async def test_codes_of_a_lost_session_end_it(
    world: Wechat, alice: ServerAccount, endpoint: str, ret: int, reason: base.LossReason
) -> None:
    async with world.online(alice) as drive:
        world.fault(endpoint, FaultKind.RETCODE, ret, count=2 if ret == 1102 else 1)  # 1102 has a second try
        world.hear(alice, "x")
        lost = await drive.until(base.SessionLost)
        assert (lost.ret, lost.reason) == (ret, reason)
        if (endpoint, ret) == ("webwxsync", 1101):
            assert (await drive.end()).reason is base.EndReason.PHONE
        else:
            await drive.until(base.PushOffered)


@pytest.mark.parametrize("endpoint", ["synccheck", "webwxsync"])
async def test_codes_that_do_not_end_the_session(world: Wechat, alice: ServerAccount, endpoint: str) -> None:
    async with world.online(alice) as drive:
        # A request may have lacked a cookie: only a second 1102 in a row ends the session.
        for ret, count in ((-1, 4), (2, 4), (1205, 4), (1102, 1), (1102, 1)):
            world.fault(endpoint, FaultKind.RETCODE, ret, count=count)
            world.hear(alice, f"still there after {ret}")
            await drive.text(f"still there after {ret}")
    assert drive.count(base.SessionLost) == 0


async def test_long_throttling_ends_in_a_new_login(world: Wechat, alice: ServerAccount) -> None:
    async with world.online(alice, timing=hurried(frequent_limit=0.5)) as drive:
        world.fault("synccheck", FaultKind.RETCODE, 1205, count=None)
        assert "too many requests" in str((await drive.until(base.Offline)).reason)
        with pytest.raises(WeChatError):
            await drive.driver.send_text("filehelper", "x", "1")
        assert world.requests("webwxsendmsg") == 0  # it would extend the penalty
        lost = await drive.until(base.SessionLost)
        assert (lost.ret, lost.reason) == (1205, base.LossReason.TOO_FREQUENT)


async def test_stuck_session_is_reopened_without_a_phone(world: Wechat, alice: ServerAccount) -> None:
    async with world.online(alice, timing=hurried(unknown_codes=4)) as drive:
        opened = world.requests("webwxinit")
        take_back = world.fault("synccheck", FaultKind.RETCODE, -1, count=None)
        await until(lambda: world.requests("webwxinit") >= opened + 2)
        take_back()
        world.hear(alice, "and on")
        await drive.text("and on")
    assert drive.count(base.SessionLost) == 0
    assert world.violations() == []


# -- loops


@pytest.mark.parametrize("kind", ["message", "contact"])
async def test_repeated_old_events_cause_no_busy_loop(world: Wechat, alice: ServerAccount, kind: str) -> None:
    """A server that ignores the sync key returns the same events again and again."""
    async with world.online(alice) as drive:
        session = alice.session
        assert session is not None
        old = world.hear(alice, "old news")
        await drive.text("old news")
        event = old if kind == "message" else sandbox_session.ContactChanged(friend(alice))
        done = asyncio.Event()

        async def repeat() -> None:
            while not done.is_set():
                session.push(event)
                await asyncio.sleep(0.005)

        repeating = asyncio.create_task(repeat())
        syncs = await counted(world, "webwxsync", 1.5, least=3)
        done.set()
        await repeating
        assert syncs <= 9  # 3 at once, then after 0.3, 0.6, 0.6 s
        world.hear(alice, "new at last")
        await drive.text("new at last")
    assert drive.texts() == ["old news", "new at last"]


# -- login


async def test_session_lost_before_its_first_sync_is_flagged(world: Wechat, alice: ServerAccount) -> None:
    world.fault("webwxgetcontact", FaultKind.DELAY, 1.0)
    for endpoint in ("synccheck", "webwxsync"):
        world.fault(endpoint, FaultKind.RETCODE, 1102, count=None)
    async with world.drive(timing=hurried(flagged_within=0.8)) as drive:
        await world.confirm(drive, alice)
        await drive.until(base.Accepted)
        ended = await drive.end()
    assert ended.reason is base.EndReason.FLAGGED
    assert str(ended.words).startswith("the account is probably flagged. Leave it alone")
    assert world.requests("webwxpushloginurl") == 0


async def test_hanging_address_book_does_not_delay_messages(world: Wechat, alice: ServerAccount) -> None:
    world.fault("webwxgetcontact", FaultKind.DROP, 600, count=None)
    async with world.drive(timing=hurried(contacts=0.6)) as drive:
        await world.confirm(drive, alice)
        await drive.until(base.Accepted)
        await drive.until(base.Profile)
        world.hear(alice, "is anybody there")
        assert "webwxgetcontact" in str((await drive.until(base.LoginStalled)).reason)
        await drive.until(base.MessageArrived)
    assert drive.count(base.Online) == 1


async def test_outage_before_the_first_sync_is_reported(world: Wechat, alice: ServerAccount) -> None:
    take_back = world.fault("webwxsync", FaultKind.STATUS, 503, count=None)
    async with world.drive(timing=OUTAGE) as drive:
        await world.confirm(drive, alice)
        assert "503" in str((await drive.until(base.Offline)).reason)
        take_back()
        await drive.until(base.Online)
        world.hear(alice, "at last")
        await drive.text("at last")


NEWS = 'window.synccheck={retcode:"0",selector:"3"}'


@pytest.mark.parametrize(("mode", "least", "limit", "nudges"), [("1", 1, 3, 0), ("2", 1, 5, 1)])
async def test_media_loop_guard_limits_requests(
    world: Wechat, alice: ServerAccount, mode: str, least: int, limit: int, nudges: int
) -> None:
    async with world.online(alice, fix_media_loop=mode) as drive:
        peer = friend(alice)
        world.put(alice, sandbox_session.ServerMessage(world.sandbox.next_msg_id(), 1, peer, peer, "&lt;msg/&gt;", 3))
        await drive.until(base.MessageArrived)
        before = world.requests("webwxstatusnotify")
        world.fault("synccheck", FaultKind.GARBAGE, NEWS, count=None)
        # After 0.3 s and 0.6 s; in mode 2 WeChat also has news of the nudge.
        assert await counted(world, "webwxsync", 0.75, least) <= limit
        assert world.requests("webwxstatusnotify") - before == nudges
    assert world.violations() == []


# -- sends


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
    image = base.Uploaded(MessageKind.IMAGE, "@x", reference="<msg/>")
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
        (FaultKind.STATUS, 503),
        (FaultKind.GARBAGE, '{"BaseResponse":{"Ret":0},"MsgID":""}'),
    ],
)
async def test_unreadable_answer_allows_another_attempt(
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
    assert drive.count(base.SessionLost) == 0


async def test_repeated_1101_ends_the_session(world: Wechat, alice: ServerAccount) -> None:
    async with world.online(alice) as drive:
        world.fault("webwxsendmsg", FaultKind.RETCODE, 1101, count=3)
        for number in range(3):
            with pytest.raises(WeChatError):
                await drive.driver.send_text("filehelper", "x", str(number))
        lost = await drive.until(base.SessionLost)
    assert (lost.reason, lost.ret) == (base.LossReason.KICKED, 1101)


async def test_send_detects_the_end_of_the_session_before_the_poll(world: Wechat, alice: ServerAccount) -> None:
    async with world.online(alice) as drive:
        world.fault("synccheck", FaultKind.GARBAGE, 'window.synccheck={retcode:"0",selector:"0"}', count=None)
        world.sandbox.close_session(alice, 1101)
        with pytest.raises(WeChatError):
            await drive.driver.send_text("filehelper", "x", "1")
        assert (await drive.until(base.SessionLost)).ret == 1101
