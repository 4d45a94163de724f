"""Clocks that jump: a machine that wakes up in another year, or in the past, goes on as if nothing were."""

import time
from collections.abc import Iterator

import pytest

from tests.unit.drivers.kit import Store, Wechat
from wxcontroller.drivers.base import Online
from wxcontroller.drivers.web.wire.cookies import Jar
from wxcontroller.sandbox.account import ServerAccount

YEAR = 365.25 * 86400


class Wall:
    """The wall clock of this process, to be moved; the monotonic one goes on."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        true = time.time
        self.off = 0.0
        patch.setattr(time, "time", lambda: true() + self.off)


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wall]:
    yield Wall(monkeypatch)


@pytest.mark.parametrize("off", [-20 * YEAR, 20 * YEAR])
async def test_login_with_a_wrong_clock(world: Wechat, alice: ServerAccount, wall: Wall, off: float) -> None:
    wall.off = off
    store = Store()
    async with world.online(alice, store) as drive:
        wall.off = 0.0  # set right by the network, later
        world.hear(alice, "x")
        await drive.text("x")
        world.sandbox.close_session(alice, 1101)
        world.sandbox.logins.confirm(await world.consent(drive))  # its cookies are there
        await drive.until(Online)


async def test_server_decides_whether_a_cookie_has_expired(wall: Wall) -> None:
    jar = Jar()
    date = "Wed, 25 Nov 2026 04:00:00 GMT"
    wall.off = 20 * YEAR
    jar.take("wx.qq.com", ["a=1; Expires=Wed, 25 Nov 2026 16:00:00 GMT", "b=1; Max-Age=10"], date)
    assert jar.header("wx.qq.com", "/", True) == "a=1; b=1"
    jar.take("wx.qq.com", ["a=; Expires=Wed, 25 Nov 2026 03:59:59 GMT"], date)
    assert jar.header("wx.qq.com", "/", True) == "b=1"
    copy = Jar()
    copy.restore(jar.stored())
    assert copy.header("wx.qq.com", "/", True) == "b=1"
    jar.take("wx.qq.com", ["b=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], "no date")
    assert jar.header("wx.qq.com", "/", True) == ""
