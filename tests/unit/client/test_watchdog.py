"""What systemd's watchdog hears of a client, on a real notification socket: signs of life while all of it gets on."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.client.conftest import RunningClient, Webhook
from tests.unit.client.scripted import TEAM, logged_in, message
from wxcontroller.client import delivery, service
from wxcontroller.drivers.base import Ended, EndReason, Offline, Progress, RosterChanged

Start = Callable[..., RunningClient]
POST_API = "MOJO_WEIXIN_PLUGIN_OPENWX_POST_API"


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening

    async def fed(self) -> None:
        """Wait for a sign of life."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(5):
            while await loop.sock_recv(self._listening, 4096) != b"WATCHDOG=1":
                pass

    def forget(self) -> bool:
        """Drop what has come; return whether there was a sign of life in it."""
        found = False
        while True:
            try:
                found = self._listening.recv(4096) == b"WATCHDOG=1" or found
            except BlockingIOError:
                return found


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setattr("wxcontroller.core.vitals._LEAST", 0.0)
        yield Systemd(listening)


async def test_each_turn_of_the_loop_and_each_message_is_a_sign_of_life(systemd: Systemd, start: Start) -> None:
    client = start()
    await client.login()
    systemd.forget()
    client.driver.play([Progress()])
    await systemd.fed()
    client.driver.play([message("hello")])
    await systemd.fed()


async def test_what_comes_from_beside_the_loop_is_none(systemd: Systemd, start: Start) -> None:
    client = start()
    await client.login()
    systemd.forget()
    client.driver.play([RosterChanged(groups=(TEAM,)), Offline("no answer")])
    await client.until_state("updating")
    assert not systemd.forget()


async def test_a_parked_account_lives(systemd: Systemd, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "PARKED_PULSE_SECONDS", 0.05)
    client = start()
    client.driver.play([Ended(EndReason.REFUSED, "no")])
    await client.until_state("stop")
    systemd.forget()
    await systemd.fed()
    await systemd.fed()


async def test_a_delivery_that_hangs_lets_the_watchdog_bite(
    systemd: Systemd, start: Start, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: object) -> bool:
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(delivery, "_STUCK_SECONDS", 0.1)
    monkeypatch.setattr(delivery.Delivery, "_post", hang)
    client = start(**{POST_API: webhook.address})
    client.driver.play([*logged_in(), message("never posted")])
    await client.until_state("running")
    await asyncio.sleep(0.2)  # until it is overdue
    systemd.forget()
    client.driver.play([Progress(heard=True), Progress(), Offline("the last event")])
    await client.until_state("updating")
    assert not systemd.forget()


async def test_a_send_that_hangs_lets_the_watchdog_bite(
    systemd: Systemd, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "SEND_STUCK_SECONDS", 0.1)
    client = start()
    await client.login()
    client.driver.send_gate = asyncio.Event()
    await client.get("send_friend_message", id="@ann", content="x", **{"async": "1"})
    await asyncio.sleep(0.2)  # until it is overdue
    systemd.forget()
    client.driver.play([Progress(), Offline("the last event")])
    await client.until_state("updating")
    assert not systemd.forget()
    client.driver.send_gate.set()
    client.driver.play([Progress()])
    await systemd.fed()
