"""No data goes to WeChat after the host's permit ends: on direct connections and through every kind of proxy."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.certificates import tls_server
from tests.patience import PATIENCE, until
from tests.unit.drivers.kit import HURRY
from tests.unit.drivers.proxies import SmallProxy
from wxcontroller.drivers.connection.failures import NoAnswer
from wxcontroller.drivers.connection.fence import Fence
from wxcontroller.drivers.connection.transport import LineRequest, Transport

WAYS = ("direct", "tls", "http", "socks5")


@dataclass
class World:
    """A fenced transport, and the server at its end, which answers requests for ``/quick`` and nothing else."""

    left: float = 60.0
    received: bytes = b""
    resets: int = 0
    last: bool = False  # the permit ends while a proxy connects
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65536):
                self.received += piece
                self.asked.set()
                if b"/quick" in piece:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except ConnectionResetError:
            self.resets += 1
        writer.close()

    def way(self, host: str, port: int) -> tuple[str, int]:
        if self.last:
            self.left = 0.0
        return host, port


@contextlib.asynccontextmanager
async def fenced(kind: str, place: Path) -> AsyncIterator[tuple[World, Fence, Transport]]:
    world = World()
    authority, context = tls_server(place, "wx.qq.com") if kind == "tls" else ("", None)
    fence = Fence(lambda: world.left, 8.0)
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(await asyncio.start_server(world.serve, "127.0.0.1", 0, ssl=context))
        url = f"{'https' if context else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        proxy = ""
        if kind in ("http", "socks5"):
            proxy = (await stack.enter_async_context(SmallProxy(kind, world.way).running())).url()
        transport = Transport(None, HURRY, url, str(authority), proxy=proxy, fence=fence)
        yield world, fence, await stack.enter_async_context(transport)


async def ask(transport: Transport, path: str, body: bytes = b"") -> None:
    await transport.send(LineRequest("call", "wx.qq.com", path, body=body, method="POST", timeout=PATIENCE))


@pytest.mark.parametrize("kind", WAYS)
async def test_no_request_is_sent_after_the_permit(kind: str, tmp_path: Path) -> None:
    async with fenced(kind, tmp_path) as (world, fence, transport):
        await ask(transport, "/quick")
        [connection] = fence._transports
        sock = connection.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 8000
        before, world.left = world.received, 0.0
        with pytest.raises(NoAnswer, match="this host may no longer run the account") as failed:
            await ask(transport, "/quick")
        assert not failed.value.unsure
        assert world.received == before


@pytest.mark.parametrize("kind", ["http", "socks5"])
async def test_late_connection_is_not_used(kind: str, tmp_path: Path) -> None:
    async with fenced(kind, tmp_path) as (world, _, transport):
        world.last = True
        with pytest.raises(NoAnswer, match="this host may no longer run the account") as failed:
            await ask(transport, "/quick")
        assert not failed.value.unsure
        assert world.received == b""


@pytest.mark.parametrize("kind", WAYS)
async def test_cut_resets_open_connections(kind: str, tmp_path: Path) -> None:
    async with fenced(kind, tmp_path) as (world, fence, transport):
        asking = asyncio.ensure_future(ask(transport, "/poll"))
        await asyncio.wait_for(world.asked.wait(), PATIENCE)
        fence.cut()
        with pytest.raises(NoAnswer):
            await asyncio.wait_for(asking, PATIENCE)
        if kind in ("direct", "tls"):
            await until(lambda: world.resets)


async def test_cut_discards_unsent_data(tmp_path: Path) -> None:
    async with fenced("direct", tmp_path) as (world, fence, _):
        size, taken = 64 << 20, asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.wait_for(taken.wait(), PATIENCE)
            await world.serve(reader, writer)

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as slow:
            url = f"http://127.0.0.1:{slow.sockets[0].getsockname()[1]}"
            async with Transport(None, HURRY, url, fence=fence) as other:
                asking = asyncio.ensure_future(ask(other, "/upload", bytes(size)))
                await until(lambda: fence._transports)
                await asyncio.sleep(0.1)  # buffers are full
                fence.cut()
                taken.set()
                with pytest.raises(NoAnswer):
                    await asyncio.wait_for(asking, PATIENCE)
                await until(lambda: world.resets)
        assert len(world.received) < size // 4  # what the receiver's kernel had; not what waited in the process
