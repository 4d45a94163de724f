"""Listening: what arrives, once and in order; what breaks, and what ends it."""

import asyncio

import pytest

from tests.patience import until
from tests.unit.drivers.kit import OUTAGE, Store, Wechat, friend, hurried, username, wechat
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.limits import Limits
from wxcontroller.core.model import Direction, MessageKind
from wxcontroller.drivers import base
from wxcontroller.sandbox import session as sandbox_session
from wxcontroller.sandbox.account import ServerAccount
from wxcontroller.sandbox.faults import FaultKind
from wxcontroller.sandbox.sandbox import Options


async def test_overlong_sync_responses_are_skipped(
    world: Wechat, alice: ServerAccount, caplog: pytest.LogCaptureFixture
) -> None:
    """Asked for again they would be as many: they are given up, aloud, and what comes after them is heard."""
    world.limits = Limits(wechat_answer_bytes=200_000)
    async with world.online(alice) as drive:
        for number in range(4):
            world.hear(alice, f"{number}{'长' * 30_000}")
        await until(lambda: "events from WeChat are lost" in caplog.text)
        world.hear(alice, "after")
        await drive.text("after")
        assert drive.texts() == ["after"]
        assert drive.count(base.Accepted) == drive.count(base.Online) == 1
        assert "webwxsync: the content is longer than 200000 bytes" in caplog.text
    assert world.violations() == []


def deliver_raw(world: Wechat, alice: ServerAccount, peer: str, sender: str, content: str, kind: int) -> None:
    assert alice.session is not None
    alice.session.push(
        sandbox_session.ServerMessage(world.sandbox.next_msg_id(), 1_700_000_000, peer, sender, content, kind)
    )


async def test_friend_request_is_reported_once(world: Wechat, alice: ServerAccount) -> None:
    store = Store()
    asked = "&lt;msg encryptusername='v1_x' fromnickname='N' content='hello' ticket='v2_{}@stranger'/&gt;"
    async with world.online(alice, store) as drive:
        deliver_raw(world, alice, "fmessage", "fmessage", asked.format(1), 37)
        request = (await drive.until(base.FriendAsked)).request
        assert (request.id, request.name, request.greeting) == ("v1_x", "N", "hello")
        assert request.ticket == "v2_1@stranger"
    async with world.drive(store) as drive:
        await drive.until(base.Online)
        for ticket in (1, 2):
            deliver_raw(world, alice, "fmessage", "fmessage", asked.format(ticket), 37)
        assert (await drive.until(base.FriendAsked)).request.ticket == "v2_2@stranger"
        assert drive.texts() == []


async def test_recall_without_an_id_is_of_the_last_own_message(world: Wechat, alice: ServerAccount) -> None:
    recall = (
        '&lt;sysmsg type="revokemsg"&gt;&lt;revokemsg&gt;&lt;msgid&gt;0&lt;/msgid&gt;&lt;replacemsg&gt;'
        "你撤回了一条消息&lt;/replacemsg&gt;&lt;/revokemsg&gt;&lt;/sysmsg&gt;"
    )
    peer, other = friend(alice), friend(alice, 1)
    async with world.online(alice) as drive:
        mine = await drive.driver.send_text(username(alice, peer), "x", drive.driver.new_client_id())
        world.sandbox.deliver(alice, other, alice.wxid, "from my phone", "phone")
        phones = (await drive.text("from my phone")).message
        for chat, revoked in ((peer, mine.id), (other, phones.id), ("filehelper", "")):
            deliver_raw(world, alice, chat, chat, recall, 10002)
            message = (await drive.until(base.MessageArrived)).message
            assert (message.kind, message.revoked) == (MessageKind.REVOKE, revoked)
            assert message.direction is Direction.SENT_ELSEWHERE


async def test_lost_sync_response_loses_and_repeats_nothing(world: Wechat, alice: ServerAccount) -> None:
    faults: list[tuple[FaultKind, str | int]] = [(FaultKind.RESET, "after"), (FaultKind.TRUNCATE, 100)]
    faults += [(FaultKind.SHORT, 100), (FaultKind.STATUS, 204), (FaultKind.RETCODE, -1)]
    async with world.online(alice) as drive:
        for number, (kind, value) in enumerate(faults * 2):
            world.fault("webwxsync", kind, value)
            world.hear(alice, f"{number} a")
            world.hear(alice, f"{number} b")
            await drive.text(f"{number} b")
    assert drive.texts() == [f"{number} {letter}" for number in range(10) for letter in "ab"]


async def test_invalid_poll_is_ignored(world: Wechat, alice: ServerAccount) -> None:
    garbage = 'window.synccheck={retcode:"2",selector:"0"}'
    faults: list[tuple[FaultKind, str | int | None]] = [(FaultKind.STATUS, 0), (FaultKind.STATUS, 503)]
    faults += [(FaultKind.RESET, None), (FaultKind.TRUNCATE, 5), (FaultKind.SHORT, 25), (FaultKind.GARBAGE, None)]
    faults += [(FaultKind.GARBAGE, garbage), (FaultKind.RETCODE, -1)]
    async with world.online(alice) as drive:
        for number, (kind, value) in enumerate(faults):
            world.fault("synccheck", kind, value, 3)
            world.hear(alice, f"{number}")
            await drive.text(f"{number}")
    assert drive.count(base.SessionLost) == 0


