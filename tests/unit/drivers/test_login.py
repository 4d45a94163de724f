"""Logins and logouts of the web driver, with and without faults."""

import pytest

from tests.patience import until
from tests.unit.drivers.kit import HURRY, Store, Wechat, counted, hurried
from wxcontroller.drivers import base
from wxcontroller.drivers.base import Accepted, EndReason, PushOffered, SessionLost
from wxcontroller.sandbox.faults.faults import FaultKind
from wxcontroller.sandbox.world.phone import ServerAccount


async def test_login_uses_the_accounts_home_domain(world: Wechat) -> None:
    account = world.sandbox.add_account(domain="web2.wechat.com")
    store = Store()
    async with world.online(account, store) as drive:
        world.hear(account, "there")
        await drive.text("there")
    async with world.drive(store) as drive:
        assert (await drive.until(base.Accepted)).way is base.LoginWay.STORED
        await drive.until(base.Online)
    assert world.violations() == []


async def test_unscanned_code_is_replaced_in_time(world: Wechat) -> None:
    async with world.drive(timing=hurried(code_life=0.5)) as drive:
        assert await world.login_of(drive) is not await world.login_of(drive)


async def test_the_code_is_wechats_link_and_not_that_of_its_picture(world: Wechat) -> None:
    async with world.drive() as drive:
        code = await drive.until(base.QrReady)
    assert code.link.startswith("https://login.weixin.qq.com/l/")


async def test_code_count_restarts_after_a_login(world: Wechat, alice: ServerAccount) -> None:
    alice.push_login = False
    async with world.drive(qrcode_count_max="2") as drive:
        for _ in range(3):
            world.sandbox.logins.expire(await world.login_of(drive))
            await world.enter(drive, alice)
            world.sandbox.close_session(alice, 1100)
            await drive.until(base.SessionLost)
        for _ in range(2):
            world.sandbox.logins.expire(await world.login_of(drive))
        assert (await drive.end()).reason is base.EndReason.QRCODES_USED_UP


async def test_login_continues_after_a_cancel_on_the_phone(world: Wechat, alice: ServerAccount) -> None:
    async with world.drive() as drive:
        login = await world.login_of(drive)
        world.sandbox.logins.scan(login, alice.uin)
        await drive.until(base.Scanned)
        world.sandbox.logins.cancel(login)
        await drive.until(base.ScanCancelled)
        await world.enter(drive, alice)


@pytest.mark.parametrize("server_repeats", [False, True])
async def test_wechat_is_not_asked_in_a_busy_loop_after_a_scan(
    world: Wechat, alice: ServerAccount, server_repeats: bool
) -> None:
    async with world.drive(timing=hurried(scanned_again=0.2 if server_repeats else 0.0)) as drive:
        world.sandbox.logins.scan(await world.login_of(drive), alice.uin)
        await drive.until(base.Scanned)
        if server_repeats:  # instead of holding the poll, as it does for clients that ask for the scan again
            world.fault("login", FaultKind.RETCODE, 201, count=None)
        assert await counted(world, "login", 0.5) < 8


@pytest.mark.parametrize(("ret", "logins"), [(1101, 2), (1205, 1)])
async def test_other_login_refusals_are_retried(world: Wechat, alice: ServerAccount, ret: int, logins: int) -> None:
    world.fault("webwxnewloginpage", FaultKind.RETCODE, ret, count=None)
    async with world.drive() as drive:
        for _ in range(logins):
            await world.confirm(drive, alice)
        ended = await drive.end()
    assert ended.reason is base.EndReason.REFUSED
    assert world.requests("jslogin") == logins


async def test_hosts_that_refer_to_each_other_end_the_login(world: Wechat, alice: ServerAccount) -> None:
    elsewhere = "https://wx2.qq.com/cgi-bin/mmwebwx-bin/webwxnewloginpage?ticket=t&amp;uuid=u"
    page = f"<error><ret>0</ret><redirecturl>{elsewhere}</redirecturl></error>"
    world.fault("webwxnewloginpage", FaultKind.GARBAGE, page, count=None)
    async with world.drive() as drive:
        for _ in range(4):
            await world.confirm(drive, alice)
        ended = await drive.end()
    assert ended.reason is base.EndReason.RETRIES_USED_UP
    assert (world.requests("jslogin"), world.requests("webwxnewloginpage")) == (4, 12)


async def test_restart_needs_no_scan_and_delivers_missed_messages(world: Wechat, alice: ServerAccount) -> None:
    store = Store()
    async with world.online(alice, store) as drive:
        world.hear(alice, "before")
        await drive.text("before")
        assert await drive.stop() < HURRY.call
    for number in range(120):
        world.hear(alice, f"missed {number}")
    checks = world.requests("synccheck")
    async with world.drive(store) as drive:
        assert (await drive.until(base.Accepted)).way is base.LoginWay.STORED
        await drive.text("missed 119")
        assert world.requests("synccheck") == checks  # page after page, as long as WeChat says that there is more
    assert drive.texts() == [f"missed {number}" for number in range(120)]
    assert drive.count(base.QrReady) == 0
    assert world.violations() == []


FAULTS: list[tuple[str, FaultKind, str | int | None]] = [
    ("jslogin", FaultKind.STATUS, 503),
    ("jslogin", FaultKind.GARBAGE, None),
    ("qrcode", FaultKind.TRUNCATE, 3),
    ("login", FaultKind.STATUS, 0),
    ("login", FaultKind.RETCODE, -1),
    ("webwxinit", FaultKind.TRUNCATE, 3),
    ("webwxinit", FaultKind.GARBAGE, "[" * 100_000),
    ("webwxinit", FaultKind.RETCODE, -1),
    ("webwxstatusnotify", FaultKind.RESET, None),
]


