"""Codes, loops and silences: what ends a session, what parks an account, and what is sat out."""

import asyncio

import pytest

from tests.patience import PATIENCE
from tests.unit.drivers.kit import OUTAGE, Drive, Wechat, counted, friend, hurried
from wxcontroller.drivers import base
from wxcontroller.drivers.base import MessageArrived
from wxcontroller.sandbox import session as sandbox_session
from wxcontroller.sandbox.account import ServerAccount
from wxcontroller.sandbox.faults import FaultKind


async def confirmed(world: Wechat, drive: Drive, account: ServerAccount) -> None:
    await world.confirm(drive, account)
    await drive.until(base.Accepted)


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
        for ret in (-1, 2, 1205):
            world.fault(endpoint, FaultKind.RETCODE, ret, count=4)
            world.hear(alice, f"still there after {ret}")
            await drive.text(f"still there after {ret}")
    assert drive.count(base.SessionLost) == 0


@pytest.mark.parametrize("endpoint", ["synccheck", "webwxsync"])
async def test_long_throttling_ends_in_a_new_login(world: Wechat, alice: ServerAccount, endpoint: str) -> None:
    async with world.online(alice, timing=hurried(frequent_limit=0.5)) as drive:
        world.fault(endpoint, FaultKind.RETCODE, 1205, count=None)
        world.hear(alice, "x")
        assert "too many requests" in str((await drive.until(base.Offline)).reason)
        lost = await drive.until(base.SessionLost)
        assert (lost.ret, lost.reason) == (1205, base.LossReason.TOO_FREQUENT)


async def test_stuck_session_is_reopened_without_a_phone(world: Wechat, alice: ServerAccount) -> None:
    async with world.online(alice, timing=hurried(unknown_codes=4)) as drive:
        opened = world.requests("webwxinit")
        take_back = world.fault("synccheck", FaultKind.RETCODE, -1, count=None)
        async with asyncio.timeout(PATIENCE):
            while world.requests("webwxinit") < opened + 2:  # again and again: -1 passes
                await asyncio.sleep(0.01)
        take_back()
        world.hear(alice, "and on")
        await drive.text("and on")
    assert drive.count(base.SessionLost) == 0
    assert world.violations() == []


# -- loops


@pytest.mark.parametrize("what", ["message", "contact", "notify"])
async def test_repeated_old_events_cause_no_busy_loop(world: Wechat, alice: ServerAccount, what: str) -> None:
    """A server that does not take the key, and tells the same again and again."""
    async with world.online(alice) as drive:
        session, peer = alice.session, friend(alice)
        assert session is not None
        old = world.hear(alice, "old news")
        await drive.text("old news")
        told: dict[str, sandbox_session.Event] = {
            "message": old,
            "contact": sandbox_session.ContactChanged(peer),
            "notify": sandbox_session.ServerMessage(
                world.sandbox.next_msg_id(), 1_700_000_000, alice.wxid, peer, "", 51, notify_code=5
            ),
        }
        done = asyncio.Event()

        async def repeat() -> None:
            while not done.is_set():
                session.push(told[what])
                await asyncio.sleep(0.005)

        repeating = asyncio.create_task(repeat())
        asked = await counted(world, "webwxsync", 1.5, least=3)
        done.set()
        await repeating
        assert asked <= 9  # 3 at once, then after 0.3, 0.6, 0.6 s
        world.hear(alice, "new at last")
        await drive.text("new at last")
    assert drive.texts() == ["old news", "new at last"]


# -- the beginning


@pytest.mark.parametrize("ret", [1100, 1102])
async def test_session_lost_before_its_first_sync_is_flagged(world: Wechat, alice: ServerAccount, ret: int) -> None:
    world.fault("webwxgetcontact", FaultKind.DELAY, 1.0)
    for endpoint in ("synccheck", "webwxsync"):
        world.fault(endpoint, FaultKind.RETCODE, ret, count=None)
    async with world.drive(timing=hurried(flagged_within=0.8)) as drive:
        await confirmed(world, drive, alice)
        ended = await drive.end()
    assert ended.reason is base.EndReason.FLAGGED
    assert str(ended.words).startswith("the account is probably flagged. Leave it alone")
    assert world.requests("webwxpushloginurl") == 0


async def test_hanging_address_book_does_not_delay_messages(world: Wechat, alice: ServerAccount) -> None:
    world.fault("webwxgetcontact", FaultKind.DROP, 600, count=None)
    async with world.drive(timing=hurried(contacts=0.6)) as drive:
        await confirmed(world, drive, alice)
        await drive.until(base.Profile)
        world.hear(alice, "is anybody there")
        assert "webwxgetcontact" in str((await drive.until(base.LoginStalled)).reason)
        await drive.until(base.MessageArrived)
    assert drive.count(base.Online) == 1


NEWS = 'window.synccheck={retcode:"0",selector:"3"}'


def picture(world: Wechat, alice: ServerAccount) -> None:
    assert alice.session is not None
    content = "&lt;msg&gt;&lt;img/&gt;&lt;/msg&gt;"
    peer = friend(alice)
    alice.session.push(
        sandbox_session.ServerMessage(world.sandbox.next_msg_id(), 1_700_000_000, peer, peer, content, 3)
    )


@pytest.mark.parametrize(("mode", "least", "limit", "nudges"), [("0", 4, 12, 0), ("1", 1, 3, 0), ("2", 1, 5, 1)])
async def test_media_loop_guard_limits_requests(
    world: Wechat, alice: ServerAccount, mode: str, least: int, limit: int, nudges: int
) -> None:
    async with world.online(alice, fix_media_loop=mode) as drive:
        picture(world, alice)
        await drive.until(MessageArrived)
        told = world.requests("webwxstatusnotify")
        world.fault("synccheck", FaultKind.GARBAGE, NEWS, count=None)
        # 0: three at once, then ten a second with this test's times; else after 0.3 s and 0.6 s.
        # 2: WeChat has news of the nudge.
        assert await counted(world, "webwxsync", 0.75, least) <= limit
        assert world.requests("webwxstatusnotify") - told == nudges
    assert world.violations() == []


async def test_outage_before_the_first_sync_is_reported(world: Wechat, alice: ServerAccount) -> None:
    take_back = world.fault("webwxsync", FaultKind.STATUS, 503, count=None)
    async with world.drive(timing=OUTAGE) as drive:
        await confirmed(world, drive, alice)
        assert "503" in str((await drive.until(base.Offline)).reason)
        take_back()
        await drive.until(base.Online)
        world.hear(alice, "at last")
        await drive.text("at last")
    assert drive.count(base.Offline) == 1
