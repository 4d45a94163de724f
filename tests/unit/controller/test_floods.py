"""Callers cannot fill the journal: one line per cause."""

import asyncio
import contextlib
import resource
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.patience import PATIENCE
from tests.unit.controller.processes import Host

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