async def test_login_and_stored_session_survive_faults(world: Wechat, alice: ServerAccount) -> None:
    store = Store()
    for endpoint, kind, value in FAULTS:
        world.fault(endpoint, kind, value)
    async with world.online(alice, store) as drive:
        assert drive.progress > 0
    world.fault("webwxinit", FaultKind.RETCODE, 1205, 4)
    async with world.drive(store) as drive:
        assert (await drive.until(base.Accepted)).way is base.LoginWay.STORED
        await drive.until(base.Online)


async def test_stop_is_immediate_in_every_state(world: Wechat, alice: ServerAccount) -> None:
    store = Store()
    async with world.drive(store) as drive:
        await world.login_of(drive)
        assert await drive.stop() < HURRY.call
    for endpoint in ("webwxnewloginpage", "webwxgetcontact", "webwxsync"):
        take_back = world.fault(endpoint, FaultKind.DROP, count=None)
        async with world.drive(store) as drive:
            if store.content is None or b'"sid"' not in store.content:
                await world.confirm(drive, alice)
            await until(lambda: any(fault.hits for fault in world.sandbox.faults.all.values()))
            assert await drive.stop() < HURRY.call
        take_back()
    assert world.requests("webwxlogout") == 0
    async with world.drive(store) as drive:
        assert (await drive.until(base.Accepted)).way is base.LoginWay.STORED


async def test_login_fails_if_the_server_never_responds_sensibly(world: Wechat) -> None:
    world.fault("jslogin", FaultKind.GARBAGE, count=None)
    async with world.drive() as drive:
        ended = await drive.end()
    assert ended.reason is base.EndReason.RETRIES_USED_UP
    assert world.requests("jslogin") == HURRY.login_tries


async def test_session_survives_a_full_disk(
    world: Wechat, alice: ServerAccount, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(full=True)
    async with world.online(alice, store) as drive:
        world.hear(alice, "one")
        await drive.text("one")
        assert caplog.text.count("No space left on device") == 1
        store.full = False
        world.hear(alice, "two")
        await drive.text("two")
    assert store.content is not None
    assert b'"sid"' in store.content


async def test_no_secret_is_logged(world: Wechat, alice: ServerAccount, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="wxcontroller.drivers")
    store = Store()
    async with world.drive(store, http_debug="1") as drive:
        for endpoint in ("jslogin", "login", "webwxnewloginpage", "webwxinit", "webwxgetcontact", "webwxsync"):
            for kind in (FaultKind.RESET, FaultKind.GARBAGE):
                world.fault(endpoint, kind)
        await world.enter(drive, alice)
        world.hear(alice, "a private word")
        await drive.text("a private word")
        session = alice.session
        assert session is not None
        world.fault("webwxsendmsg", FaultKind.RESET)
        for _ in range(2):
            try:
                await drive.driver.send_text("filehelper", "another private word", "1")
            except Exception as problem:
                assert session.skey not in f"{problem!r} {problem.__cause__!r} {problem.__context__!r}"
        world.sandbox.close_session(alice, 1101)
        await drive.until(base.SessionLost)
    device, ticket = next(iter(alice.tickets.items()))
    uuids = [login.uuid for login in world.sandbox.logins.newest_first()]
    secrets = [session.sid, *session.skeys, session.pass_ticket, session.data_ticket, device, ticket, *uuids]
    assert "webwxsync" in caplog.text
    for secret in [*secrets, "private word"]:
        assert secret not in caplog.text
    for event in drive.events:
        assert not any(uuid in repr(event) for uuid in uuids)


async def test_logout_ends_the_session_everywhere(world: Wechat, alice: ServerAccount) -> None:
    store = Store()
    async with world.online(alice, store) as drive:
        copy = Store(store.content)  # as on another host
        await drive.driver.logout()
        assert (await drive.end()).reason is EndReason.LOGGED_OUT
        assert drive.count(SessionLost) == 0
    assert store.content is None
    assert world.requests("webwxlogout") == 1
    assert world.violations() == []
    async with world.drive(copy) as drive:
        await drive.until(PushOffered)  # the phone is asked
        assert drive.count(Accepted) == 0


async def test_parked_account_can_log_out(world: Wechat, alice: ServerAccount) -> None:
    store = Store()
    async with world.online(alice, store, stop_with_mobile="1") as drive:
        world.sandbox.close_session(alice, 1101)
        assert (await drive.end()).reason is EndReason.PHONE
        assert store.content is not None
        await drive.driver.logout()
    assert store.content is None


async def test_undeletable_session_is_reported(world: Wechat, alice: ServerAccount) -> None:
    class Stuck(Store):
        def clear(self) -> None:
            raise OSError(30, "Read-only file system")

    async with world.online(alice, Stuck()) as drive:
        with pytest.raises(OSError, match="Read-only"):
            await drive.driver.logout()
        assert (await drive.end()).reason is EndReason.LOGGED_OUT


async def test_logout_succeeds_if_wechat_does_not_respond(world: Wechat, alice: ServerAccount) -> None:
    store = Store()
    async with world.online(alice, store) as drive:
        world.fault("webwxlogout", FaultKind.RESET, count=None)
        await drive.driver.logout()
        assert (await drive.end()).reason is EndReason.LOGGED_OUT
    assert store.content is None
