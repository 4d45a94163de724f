"""systemd's watchdog, on a real notification socket: it is fed while all parts of a client make progress."""

import asyncio
import socket
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.patience import PATIENCE, until
from tests.unit.client.conftest import POST_API, RunningClient, Start, Webhook, running
from tests.unit.client.scripted import TEAM, logged_in, message
from wxcontroller.client import port as own_port
from wxcontroller.client import service
from wxcontroller.client.deliveries import delivery
from wxcontroller.client.deliveries.lanes import DeliveryOutcome, Policy, Result
from wxcontroller.client.deliveries.receivers import WEBHOOK_ANSWER_SECONDS, Poster
from wxcontroller.client.login import session
from wxcontroller.client.port import CannotListen
from wxcontroller.client.store.database import writer as database
from wxcontroller.client.store.database.writer import Database
from wxcontroller.core.jsontypes import obj, text
from wxcontroller.core.paths import Paths
from wxcontroller.core.text.templates import Text
from wxcontroller.drivers.base import (
    Checkpoint,
    DriverEvent,
    Ended,
    EndReason,
    InputKind,
    InputRequired,
    LoginRefused,
    Offline,
    Progress,
    RosterChanged,
)


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening

    async def fed(self) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE):
            while await loop.sock_recv(self._listening, 4096) != b"WATCHDOG=1":
                pass

    def heard(self) -> list[bytes]:
        found: list[bytes] = []
        while True:
            try:
                found.append(self._listening.recv(4096))
            except BlockingIOError:
                return found

    def forget(self) -> bool:
        """Drop all messages; return whether there was a watchdog ping among them."""
        return b"WATCHDOG=1" in self.heard()


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setattr("wxcontroller.core.process.watchdog._LEAST", 0.0)
        yield Systemd(listening)


async def test_account_is_ready_after_it_listens(systemd: Systemd, start: Start, tmp_path: Path) -> None:
    own = Paths(tmp_path).api_socket("alice")
    own.mkdir()
    refused = start()
    with pytest.raises(CannotListen):
        await refused.task
    secret = refused.paths.port_secret("alice")
    assert not secret.exists()
    assert b"READY=1" not in systemd.heard()
    own.rmdir()
    secrets = set()
    for _ in range(2):
        client = start()
        await client.until_state("loading")
        assert b"READY=1" in systemd.heard()
        secrets.add(secret.read_text())
        await client.stop()
    assert len(secrets) == 2


async def test_account_works_without_its_port_and_takes_it_later(
    systemd: Systemd, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_port, "RETRY_FIRST", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        client = start(MOJO_WEIXIN_PLUGIN_OPENWX_PORT=str(port))
        client.port = port
        await client.until_state("loading")
        assert b"READY=1" in systemd.heard()
        assert f"port {port}" in text(client.state()["port_error"])
        own = client.paths.api_socket("alice")
        assert stat.S_IMODE(own.stat().st_mode) == 0o660
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(own))) as http,
            http.get(client.address("get_client_info")) as answer,
        ):
            assert answer.status == 200
    await until(lambda: client.state()["port_error"], lambda words: words == "")
    assert obj(await client.get("get_client_info"))["account"] == "alice"


async def test_events_of_other_tasks_do_not_feed_the_watchdog(systemd: Systemd, client: RunningClient) -> None:
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


async def test_a_hanging_delivery_stops_the_watchdog(
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


async def test_an_ended_writer_stops_the_watchdog(
    systemd: Systemd, start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def end(*_: object) -> None:
        raise MemoryError

    client = await running(start)
    client.driver.play([Checkpoint(), Progress()])
    await systemd.fed()
    monkeypatch.setattr(Database, "_commit", end)
    client.driver.play([message("can't be written")])
    await until(lambda: "the event log's writer has stopped" in caplog.text)
    systemd.forget()
    client.driver.play([Progress(heard=True), Progress(), Offline(Text("the last event"))])
    await client.until_state("updating")
    assert not systemd.forget()


async def test_full_disk_is_retried_with_watchdog_pings(
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


@pytest.mark.parametrize(
    ("then", "line"),
    [
        (
            Ended(EndReason.REFUSED, Text("not allowed (ret=1203); use another route")),
            "login refused by WeChat: not allowed (ret=1203); use another route",
        ),
        (
            InputRequired("allow-desktop", InputKind.CONSENT, Text("not allowed; take the risk?")),
            "login refused by WeChat: not allowed (ret=1203); to answer, run: wxctl answer alice",
        ),
    ],
)
async def test_a_refused_login_is_logged_once_with_the_remedy(
    start: Start, caplog: pytest.LogCaptureFixture, then: DriverEvent | Ended, line: str
) -> None:
    client = start()
    client.driver.play([LoginRefused(1203, "not allowed", final=True), then])
    await client.until_state("stop")
    assert [record.getMessage() for record in caplog.records if "not allowed" in record.getMessage()] == [line]
    [record] = [record for record in caplog.records if record.getMessage() == line]
    assert vars(record)["WX_EVENT"] == "login-refused"
