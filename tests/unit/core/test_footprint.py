"""A program prepared to use little memory trusts the same servers and works the same."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.certificates import self_signed, tls_server
from tests.programs import output_of
from tests.serving import answering

ROOT = Path(__file__).parents[3]
_ASKING = """
import asyncio, os, sys
from wxcontroller.core import footprint
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
    """Return what a program hears whose machine has these authorities, and whose environment has ``more``."""
    inside = f"mount --bind {authorities} /etc/ssl/certs && exec {sys.executable} -c '{_ASKING}' {url}"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SSL_")}
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--mount", "sh", "-c", inside),
        env={**environ, "PYTHONPATH": str(ROOT), **more},
        stdout=subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    return out.decode().strip()


@pytest.mark.skipif(
    subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0,
    reason="needs mounts of its own",
)
async def test_only_the_systems_authorities_are_trusted(tmp_path: Path) -> None:
    certificate, context = tls_server(tmp_path, "localhost")
    known, other, whole = tmp_path / "known", tmp_path / "other", tmp_path / "whole"
    for place, name in ((known, "localhost"), (other, "other"), (whole, "")):
        place.mkdir()
        if name:
            (place / "one.pem").write_bytes(
                certificate.read_bytes() if place == known else self_signed(place, name)[0].read_bytes()
            )
            subprocess.run(["openssl", "rehash", place], check=True)  # noqa: ASYNC221
    # A system whose directory is only one file is read as OpenSSL does.
    (whole / "ca-certificates.crt").write_bytes(certificate.read_bytes())
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", context) as port:
        url = f"https://localhost:{port}/"
        assert await _asked(url, known) == "200 /dev/null"
        assert await _asked(url, other) == "not trusted /dev/null"
        assert await _asked(url, whole) == "200 None"
        # What the administrator has set stays.
        assert await _asked(url, other, SSL_CERT_FILE=str(certificate)) == f"200 {certificate}"


def test_replacements_of_python_functions_return_the_same_results() -> None:
    program = """
from wxcontroller.core import footprint
footprint.prepare()
import calendar, html, inspect, time, asyncio, functools
def waits(module):
    return type(module).__name__ == "Unloaded"
moments = [(1970, 1, 1, 0, 0, 0), (2026, 11, 27, 23, 59, 60), (2024, 2, 29, 1, 2, 3), (9999, 12, 31, 0, 0, 0)]
light = [calendar.timegm(each) for each in moments]
async def one(): ...
def other(): ...
class Has:
    async def method(self): ...
    def plain(self): ...
functions = [one, other, Has().method, Has().plain, Has.method]
coroutines = [inspect.iscoroutinefunction(each) for each in functions]
texts = ["a &amp; b &lt;i&gt; &#39;&quot;", "&amp;lt; &#x4f60;"]
plain = [html.unescape(each) for each in texts]
entities = __import__("html.entities").entities
print(waits(calendar), waits(inspect), waits(entities))
rare = [functools.partial(one), 3, print]
coroutines += [inspect.iscoroutinefunction(each) for each in rare]
print(coroutines == [inspect.iscoroutinefunction(each) for each in functions + rare], coroutines)
calendar.monthrange(2024, 2)
print(waits(calendar), light == [calendar.timegm(each) for each in moments])
print(html.unescape("&euro;&nosuch;&notit;"), waits(entities), plain == [html.unescape(each) for each in texts])
"""
    assert output_of(sys.executable, "-c", program).splitlines() == [
        "True True True",
        "True [True, False, True, False, True, True, False, False]",
        "False True",
        "€&nosuch;¬it; False True",
    ]