async def test_an_outage_is_reported_and_recovered_from(world: Wechat, alice: ServerAccount) -> None:
    async with world.online(alice, timing=OUTAGE) as drive:
        take_back = world.fault("*", FaultKind.RESET, count=None)
        offline = await drive.until(base.Offline)
        assert offline.reason
        progress = drive.progress
        await until(lambda: drive.progress != progress)
        take_back()
        await drive.until(base.Online)
        world.hear(alice, "back")
        await drive.text("back")
    assert drive.count(base.Offline) == 1
    assert drive.count(base.QrReady) == 1


async def test_silence_of_wechat_is_reported_in_time_in_every_wait() -> None:
    # Polls may take much longer than an account counts as running without an answer.
    async with wechat(Options(poll_hold=0.3, sync_hold=0.3)) as world:
        alice = world.sandbox.add_account()
        async with world.online(alice, timing=hurried(poll=3600.0, call=3600.0, offline_after=0.8)) as drive:
            take_back = world.fault("*", FaultKind.DELAY, 3600, None)
            offline = await drive.until(base.Offline)
            assert "no answer" in str(offline.reason)
            take_back()


async def test_a_proxy_without_long_polls_does_not_cause_offline() -> None:
    async with wechat(Options(poll_hold=0.3, sync_hold=60)) as world:
        alice = world.sandbox.add_account()
        async with world.online(alice, timing=hurried(poll=0.3, offline_after=0.8)) as drive:
            await asyncio.sleep(1.5)  # five polls that time out
            assert drive.count(base.Offline) == 0
            world.hear(alice, "through")
            await drive.text("through")


async def test_checkpoint_outlives_a_restart(world: Wechat, alice: ServerAccount) -> None:
    store = Store()
    async with world.online(alice, store) as drive:
        world.hear(alice, "first")
        await drive.text("first")
        await drive.until(base.Checkpoint)
        await drive.stop()
    assert b"first" not in (store.content or b"")
    async with world.drive(store) as drive:
        world.hear(alice, "second")
        await drive.text("second")
    assert drive.texts() == ["second"]


async def test_slow_disk_is_not_reported_as_an_outage(world: Wechat, alice: ServerAccount) -> None:
    async with world.online(alice, timing=OUTAGE) as drive:
        drive.disk = asyncio.Event()
        world.hear(alice, "x")
        await drive.text("x")
        await asyncio.sleep(3 * OUTAGE.offline_after)
        drive.disk.set()
        world.hear(alice, "y")
        await drive.text("y")
        assert drive.count(base.Offline) == 0


async def test_login_waits_while_the_checkpoint_cannot_be_read(world: Wechat, alice: ServerAccount) -> None:
    store = Store()
    async with world.online(alice, store) as drive:
        await drive.until(base.Checkpoint)
    world.hear(alice, "meanwhile")
    store.state.broken = True
    async with world.drive(store) as drive:
        await drive.until(base.LoginStalled)
        store.state.broken = False
        await drive.text("meanwhile")


async def test_login_stops_after_repeated_session_losses(world: Wechat, alice: ServerAccount) -> None:
    async with world.online(alice, timing=hurried(relogins=2)) as drive:
        for _ in range(2):
            world.sandbox.close_session(alice, 1100)
            world.sandbox.logins.confirm(await world.consent(drive))
            await drive.until(base.Online)
        world.sandbox.close_session(alice, 1100)
        ended = await drive.end()
    assert ended.reason is base.EndReason.RETRIES_USED_UP


async def test_rate_limited_sync_pauses_and_continues(world: Wechat, alice: ServerAccount) -> None:
    async with world.drive() as drive:
        await world.enter(drive, alice)
        world.fault("synccheck", FaultKind.RETCODE, 1205, count=3)
        await until(lambda: world.sandbox.faults.all and next(iter(world.sandbox.faults.all.values())).hits >= 1)
        await asyncio.sleep(0.02)
        with pytest.raises(WeChatError) as refused:
            await drive.driver.send_text("filehelper", "x", "1")
        assert refused.value.ret == 1205
        world.hear(alice, "after")
        await drive.text("after")
        await drive.driver.send_text("filehelper", "x", "2")
    assert drive.count(base.SessionLost) == 0


async def test_contact_changes_are_reported(world: Wechat, alice: ServerAccount) -> None:
    async with world.drive() as drive:
        await world.enter(drive, alice)
        session = alice.session
        assert session is not None
        person = alice.world.people[friend(alice)]
        person.name, person.remark = "Tom & Jerry", ""
        session.push(sandbox_session.ContactChanged(person.wxid))
        changed = await drive.until(base.RosterChanged, lambda event: len(event.contacts) == 1)
        assert [contact.name for contact in changed.contacts] == ["Tom & Jerry"]
        session.push(sandbox_session.ContactGone(person.wxid))
        assert (await drive.until(base.RosterChanged)).gone == (session.username(person.wxid),)
