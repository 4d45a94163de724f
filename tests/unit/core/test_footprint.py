"""A program prepared to use little memory trusts the same servers."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from tests.certificates import self_signed, tls_server
from tests.programs import output_of
from tests.serving import answering

ROOT = Path(__file__).parents[3]
_ASKING = """
import asyncio, os, sys
from wxcontroller.core.process import footprint
footprint.prepare()
import aiohttp
async def ask():
    async with aiohttp.ClientSession() as web:
        try:
            async with web.get(sys.argv[1], timeout=aiohttp.ClientTimeout(30)) as answer:
                print(answer.status, os.environ.get("SSL_CERT_FILE"))
        except aiohttp.ClientConnectorCertificateError:
            print("not trusted", os.environ.get("SSL_CERT_FILE"))
asyncio.run(ask())
"""


async def _asked(url: str, authorities: Path, **more: str) -> str:
    """Return the output of the program on a host with these authorities, with ``more`` in its environment."""
    inside = f"mount --bind {authorities} /etc/ssl/certs && exec {sys.executable} -c '{_ASKING}' {url}"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SSL_")}
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--mount", "sh", "-c", inside),
        env={**environ, "PYTHONPATH": str(ROOT), **more},
        stdout=subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return out.decode().strip()


async def test_only_the_systems_authorities_are_trusted(tmp_path: Path) -> None:
    certificate, context = tls_server(tmp_path, "localhost")
    trusted, other, one_file = tmp_path / "trusted", tmp_path / "other", tmp_path / "one-file"
    for place, name in ((trusted, "localhost"), (other, "other"), (one_file, "")):
        place.mkdir()
        if name:
            (place / "one.pem").write_bytes(
                certificate.read_bytes() if place == trusted else self_signed(place, name)[0].read_bytes()
            )
            output_of("openssl", "rehash", place)
    # A directory with only one file is read as OpenSSL reads it.
    (one_file / "ca-certificates.crt").write_bytes(certificate.read_bytes())
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", context) as port:
        url = f"https://localhost:{port}/"
        assert await _asked(url, trusted) == "200 /dev/null"
        assert await _asked(url, other) == "not trusted /dev/null"
        assert await _asked(url, one_file) == "200 None"
        # The administrator's own setting is kept.
        assert await _asked(url, other, SSL_CERT_FILE=str(certificate)) == f"200 {certificate}"
