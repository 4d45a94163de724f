"""Descriptions of unreachable addresses, which never contain the URL."""

from pathlib import Path

import aiohttp
import pytest
from aiohttp.connector import TCPConnector

from tests.certificates import tls_server
from tests.patience import PATIENCE
from tests.serving import answering
from wxcontroller.core.unreachable import unreached

HTTP = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
LOOP = b"HTTP/1.1 302 Found\r\nLocation: /in?key=secret\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
AWAY = b"HTTP/1.1 302 Found\r\nLocation: ftp://secret@away/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


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
async def test_unusable_answers_are_named(answer: bytes | None, words: str) -> None:
    async with answering(answer) as port:
        assert await said_of(f"http://127.0.0.1:{port}", seconds=5.0 if answer is not None else 0.3) == words


async def test_untrusted_certificates_are_named(tmp_path: Path) -> None:
    _, context = tls_server(tmp_path)
    async with answering(HTTP, context) as port:
        said = await said_of(f"https://127.0.0.1:{port}")
    assert said == (
        f"the certificate of 127.0.0.1:{port} is not trusted: it is self-signed; see update-ca-certificates(8)"
    )
