"""What is told of an address that can't be reached: plain words, and never its URL."""

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import TCPConnector

from tests.certificates import self_signed
from tests.patience import PATIENCE
from tests.unit.drivers.test_outages import DAY, NOW, certificate
from wxcontroller.core.unreached import unreached

HTTP = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
LOOP = b"HTTP/1.1 302 Found\r\nLocation: /in?key=secret\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
AWAY = b"HTTP/1.1 302 Found\r\nLocation: ftp://secret@away/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Names(AbstractResolver):
    """A resolver that says what it is told to."""

    def __init__(self, number: int) -> None:
        self.number = number

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise socket.gaierror(self.number, "no")

    async def close(self) -> None: ...


@contextlib.asynccontextmanager
async def server(answer: bytes | None, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Answer every request with the same bytes and hang up; None: say nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as serving:
        yield serving.sockets[0].getsockname()[1]


async def said_of(url: str, connector: TCPConnector | None = None, seconds: float = PATIENCE) -> str:
    """Ask for something and return what is told of the failure."""
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=seconds)) as web:
        try:
            async with web.get(f"{url}/in?key=secret") as answer:
                await answer.read()
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            words = str(unreached(problem))
            assert "secret" not in words
            assert "/in" not in words
            assert type(problem).__name__ not in words
            return words
    raise AssertionError("it can be reached")


async def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        assert (
            await said_of(f"http://127.0.0.1:{port}")
            == f"connection to 127.0.0.1:{port} refused; check that it is running"
        )


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (socket.EAI_NONAME, "the name bot.example cannot be resolved; check its spelling"),
        (socket.EAI_AGAIN, "no DNS server answered for bot.example; see: resolvectl status"),
    ],
)
async def test_its_name_leads_nowhere(number: int, words: str) -> None:
    assert await said_of("http://bot.example:8080", TCPConnector(resolver=Names(number))) == words


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "connection reset"),
        (HTTP, "its response ended early"),
        (b"220 mail.example ESMTP\r\n", "not an HTTP response; check whether it serves https"),
        (LOOP, "too many redirects"),
        (AWAY, "it redirects to an invalid URL"),
        (None, "no response in time"),
    ],
)
async def test_what_answers_is_no_use(answer: bytes | None, words: str) -> None:
    async with server(answer) as port:
        assert await said_of(f"http://127.0.0.1:{port}", seconds=5.0 if answer is not None else 0.3) == words


async def test_its_certificate_is_not_to_be_trusted(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed(tmp_path, "127.0.0.1"))
    async with server(HTTP, context) as port:
        said = await said_of(f"https://127.0.0.1:{port}")
    assert said == (
        f"the certificate of 127.0.0.1:{port} is not trusted: it is self-signed; see update-ca-certificates(8)"
    )


async def test_its_certificate_has_expired(tmp_path: Path) -> None:
    context = certificate(tmp_path, "bot.example", NOW - 30 * DAY, NOW - DAY)
    trusted = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    trusted.check_hostname = False
    async with server(HTTP, context) as port:
        said = await said_of(f"https://127.0.0.1:{port}", TCPConnector(ssl=trusted))
    assert said.endswith("it has expired; check this machine's clock")


async def test_it_speaks_no_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        port = plain.getsockname()[1]

        def answer() -> None:
            connection, _ = plain.accept()
            with connection:
                connection.recv(1)
                connection.sendall(b"HTTP/1.1 400 no\r\n\r\n")

        answering = asyncio.create_task(asyncio.to_thread(answer))
        assert await said_of(f"https://127.0.0.1:{port}") == (
            f"TLS handshake with 127.0.0.1:{port} failed; check that it serves https"
        )
        await answering


def connecting(*problem: object, host: str = "10.1.2.3") -> str:
    key = ConnectionKey(host, 8080, False, True, None, None, None)
    return str(unreached(aiohttp.ClientConnectorError(key, OSError(*problem))))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENETUNREACH, "no route to the network of 10.1.2.3:8080; check this machine's network"),
        (errno.EHOSTUNREACH, "no route to 10.1.2.3:8080; check this machine's network"),
        (errno.ETIMEDOUT, "10.1.2.3:8080 does not answer; a firewall may be in the way"),
        (
            errno.EPERM,
            "this machine forbids connections to 10.1.2.3:8080; see its firewall, and drop-ins of the unit",
        ),
        (errno.EIO, "10.1.2.3:8080 accepts no connection"),
    ],
)
def test_there_is_no_way(number: int, words: str) -> None:
    assert connecting(number, os.strerror(number)) == words


def test_of_several_addresses_what_tells_the_most_is_told() -> None:
    several = (
        "Multiple exceptions: [Errno 101] Connect call failed ('2001:db8::1', 8080, 0, 0), [Errno 111] Connect call "
        "failed ('10.1.2.3', 8080)"
    )
    assert (
        connecting(several, host="2001:db8::1")
        == "connection to [2001:db8::1]:8080 refused; check that it is running"
    )


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (
            aiohttp.ConnectionTimeoutError("http://h/secret"),
            "connection timed out; a firewall may be in the way",
        ),
        (aiohttp.InvalidURL("secret"), "invalid URL"),
        (aiohttp.ClientConnectionError("secret"), "the connection broke"),
        (ConnectionResetError(errno.ECONNRESET, "secret"), "connection reset"),
    ],
)
def test_what_is_seldom(problem: Exception, words: str) -> None:
    assert str(unreached(problem)) == words
