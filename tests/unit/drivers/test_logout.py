"""Logging out: the session is over at WeChat and here, whatever the moment."""

import pytest

from tests.unit.drivers.kit import Store, Wechat
from wxcontroller.drivers.base import Accepted, EndReason, PushOffered, SessionLost
from wxcontroller.sandbox.account import ServerAccount
from wxcontroller.sandbox.faults import FaultKind


async def test_the_session_is_over_for_all_who_hold_it(world: Wechat, alice: ServerAccount) -> None:
    store = Store()
    async with world.online(alice, store) as drive:
        copy = Store(store.content)  # as on another machine
        await drive.driver.logout()
        assert (await drive.end()).reason is EndReason.LOGGED_OUT
        assert drive.count(SessionLost) == 0
    assert store.content is None
    assert world.requests("webwxlogout") == 1
    assert world.violations() == []
    async with world.drive(copy) as drive:
        await drive.until(PushOffered)  # the phone is asked
        assert drive.count(Accepted) == 0


async def test_what_is_parked_forgets_its_session_too(world: Wechat, alice: ServerAccount) -> None:
    store = Store()
    async with world.online(alice, store, stop_with_mobile="1") as drive:
        world.sandbox.close_session(alice, 1101)
        assert (await drive.end()).reason is EndReason.PHONE
        assert store.content is not None
        await drive.driver.logout()
    assert store.content is None


@pytest.mark.parametrize("kind", [FaultKind.RESET, FaultKind.STATUS])
async def test_wechat_need_not_hear_of_it(world: Wechat, alice: ServerAccount, kind: FaultKind) -> None:
    store = Store()
    async with world.online(alice, store) as drive:
        world.fault("webwxlogout", kind, 503 if kind is FaultKind.STATUS else None, None)
        await drive.driver.logout()
        assert (await drive.end()).reason is EndReason.LOGGED_OUT
    assert store.content is None


async def test_a_disk_that_keeps_the_session_is_told(world: Wechat, alice: ServerAccount) -> None:
    class Stuck(Store):
        def clear(self) -> None:
            raise OSError(30, "Read-only file system")

    async with world.online(alice, Stuck()) as drive:
        with pytest.raises(OSError, match="Read-only"):
            await drive.driver.logout()
        assert (await drive.end()).reason is EndReason.LOGGED_OUT
