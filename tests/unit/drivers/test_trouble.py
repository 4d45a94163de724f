"""Codes, loops and silences: what ends a session, what parks an account, and what is sat out."""

import asyncio
import time

import pytest

from tests.patience import PATIENCE
from tests.unit.drivers.kit import Drive, Store, Wechat, counted, friend, hurried
from wxcontroller.drivers.base import (
    Accepted,
    Ended,
    EndReason,
    LoginStalled,
    LoginWay,
    LossReason,
    MessageArrived,
    Offline,
    Online,
    Profile,
    PushOffered,
    QrReady,
    RosterChanged,
    SessionLost,
)
from wxcontroller.sandbox import session as sandbox_session
from wxcontroller.sandbox.account import ServerAccount
from wxcontroller.sandbox.faults import FaultKind

NEWS = 'window.synccheck={retcode:"0",selector:"%s"}'


async def confirmed(world: Wechat, drive: Drive, account: ServerAccount) -> None:
    login = await world.login_of(drive)
    world.sandbox.logins.scan(login, account.uin)
    world.sandbox.logins.confirm(login)
    await drive.until(Accepted)


# -- codes


@pytest.mark.parametrize("endpoint", ["synccheck", "webwxsync"])
@pytest.mark.parametrize(
    ("ret", "reason"), [(1100, LossReason.LOGGED_OUT), (1101, LossReason.KICKED), (1102, LossReason.COOKIE)]
)
async def test_what_ends_a_session_at_the_check_and_at_the_sync(
    world: Wechat, alice: ServerAccount, endpoint: str, ret: int, reason: LossReason
) -> None:
    async with world.drive() as drive:
        await world.enter(drive, alice)
        world.fault(endpoint, FaultKind.RETCODE, ret, count=2 if ret == 1102 else 1)  # 1102 has a second try
        world.hear(alice, "x")
        lost = await drive.until(SessionLost)
        assert (lost.ret, lost.reason) == (ret, reason)
        if (endpoint, ret) == ("webwxsync", 1101):
            assert (await drive.end()).reason is EndReason.PHONE
        else:
            await drive.until(PushOffered)


@pytest.mark.parametrize("endpoint", ["synccheck", "webwxsync"])
async def test_what_ends_no_session(world: Wechat, alice: ServerAccount, endpoint: str) -> None:
    async with world.drive() as drive:
        await world.enter(drive, alice)
        for ret in (-1, 2, 1205):
            world.fault(endpoint, FaultKind.RETCODE, ret, count=4)
            world.hear(alice, f"still there after {ret}")
            await drive.text(f"still there after {ret}")
    assert drive.count(SessionLost) == 0


@pytest.mark.parametrize("endpoint", ["synccheck", "webwxsync"])
async def test_an_hour_of_too_frequent_ends_in_a_new_login(
    world: Wechat, alice: ServerAccount, endpoint: str
) -> None:
    async with world.drive(timing=hurried(frequent_limit=0.5)) as drive:
        await world.enter(drive, alice)
        world.fault(endpoint, FaultKind.RETCODE, 1205, count=None)
        world.hear(alice, "x")
        assert "too frequent" in str((await drive.until(Offline)).reason)
        lost = await drive.until(SessionLost)
        assert (lost.ret, lost.reason) == (1205, LossReason.TOO_FREQUENT)


async def test_a_session_that_gets_stuck_is_opened_anew_without_a_phone(world: Wechat, alice: ServerAccount) -> None:
    async with world.drive(timing=hurried(unknown_codes=4)) as drive:
        await world.enter(drive, alice)
        opened = world.requests("webwxinit")
        take_back = world.fault("synccheck", FaultKind.RETCODE, -1, count=None)
        async with asyncio.timeout(PATIENCE):
            while world.requests("webwxinit") < opened + 2:  # again and again: -1 passes
                await asyncio.sleep(0.01)
        take_back()
        world.hear(alice, "and on")
        await drive.text("and on")
    assert drive.count(SessionLost) == 0
    assert world.violations() == []


async def test_a_stuck_session_that_turns_out_to_be_over_is_lost(world: Wechat, alice: ServerAccount) -> None:
    async with world.drive(timing=hurried(unknown_codes=3)) as drive:
        await world.enter(drive, alice)
        world.fault("synccheck", FaultKind.RETCODE, -1, count=None)
        world.fault("webwxinit", FaultKind.RETCODE, 1101, count=None)
        lost = await drive.until(SessionLost)
    assert (lost.ret, lost.reason) == (1101, LossReason.KICKED)


# -- loops


@pytest.mark.parametrize("selector", ["2", "7"])
async def test_a_selector_without_news_is_no_busy_loop(world: Wechat, alice: ServerAccount, selector: str) -> None:
    async with world.drive() as drive:
        await world.enter(drive, alice)
        take_back = world.fault("synccheck", FaultKind.GARBAGE, NEWS % selector, count=None)
        syncs = world.requests("webwxsync")
        async with asyncio.timeout(PATIENCE):
            while world.requests("webwxsync") < syncs + 3:  # each is looked into
                await asyncio.sleep(0.01)
        assert await counted(world, "webwxsync", 0.8) <= 4
        take_back()
        world.hear(alice, "goes on")
        await drive.text("goes on")


