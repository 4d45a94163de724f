"""What systemd's watchdog hears of a client, on a real notification socket: signs of life while all of it gets on."""

import asyncio
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.patience import PATIENCE, until
from tests.unit.client.conftest import POST_API, RunningClient, Start, Webhook, running
from tests.unit.client.scripted import TEAM, logged_in, message
from wxcontroller.client import service, session
from wxcontroller.client.deliveries import delivery
from wxcontroller.client.deliveries.lanes import DeliveryOutcome, Policy, Result
from wxcontroller.client.deliveries.receivers import WEBHOOK_ANSWER_SECONDS, Poster
from wxcontroller.client.port import PortTaken
from wxcontroller.client.sends import sender
from wxcontroller.client.store import writer as database
from wxcontroller.client.store.writer import Database
from wxcontroller.core.messages import Text
from wxcontroller.drivers.base import Checkpoint, Ended, EndReason, Offline, Progress, RosterChanged


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening

    async def fed(self) -> None:
        """Wait for a sign of life."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE):
            while await loop.sock_recv(self._listening, 4096) != b"WATCHDOG=1":
                pass

    def heard(self) -> list[bytes]:
        """Return what has come."""
        found: list[bytes] = []
        while True:
            try:
                found.append(self._listening.recv(4096))
            except BlockingIOError:
                return found

    def forget(self) -> bool:
        """Drop what has come; return whether there was a sign of life in it."""
        return b"WATCHDOG=1" in self.heard()


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setattr("wxcontroller.core.vitals._LEAST", 0.0)
        yield Systemd(listening)


async def test_an_account_is_ready_once_its_port_is_its_own(systemd: Systemd, start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        refused = start(MOJO_WEIXIN_PLUGIN_OPENWX_PORT=str(other.getsockname()[1]))
        with pytest.raises(PortTaken):
            await refused.task
    assert b"READY=1" not in systemd.heard()
    await start().until_state("loading")
    assert b"READY=1" in systemd.heard()


async def test_each_turn_of_the_loop_and_each_message_is_a_sign_of_life(
    systemd: Systemd, client: RunningClient
) -> None:
    systemd.forget()
    client.driver.play([Progress()])
    await systemd.fed()
    client.driver.play([message("hello")])
    await systemd.fed()


async def test_what_comes_from_beside_the_loop_is_none(systemd: Systemd, client: RunningClient) -> None:
    systemd.forget()
    client.driver.play([RosterChanged(groups=(TEAM,)), Offline(Text("no answer"))])
    await client.until_state("updating")
    assert not systemd.forget()


async def test_a_parked_account_lives(systemd: Systemd, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "PARKED_PULSE_SECONDS", 0.05)
    client = start()
    client.driver.play([Ended(EndReason.REFUSED, Text("no"))])
    await client.until_state("stop")
    systemd.forget()
    await systemd.fed()
    await systemd.fed()


async def test_a_delivery_that_hangs_lets_the_watchdog_bite(
    systemd: Systemd, start: Start, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def hang(*_: object) -> Result:
        begun.set()
        await asyncio.Event().wait()
        return Result(DeliveryOutcome.ACCEPTED)

    policy = Policy()
    monkeypatch.setattr(delivery, "_OVERTIME", 0.1 - policy.timeout - WEBHOOK_ANSWER_SECONDS)
    monkeypatch.setattr(Poster, "post", hang)
    client = start(**{POST_API: webhook.address})
    client.driver.play([*logged_in(), message("never posted")])
    await client.until_state("running")
    await begun.wait()
    await asyncio.sleep(0.2)  # until it is overdue
    systemd.forget()
    client.driver.play([Progress(heard=True), Progress(), Offline(Text("the last event"))])
    await client.until_state("updating")
    assert not systemd.forget()


async def test_a_send_that_hangs_lets_the_watchdog_bite(
    systemd: Systemd, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "STUCK_SECONDS", 0.1)
    client = await running(start)
    client.driver.send_gate = asyncio.Event()
    await client.get("send_friend_message", id="@ann", content="x", **{"async": "1"})
    await asyncio.sleep(0.2)  # until it is overdue
    systemd.forget()
    client.driver.play([Progress(), Offline(Text("the last event"))])
    await client.until_state("updating")
    assert not systemd.forget()
    client.driver.send_gate.set()
    client.driver.play([Progress()])
    await systemd.fed()


async def test_a_disk_that_hangs_lets_the_watchdog_bite(
    systemd: Systemd, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_STUCK_SECONDS", 0.1)
    monkeypatch.setattr(session, "_STORE_SECONDS", 0.02)
    back, commit = threading.Event(), Database._commit

    def hang(*given: object) -> None:
        back.wait()
        commit(*given)  # type: ignore[arg-type]

    client = await running(start)
    monkeypatch.setattr(Database, "_commit", hang)
    client.driver.play([message("waits for the disk"), Checkpoint()])
    await client.until_state("updating")
    await asyncio.sleep(0.2)  # until it is overdue
    systemd.forget()
    await asyncio.sleep(0.2)  # ten times as long as the session waits before it looks again
    assert not systemd.forget()
    back.set()
    await client.until_state("running")
    await systemd.fed()


async def test_a_disk_that_takes_nothing_is_tried_again_and_the_client_lives(
    systemd: Systemd, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "RETRY_SECONDS", 0.02)
    monkeypatch.setattr(session, "_STORE_SECONDS", 0.02)
    commit = Database._commit

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    client = await running(start)
    monkeypatch.setattr(Database, "_commit", fail)
    client.driver.play([message("waits for space"), Checkpoint()])
    await client.until_state("updating")
    systemd.forget()
    await systemd.fed()
    await systemd.fed()
    monkeypatch.setattr(Database, "_commit", commit)
    await client.until_state("running")


async def test_a_writer_that_has_ended_lets_the_watchdog_bite(
    systemd: Systemd, start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def end(*_: object) -> None:
        raise MemoryError

    client = await running(start)
    client.driver.play([Checkpoint(), Progress()])
    await systemd.fed()
    monkeypatch.setattr(Database, "_commit", end)
    client.driver.play([message("can't be written")])
    await until(lambda: "the event log's writer has ended" in caplog.text)
    systemd.forget()
    client.driver.play([Progress(heard=True), Progress(), Offline(Text("the last event"))])
    await client.until_state("updating")
    assert not systemd.forget()
