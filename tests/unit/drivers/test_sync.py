"""Incoming events: each once and in order, also after faults, outages and restarts."""

import asyncio
import json
from itertools import pairwise

import pytest

from tests.patience import until
from tests.unit.drivers.kit import OUTAGE, Store, Wechat, friend, hurried, wechat
from wxcontroller.core.config.limits import Limits
from wxcontroller.drivers import base
from wxcontroller.drivers.web.session.poll_rate_limiter import PollRateLimiter
from wxcontroller.sandbox.faults.faults import FaultKind
from wxcontroller.sandbox.sandbox import Options
from wxcontroller.sandbox.world import websession as sandbox_session
from wxcontroller.sandbox.world.phone import ServerAccount


async def test_overlong_sync_responses_are_skipped(
    world: Wechat, alice: ServerAccount, caplog: pytest.LogCaptureFixture
) -> None:
    """Requested again they would be as long: they are dropped with a log line, and later events are received."""
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


async def test_friend_request_is_reported_once(world: Wechat, alice: ServerAccount) -> None:
    store = Store()
    content = "&lt;msg encryptusername='v1_x' fromnickname='N' content='hello' ticket='v2_{}@stranger'/&gt;"

    def ask(ticket: int) -> None:
        ids = world.sandbox.next_msg_id(), 1_700_000_000, "fmessage", "fmessage"
        world.put(alice, sandbox_session.ServerMessage(*ids, content.format(ticket), 37))

    async with world.online(alice, store) as drive:
        ask(1)
        request = (await drive.until(base.FriendAsked)).request
        assert (request.id, request.name, request.greeting) == ("v1_x", "N", "hello")
        assert request.ticket == "v2_1@stranger"
    async with world.drive(store) as drive:
        await drive.until(base.Online)
        for ticket in (1, 2):
            ask(ticket)
        assert (await drive.until(base.FriendAsked)).request.ticket == "v2_2@stranger"
        assert drive.texts() == []


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


CHECK = 'window.synccheck={{retcode:"0",selector:"{}"}}'


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *((FaultKind.GARBAGE, CHECK.format(selector)) for selector in (3, 5, 1001)),
        (FaultKind.STATUS, 0),  # the push server's quirk, said to accompany typing
    ],
)
async def test_messages_arrive_whatever_announces_them(
    world: Wechat, alice: ServerAccount, kind: FaultKind, value: str | int
) -> None:
    async with world.online(alice) as drive:
        world.fault("synccheck", kind, value, count=None)
        for words in ("one", "two"):  # the poll that is under way announces the first
            world.hear(alice, words)
            await drive.text(words)


async def test_a_new_skey_is_used_from_then_on(world: Wechat, alice: ServerAccount) -> None:
    news = '{"BaseResponse":{"Ret":0},"AddMsgCount":0,"AddMsgList":[],"SyncKey":{"Count":0},"SKey":"@crypt_new"}'
    async with world.online(alice) as drive:
        assert alice.session is not None
        alice.session.skeys.append("@crypt_new")
        world.fault("webwxsync", FaultKind.GARBAGE, news)
        world.hear(alice, "one")
        await drive.text("one")
        del alice.session.skeys[:-1]
        world.hear(alice, "two")
        await drive.text("two")
        await drive.driver.send_text("filehelper", "three", "1")
        assert drive.count(base.SessionLost) == 0


async def test_empty_sync_key_replaces_no_good_one(world: Wechat, alice: ServerAccount) -> None:
    empty = '{"BaseResponse":{"Ret":0},"AddMsgCount":0,"AddMsgList":[],"SyncKey":{"Count":0,"List":[]},"SKey":""}'
    async with world.online(alice) as drive:
        for number in range(3):
            world.fault("webwxsync", FaultKind.GARBAGE, empty)
            world.hear(alice, f"{number}")
            await drive.text(f"{number}")
    assert drive.texts() == ["0", "1", "2"]
    assert world.violations() == []


async def test_position_of_another_session_is_not_used(world: Wechat, alice: ServerAccount) -> None:
    store = Store()
    async with world.online(alice, store) as drive:
        await drive.until(base.Checkpoint)
    position = json.loads(store.state.position)
    ahead = [[number, value + 1_000_000] for number, value in position["sync_key"]]
    position |= {"session": "another", "sync_key": ahead, "check_key": ahead}
    store.state.position = json.dumps(position).encode()
    async with world.drive(store) as drive:
        await drive.until(base.Online)
        world.hear(alice, "news")
        await drive.text("news")
    assert drive.count(base.QrReady) == 0


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


async def test_outage_is_reported_and_recovered_from(world: Wechat, alice: ServerAccount) -> None:
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


async def test_silence_of_wechat_is_reported_in_time() -> None:
    # A poll may last much longer than an account counts as running without a response.
    async with wechat(Options(poll_hold=0.3, sync_hold=0.3)) as world:
        alice = world.sandbox.add_account()
        async with world.online(alice, timing=hurried(poll=3600.0, call=3600.0, offline_after=0.8)) as drive:
            take_back = world.fault("*", FaultKind.DELAY, 3600, None)
            offline = await drive.until(base.Offline)
            assert "no answer" in str(offline.reason)
            take_back()


async def test_proxy_without_long_polls_does_not_cause_offline() -> None:
    async with wechat(Options(poll_hold=0.3, sync_hold=60)) as world:
        alice = world.sandbox.add_account()
        async with world.online(alice, timing=hurried(poll=0.3, offline_after=0.8)) as drive:
            await asyncio.sleep(1.5)  # five polls time out
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


# -- the pace of polls


def polls(seconds: float, burst: int, spacing: float, has_events: bool) -> list[float]:
    """Poll as often as allowed, by a clock set by hand; return the times at which polls began."""
    now = 0.0
    limiter = PollRateLimiter(spacing, burst, lambda: now)
    times = list[float]()
    while (now := now + limiter.due(has_events)) < seconds:
        times.append(now)
        now += 0.001
    return times


def test_idle_polls_are_spaced_after_a_burst() -> None:
    assert polls(35.0, burst=3, spacing=10.0, has_events=False) == pytest.approx([0, 0, 0, 10, 20, 30], abs=0.01)


def test_stream_of_events_is_followed_closely_but_not_without_limit() -> None:
    late = [at for at in polls(60.0, burst=20, spacing=1.0, has_events=True) if at >= 5.0]
    assert len(late) / 55.0 <= 102  # a hundred, and the free one of each second
    assert max(later - one for one, later in pairwise(late)) <= 0.0101