@pytest.mark.parametrize("what", ["message", "contact", "notify"])
async def test_news_that_are_none_are_no_busy_loop_either(world: Wechat, alice: ServerAccount, what: str) -> None:
    """A server that does not take the key, and tells the same again and again."""
    async with world.drive() as drive:
        await world.enter(drive, alice)
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
async def test_a_session_that_never_gave_news_is_flagged_however_long_contacts_took(
    world: Wechat, alice: ServerAccount, ret: int
) -> None:
    world.fault("webwxgetcontact", FaultKind.DELAY, 0.4)
    for endpoint in ("synccheck", "webwxsync"):
        world.fault(endpoint, FaultKind.RETCODE, ret, count=None)
    async with world.drive(timing=hurried(flagged_within=0.1)) as drive:
        await confirmed(world, drive, alice)
        ended = await drive.end()
    assert ended.reason is EndReason.FLAGGED
    assert str(ended.words).startswith("the account is probably flagged. Leave it alone")
    assert world.requests("webwxpushloginurl") == 0


async def test_a_session_that_ends_while_contacts_are_loaded_is_noticed_at_once(
    world: Wechat, alice: ServerAccount
) -> None:
    for endpoint in ("synccheck", "webwxsync", "webwxgetcontact", "webwxbatchgetcontact"):
        world.fault(endpoint, FaultKind.RETCODE, 1102, count=None)
    async with world.drive(timing=hurried(flagged_within=3600.0, roster_patience=3600.0)) as drive:
        await confirmed(world, drive, alice)
        ended: Ended = await drive.end()
    assert ended.reason is EndReason.FLAGGED


async def test_an_outage_before_the_first_news_is_told(world: Wechat, alice: ServerAccount) -> None:
    take_back = world.fault("webwxsync", FaultKind.STATUS, 503, count=None)
    async with world.drive() as drive:
        await confirmed(world, drive, alice)
        assert "503" in str((await drive.until(Offline)).reason)
        take_back()
        await drive.until(Online)
        world.hear(alice, "at last")
        await drive.text("at last")
    assert drive.count(Offline) == 1


async def test_an_address_book_that_hangs_does_not_keep_messages_waiting(world: Wechat, alice: ServerAccount) -> None:
    world.fault("webwxgetcontact", FaultKind.DROP, 600, count=None)
    async with world.drive(timing=hurried(contacts=0.6)) as drive:
        await confirmed(world, drive, alice)
        await drive.until(Profile)
        world.hear(alice, "is anybody there")
        assert "webwxgetcontact" in str((await drive.until(LoginStalled)).reason)
        await drive.until(MessageArrived)
    assert drive.count(Online) == 1


async def test_an_address_book_that_is_refused_is_asked_for_less_and_less(
    world: Wechat, alice: ServerAccount
) -> None:
    world.fault("webwxgetcontact", FaultKind.RETCODE, 1, count=None)
    async with world.drive(timing=hurried(roster_again=0.1, retries=0)) as drive:
        await world.enter(drive, alice)
        # Once at the login, then after 0.1, 0.2, 0.4 and 0.8 s.
        assert await counted(world, "webwxgetcontact", 1.6, least=2) <= 5


async def test_codes_that_die_young_do_not_use_up_the_bound_at_once(world: Wechat, alice: ServerAccount) -> None:
    take_back = world.fault("login", FaultKind.RETCODE, 500, count=None)
    async with world.drive(timing=hurried(retry_first=0.2, retry_longest=5.0)) as drive:
        began = time.monotonic()
        await drive.until(QrReady)
        await asyncio.sleep(1.2)
        shown = drive.count(QrReady)
        assert shown <= 4 * max(1.0, (time.monotonic() - began) / 1.2)
        take_back()
        await drive.until(QrReady, lambda event: event.number == shown)
        await world.enter(drive, alice)


async def test_a_stored_session_is_kept_through_any_overload(world: Wechat, alice: ServerAccount) -> None:
    store = Store()
    async with world.drive(store) as drive:
        await world.enter(drive, alice)
    world.fault("webwxinit", FaultKind.STATUS, 503, count=12)
    async with world.drive(store, timing=hurried(login_tries=3)) as drive:
        assert "503" in str((await drive.until(LoginStalled)).reason)
        assert (await drive.until(Accepted)).way is LoginWay.STORED


@pytest.mark.parametrize(("kind", "value", "times"), [(FaultKind.STATUS, 503, 14), (FaultKind.SHORT, 40, 4)])
async def test_groups_are_not_given_up_for_an_overload(
    world: Wechat, alice: ServerAccount, kind: FaultKind, value: int, times: int
) -> None:
    saved = [group for group in alice.world.groups.values() if group.saved]
    world.fault("webwxbatchgetcontact", kind, value, count=times)
    async with world.drive(timing=hurried(roster_patience=0.1)) as drive:
        await world.enter(drive, alice)
        assert alice.session is not None
        wanted = {alice.session.username(group.wxid) for group in saved}
        while wanted:
            changed = await drive.until(RosterChanged)
            wanted -= {group.id for group in changed.groups if group.members}
    assert world.requests("webwxbatchgetcontact") <= times + 4


async def test_an_outage_is_told_on_time_whatever_the_pauses_between_tries_are(
    world: Wechat, alice: ServerAccount
) -> None:
    async with world.drive(timing=hurried(retry_first=3600.0, retry_longest=3600.0)) as drive:
        await world.enter(drive, alice)
        world.fault("synccheck", FaultKind.STATUS, 503, count=None)
        await drive.until(Offline)
