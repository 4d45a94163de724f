"""Small real proxies: HTTP with CONNECT, the same inside TLS, and SOCKS5. They check user and password."""

import asyncio
import base64
import contextlib
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class SmallProxy:
    """A proxy on a port of 127.0.0.1.

    ``way`` maps the host and port of a request to the address it connects to.
    """

    scheme: str
    way: Callable[[str, int], tuple[str, int]] = lambda host, port: (host, port)
    user: str = ""
    password: str = ""
    tls: ssl.SSLContext | None = None
    asked: list[tuple[str, int]] = field(default_factory=list)  # hosts and ports of its connections
    refused: int = 0
    port: int = 0
    _lines: set[asyncio.StreamWriter] = field(default_factory=set)

    def url(self, user: str = "", password: str = "") -> str:
        login = f"{user}:{password}@" if user else ""
        return f"{self.scheme}://{login}127.0.0.1:{self.port}"

    @property
    def hosts(self) -> set[str]:
        return {host for host, _ in self.asked}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["SmallProxy"]:
        """Listen while the block runs, always on the same port; all connections end with it."""
        serve = self._socks if self.scheme.startswith("socks") else self._http
        server = await asyncio.start_server(serve, "127.0.0.1", self.port, ssl=self.tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in list(self._lines):
                writer.transport.abort()
            await server.wait_closed()

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._line(writer):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ")
            credentials = next((line[21:] for line in head if line.lower().startswith("proxy-authorization: ")), "")
            expected = "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            if self.user and credentials != expected:
                self.refused += 1
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            assert method == "CONNECT"
            host, _, port = target.rpartition(":")
            # In two parts, as some proxies send it: a single read returns only the first.
            writer.write(b"HTTP/1.0 200 Connection established\r\n")
            await asyncio.sleep(0.05)
            writer.write(b"Proxy-agent: small\r\n\r\n")
            await self._pass_on((reader, writer), host.strip("[]"), int(port))

    async def _socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._line(writer):
            version, count = await reader.readexactly(2)
            assert version == 5
            offered = await reader.readexactly(count)
            method = 2 if self.user else 0
            if method not in offered:
                self.refused += 1
                writer.write(b"\x05\xff")
                return
            writer.write(bytes((5, method)))
            if method == 2:
                _, length = await reader.readexactly(2)
                user = await reader.readexactly(length)
                password = await reader.readexactly((await reader.readexactly(1))[0])
                good = (user, password) == (self.user.encode(), self.password.encode())
                writer.write(b"\x01" + bytes((not good,)))
                if not good:
                    self.refused += 1
                    return
            _, command, _, kind = await reader.readexactly(4)
            assert command == 1
            if kind == 3:
                host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
            else:
                host = str(ipaddress.ip_address(await reader.readexactly(4 if kind == 1 else 16)))
            port = int.from_bytes(await reader.readexactly(2))
            writer.write(bytes((5, 0, 0, 1, 0, 0, 0, 0, 0, 0)))
            await self._pass_on((reader, writer), host, port)

    async def _pass_on(self, near: Streams, host: str, port: int) -> None:
        self.asked.append((host, port))
        far = await asyncio.open_connection(*self.way(host, port))
        with self._line(far[1]):
            await asyncio.gather(copy(near[0], far[1]), copy(far[0], near[1]))

    @contextlib.contextmanager
    def _line(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        self._lines.add(writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                yield
        finally:
            self._lines.discard(writer)
            writer.close()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy all data until one side ends."""
    with contextlib.suppress(OSError, RuntimeError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.close()
