"""Descriptions of unreachable addresses, which never contain the URL."""

from pathlib import Path

import aiohttp
import pytest

from tests.certificates import tls_server
from tests.patience import PATIENCE
from tests.serving import answering
from wxcontroller.core.net.unreachable import unreached

LOOP = b"HTTP/1.1 302 Found\r\nLocation: /in?key=secret\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
AWAY = b"HTTP/1.1 302 Found\r\nLocation: ftp://secret@away/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def description(url: str, seconds: float = PATIENCE) -> str:
    """Send a request that fails; return the description of the failure."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds)) as web:
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
        (LOOP, "too many redirects"),
        (AWAY, "it redirects to an invalid URL"),
        (None, "no response in time"),
    ],
)
async def test_unusable_answers_are_named(answer: bytes | None, words: str) -> None:
    async with answering(answer) as port:
        assert await description(f"http://127.0.0.1:{port}", seconds=5.0 if answer is not None else 0.3) == words


async def test_untrusted_certificates_are_named(tmp_path: Path) -> None:
    _, context = tls_server(tmp_path)
    async with answering(b"", context) as port:
        words = await description(f"https://127.0.0.1:{port}")
    assert words == (
        f"the certificate of 127.0.0.1:{port} is not trusted: it is self-signed; see update-ca-certificates(8)"
    )
