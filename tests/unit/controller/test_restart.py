"""Controllers as processes: restarts under load lose no request; starts, reloads, the watchdog and the journal."""

import asyncio
import contextlib
import json
import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import aiohttp
import pytest
import pytest_asyncio

from tests.patience import PATIENCE, until
from tests.tokens import token
from tests.unit.controller.machine import StandInUnits
from tests.unit.controller.processes import Host, Notifications, started
from wxcontroller.controller import service
from wxcontroller.controller.accounts.units import MAX_AGE, UnitRecord
from wxcontroller.controller.service import Service
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.config.settings import Loaded, Settings
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.core.paths import Paths

TARGETS = ("/openwx/check_client", "/v1/accounts", "/openwx/get_user_info?client=alice", "/")


@pytest_asyncio.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    with Host(tmp_path) as made:
        yield made


class Caller:
    """Sends requests without pauses and retries; an incomplete answer is a failure."""

    def __init__(self, address: tuple[str, int], keep_alive: bool) -> None:
        self.address = address
        self.keep_alive = keep_alive
        self.answered = 0
        self.failures: list[str] = []

    async def run(self, until: asyncio.Event) -> None:
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not until.is_set():
            target = TARGETS[self.answered % len(TARGETS)]
            try:
                streams = streams or await asyncio.open_connection(*self.address)
                async with asyncio.timeout(PATIENCE):
                    goes_on = await self._ask(*streams, target)
            except (OSError, EOFError, TimeoutError, ValueError) as problem:
                self.failures.append(f"{target}: {problem!r}")
                goes_on = False
            else:
                self.answered += 1
            if streams is not None and not goes_on:
                streams[1].close()
                streams = None
        if streams is not None:
            streams[1].close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str) -> bool:
        connection = "keep-alive" if self.keep_alive else "close"
        writer.write(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: {connection}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        if " 200 " not in head.partition("\r\n")[0]:
            raise ValueError(head.partition("\r\n")[0])
        await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
        return "connection: close" not in head


async def served(callers: Sequence[Caller]) -> None:
    """Wait for some more answers to each caller."""
    wanted = [caller.answered + 6 for caller in callers]
    await until(lambda: all(caller.answered >= number for caller, number in zip(callers, wanted, strict=True)))


async def test_restarts_under_load_lose_nothing(host: Host) -> None:
    alice = await host.account()
    callers = [Caller(host.address, keep_alive) for keep_alive in (True, True, True, False, False)]
    enough = asyncio.Event()
    process = await host.start()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(caller.run(enough)) for caller in callers]
        for _ in range(3):
            await served(callers)
            assert await host.end(process) == 0
            process = await host.start()
        await served(callers)
        enough.set()
    assert await host.end(process) == 0
    await alice.end()
    assert len(tasks) == len(callers)
    assert [failure for caller in callers for failure in caller.failures] == []


