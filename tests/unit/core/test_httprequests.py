"""Requests over a connector, with both ways through aiohttp: what is sent again, what ends them, what is refused."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp
import pytest
from yarl import URL

from tests.patience import PATIENCE
from wxcontroller.core.net.httpbody import HttpBody, Outgoing
from wxcontroller.core.net.httprequests import HttpRequests, requests_over

pytestmark = pytest.mark.usefixtures("both_ways")
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
Respond = Callable[["Server", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """Answers each head with ``respond``; ``heads`` are those of all connections, ``connections`` their number."""

    respond: Respond
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)  # a caller has closed its connection

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                await self.respond(self, writer)
        self.hung_up.set()
        writer.close()


@contextlib.asynccontextmanager
async def asking(respond: Respond, keep: float = 15.0) -> AsyncIterator[tuple[HttpRequests, Server, URL]]:
    server = Server(respond)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listener:
        connector = aiohttp.TCPConnector(keepalive_timeout=keep)
        requests = requests_over(connector, {"User-Agent": "test"}, aiohttp.ClientTimeout(connect=PATIENCE))
        try:
            yield requests, server, URL(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
        finally:
            await requests.close()


async def ask(
    requests: HttpRequests,
    origin: URL,
    target: str = "/x",
    body: HttpBody | None = None,
    silence: float | None = None,
) -> bytes:
    """Return the content of an answer: to a POST of ``body``, or to a GET."""
    async with (
        asyncio.timeout(PATIENCE),
        await requests.send("POST" if body else "GET", origin, target, {"X-One": "1"}, body, silence) as answer,
    ):
        return await answer.content.read()


async def write(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


async def breaks_at_the_second(server: Server, writer: asyncio.StreamWriter) -> None:
    """Answer, and break off a second request on the same connection."""
    if len(server.heads) == 2:
        writer.close()
    else:
        await write(writer, EMPTY)


async def test_get_is_sent_again_if_its_connection_breaks() -> None:
    async with asking(breaks_at_the_second) as (requests, server, origin):
        for _ in range(2):
            assert await ask(requests, origin) == b""
        assert (len(server.heads), server.connections) == (3, 2)


async def test_get_is_sent_again_once() -> None:
    async def respond(server: Server, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with asking(respond) as (requests, server, origin):
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await ask(requests, origin)
        assert len(server.heads) == 2


async def test_post_is_never_sent_again() -> None:
    async with asking(breaks_at_the_second) as (requests, server, origin):
        assert await ask(requests, origin, body=Outgoing(b"")) == b""
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await ask(requests, origin, body=Outgoing(b""))
        assert len(server.heads) == 2


async def test_silence_ends_a_request_before_and_within_its_answer() -> None:
    async def respond(server: Server, writer: asyncio.StreamWriter) -> None:
        if len(server.heads) == 2:
            await write(writer, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")

    async with asking(respond) as (requests, server, origin):
        for _ in range(2):
            with pytest.raises(aiohttp.SocketTimeoutError):
                await ask(requests, origin, silence=0.2)
        assert len(server.heads) == 2


async def test_kept_connection_outlasts_the_silence() -> None:
    async def respond(server: Server, writer: asyncio.StreamWriter) -> None:
        await write(writer, EMPTY)

    async with asking(respond) as (requests, server, origin):
        for _ in range(2):
            await ask(requests, origin, silence=0.1)
            await asyncio.sleep(0.3)
        assert server.connections == 1


async def test_idle_connection_is_closed_in_time() -> None:
    async def respond(server: Server, writer: asyncio.StreamWriter) -> None:
        await write(writer, EMPTY)

    async with asking(respond, keep=0.2) as (requests, server, origin):
        for _ in range(3):
            await ask(requests, origin)
        async with asyncio.timeout(PATIENCE):
            await server.hung_up.wait()
        assert server.connections == 1


async def test_interim_answers_are_skipped_and_content_is_unpacked() -> None:
    packed = gzip.compress(b"content" * 1000)

    async def respond(server: Server, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
        await write(writer, b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + head + packed)

    async with asking(respond) as (requests, _, origin):
        assert await ask(requests, origin) == b"content" * 1000


class Unreadable:
    """A body whose file disappears while it is sent."""

    size, done = 100_000, False

    def rewind(self) -> None:
        pass

    def single_part(self) -> None:
        pass

    async def parts(self) -> AsyncGenerator[bytes]:
        yield bytes(10)
        raise FileNotFoundError


async def test_unreadable_body_ends_a_request() -> None:
    async def respond(server: Server, writer: asyncio.StreamWriter) -> None:
        pass

    async with asking(respond) as (requests, _, origin):
        with pytest.raises(aiohttp.ClientConnectionError):
            await ask(requests, origin, body=Unreadable())


@pytest.mark.parametrize("origin_of", [lambda url: url, lambda url: url.with_user("ann").with_password("p")])
async def test_head_has_the_headers_of_all_requests_and_its_own(origin_of: Callable[[URL], URL]) -> None:
    async def respond(server: Server, writer: asyncio.StreamWriter) -> None:
        await write(writer, EMPTY)

    async with asking(respond) as (requests, server, origin):
        await ask(requests, origin_of(origin), "/a/../b%2F?c=d|e;f")
    [head] = server.heads
    line, *headers = head.decode().rstrip().split("\r\n")
    assert line == "GET /a/../b%2F?c=d|e;f HTTP/1.1"
    found = dict(header.split(": ", 1) for header in headers)
    secret = {} if origin_of(origin) == origin else {"Authorization": "Basic YW5uOnA="}
    assert found == {
        **{"Host": origin.authority, "User-Agent": "test", "Accept": "*/*", "X-One": "1"},
        **{"Accept-Encoding": found["Accept-Encoding"]},
        **secret,
    }
    assert "gzip" in found["Accept-Encoding"]


@pytest.mark.parametrize("target", ["/x y", "/x\r\nX-Two: 2", "/x\n", "x", ""])
async def test_target_that_would_end_the_request_line_is_refused(target: str) -> None:
    async def respond(server: Server, writer: asyncio.StreamWriter) -> None:
        await write(writer, EMPTY)

    async with asking(respond) as (requests, server, origin):
        with pytest.raises(ValueError, match="target"):
            await ask(requests, origin, target)
        assert server.heads == []


async def test_closed_requests_connect_nowhere() -> None:
    async def respond(server: Server, writer: asyncio.StreamWriter) -> None:
        pass

    async with asking(respond) as (requests, server, origin):
        await requests.close()
        with pytest.raises(aiohttp.ClientConnectionError):
            await ask(requests, origin)
        assert server.connections == 0
