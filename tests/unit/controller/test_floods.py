"""The journal stays small whatever callers send: one line per cause."""

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio

from tests.patience import PATIENCE
from tests.unit.controller.processes import Host

SMALL = b"GET /openwx/check_client HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
# Each is refused at another place.
MALFORMED = (
    b"\x16\x03\x01 no HTTP\r\n\r\n",
    b"GET http://[]/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nNo header\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + b"X: y\r\n" * 15_000 + b"\r\n",
    b"POST /openwx/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
)


@dataclass
class Running:
    """A controller as a process, and what it has logged."""

    host: Host
    process: asyncio.subprocess.Process

    async def send(self, sent: bytes, address: str = "127.0.0.1") -> bytes:
        reader, writer = await asyncio.open_connection(*self.host.address, local_addr=(address, 0))
        got = b""
        with contextlib.suppress(ConnectionError):
            writer.write(sent)
            got = await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()
        return got

    async def logged(self) -> list[str]:
        """End the process; return its lines."""
        self.process.terminate()
        _, lines = await asyncio.wait_for(self.process.communicate(), PATIENCE)
        return lines.decode().splitlines()


@pytest_asyncio.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    with Host(tmp_path) as host:
        process = await host.run(["--root", str(host.root)], asyncio.subprocess.PIPE, JOURNAL_STREAM="")
        await host.notifications.wait("READY=1")
        yield Running(host, process)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_malformed_requests_do_not_fill_the_journal(running: Running) -> None:
    for sent in MALFORMED:
        for _ in range(50):
            await running.send(sent)
    assert (await running.send(SMALL)).startswith(b"HTTP/1.1 200 ")
    lines = await running.logged()
    assert len(lines) < 40, lines[:60]


async def test_descriptor_exhaustion_is_logged_once_and_recovered_from(running: Running) -> None:
    resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (40, 40))
    peers = [await asyncio.open_connection(*running.host.address) for _ in range(200)]
    peers[0][1].write(SMALL)  # it was accepted, and is answered all the same
    async with asyncio.timeout(PATIENCE):
        assert (await peers[0][0].read()).startswith(b"HTTP/1.1 ")
    await asyncio.sleep(1.5)  # what would be logged again and again
    for _, writer in peers:
        writer.close()
    assert (await running.send(SMALL)).startswith(b"HTTP/1.1 200 ")
    lines = await running.logged()
    assert len([line for line in lines if "cannot accept" in line]) in (1, 2), lines[:60]
    assert len(lines) < 20, lines[:60]