async def test_restart_ends_long_polls_and_serves_idle_connections_once(host: Host) -> None:
    alice = await host.account()
    async with started(host) as process:
        poll, poll_writer = await asyncio.open_connection(*host.address)
        poll_writer.write(b"GET /openwx/check_event?client=alice HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        idle, idle_writer = await asyncio.open_connection(*host.address)
        fresh, fresh_writer = await asyncio.open_connection(*host.address)
        async with asyncio.timeout(PATIENCE):
            await alice.reached.wait()
            await _settings(host)  # connections are accepted in their order, so the others are open now
        ending = asyncio.create_task(host.end(process))
        head = await asyncio.wait_for(poll.readuntil(b"\r\n\r\n"), PATIENCE)
        assert b"Connection: close" in head
        assert await poll.read() == b"[]"
        idle_writer.write(b"GET /openwx/check_client HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        raw = await asyncio.wait_for(idle.read(), PATIENCE)
        assert b"Connection: close" in raw
        assert json.loads(raw.partition(b"\r\n\r\n")[2])["code"] == 0
        assert await fresh.read() == b""  # nothing sent, so nothing is lost
        assert await ending == 0
        for writer in (poll_writer, idle_writer, fresh_writer):
            writer.close()
    await alice.end()


async def test_restart_finishes_current_requests(host: Host) -> None:
    process = await host.start()
    reader, writer = await asyncio.open_connection(*host.address)
    writer.write(
        b"POST /v1/accounts/bob/start HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )
    assert b" 100 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
    writer.write(b"{")
    ending = asyncio.create_task(host.end(process))
    await host.notifications.wait("STOPPING=1")
    await asyncio.sleep(1.3)  # longer than idle connections get
    writer.write(b"}")
    raw = await asyncio.wait_for(reader.read(), PATIENCE)
    assert b" 200 " in raw.split(b"\r\n")[0]
    assert await ending == 0
    writer.close()


async def test_reload(host: Host) -> None:
    async with started(host) as process:
        await host.notifications.wait("STATUS=no accounts")
        host.settings("max_clients = 0")
        process.send_signal(1)
        await host.notifications.wait("RELOADING=1")
        status = await host.notifications.wait("STATUS=")
        assert "settings not reloaded" in status
        assert "wxcontroller.toml: max_clients" in status
        await host.notifications.wait("READY=1")
        refused = await _settings(host)
        assert "wxcontroller.toml: max_clients" in str(refused["error"])
        host.settings("max_clients = 7")
        process.send_signal(1)
        await host.notifications.wait("RELOADING=1")
        assert (await host.notifications.wait("MONOTONIC_USEC=")).partition("=")[2].isdigit()
        await host.notifications.wait("READY=1")
        accepted = await _settings(host)
        assert accepted["error"] is None
        assert accepted["read_at"] >= refused["read_at"]  # type: ignore[operator]
        assert await host.end(process) == 0


async def test_limits_of_a_reload_count_at_once(host: Host) -> None:
    host.paths.tokens_file.parent.mkdir(parents=True, exist_ok=True)
    token(host, Scope.READ)
    address = "http://{}:{}/v1/accounts".format(*host.address)
    many = {f"X-Number-{number}": "1" for number in range(30)}
    async with started(host) as process, aiohttp.ClientSession() as http:

        async def ask(headers: Mapping[str, str] = MappingProxyType({})) -> int:
            async with http.get(address, headers=headers) as answer:
                return answer.status

        assert [await ask(), await ask(), await ask(many)] == [401, 401, 401]
        host.settings("max_headers = 20\n[limits]\ntoken_failures = 1")
        await host.reload(process)
        assert [await ask(), await ask(), await ask(many)] == [401, 429, 431]
        assert await host.end(process) == 0


async def test_webhook_targets_are_in_all_files_after_start_and_reload(host: Host) -> None:
    alice = await host.account()
    file = host.paths.account_file("alice")
    host.settings('webhook_targets = ["http://near.example/"]')
    async with started(host) as process:
        assert 'WXCLIENT_WEBHOOK_TARGETS="http://near.example/"' in file.read_text()
        host.settings('webhook_targets = ["http://other.example/"]')
        await host.reload(process)
        assert 'WXCLIENT_WEBHOOK_TARGETS="http://other.example/"' in file.read_text()
        assert await host.end(process) == 0
    await alice.end()


async def _settings(host: Host) -> JsonObject:
    """Return the settings as shown by /v1/health."""
    address = "http://{}:{}/v1/health".format(*host.address)
    async with aiohttp.ClientSession() as http, http.get(address) as answer:
        assert answer.status == 200
        return obj((await answer.json())["settings"])


async def test_wanted_accounts_come_back_after_a_boot_and_only_then(host: Host) -> None:
    host.register("alice", 3000)
    host.settings("check_interval = 0.5")
    mark = host.paths.controller_runtime / "accounts-started"
    for expected in (1, 0):
        before = len(host.calls)
        async with started(host) as process:
            async with asyncio.timeout(PATIENCE):
                # Accounts are started after the first query.
                while not mark.exists() or sum("list-units" in call for call in host.calls[before:]) < 3:
                    await asyncio.sleep(0.02)
            assert await host.end(process) == 0
        starts = [call for call in host.calls[before:] if "start wxclient@alice.service" in call]
        assert len(starts) == expected


class HangingUnits(StandInUnits):
    """A query of systemd that never ends."""

    hangs = False

    async def snapshot(self, max_age: float = MAX_AGE) -> Mapping[str, UnitRecord]:
        if self.hangs:
            await asyncio.Event().wait()
        return await super().snapshot(max_age)


async def test_watchdog_is_not_fed_while_a_query_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notifications = Notifications(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.setattr(service, "_LOOK_STUCK", 0.5)
    paths, units = Paths(tmp_path), HangingUnits(Paths(tmp_path))
    settings = Settings(check_interval=0.1, drain_timeout=0.1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = asyncio.create_task(Service(paths, Loaded(settings, (), ()), [listening], units).run())
        await notifications.wait("READY=1")
        for _ in range(5):
            await notifications.wait("WATCHDOG=1")
        units.hangs = True
        with pytest.raises(TimeoutError):
            while True:
                await notifications.wait("WATCHDOG=1", 1)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    notifications.close()


SMALL = b"GET /openwx/check_client HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
# Each is refused by another part of the code.
MALFORMED = (
    b"\x16\x03\x01 no HTTP\r\n\r\n",
    b"GET http://[]/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nNo header\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + b"X: y\r\n" * 15_000 + b"\r\n",
    b"POST /openwx/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
)


async def send(host: Host, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*host.address)
    received = b""
    with contextlib.suppress(ConnectionError):
        writer.write(sent)
        received = await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    return received


async def logged(tmp_path: Path, scenario: Callable[[Host, int], Awaitable[None]]) -> list[str]:
    """Run a controller, call the scenario with its pid, check that it serves requests; return its log."""
    with Host(tmp_path) as host:
        process = await host.run(["--root", str(host.root)], asyncio.subprocess.PIPE, JOURNAL_STREAM="")
        try:
            await host.notifications.wait("READY=1")
            await scenario(host, process.pid)
            assert (await send(host, SMALL)).startswith(b"HTTP/1.1 200 ")
        finally:
            process.terminate()
            _, lines = await asyncio.wait_for(process.communicate(), PATIENCE)
    return lines.decode().splitlines()


async def test_malformed_requests_do_not_fill_the_journal(tmp_path: Path) -> None:
    async def malformed(host: Host, _: int) -> None:
        for sent in MALFORMED:
            for _ in range(50):
                await send(host, sent)

    lines = await logged(tmp_path, malformed)
    assert len(lines) < 40, lines[:60]


async def test_descriptor_exhaustion_is_logged_once_and_recovered_from(tmp_path: Path) -> None:
    async def exhaust(host: Host, pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (40, 40))
        peers = [await asyncio.open_connection(*host.address) for _ in range(200)]
        peers[0][1].write(SMALL)  # the first was accepted, and is answered
        async with asyncio.timeout(PATIENCE):
            assert (await peers[0][0].read()).startswith(b"HTTP/1.1 ")
        await asyncio.sleep(1.5)  # for lines that would repeat
        for _, writer in peers:
            writer.close()

    lines = await logged(tmp_path, exhaust)
    assert len([line for line in lines if "cannot accept" in line]) in (1, 2), lines[:60]
    assert len(lines) < 20, lines[:60]
