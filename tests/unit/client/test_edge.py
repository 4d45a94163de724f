"""The edge of an account's HTTP API: foreign pages, malformed requests, and forms of a path."""

import asyncio
import errno
import json
import re
from pathlib import Path
from typing import IO

import pytest

from tests.patience import PATIENCE
from tests.unit.client.conftest import RunningClient, Start, running
from tests.unit.client.test_guard import close
from tests.unit.heads import REFUSED
from wxcontroller.client.sends.content import callbodies
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.jsontypes import obj


async def test_web_pages_cannot_call_an_accounts_port(start: Start) -> None:
    client = await running(start)
    [shown] = close(client, (Scope.SEND, ("alice",)))  # not with a valid token either
    form = {"id": "@ann", "content": "x", "token": shown}
    for headers in (
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example:3000", "Origin": "http://evil.example:3000"},
        {"Host": "evil.example:3000"},
    ):
        async with client.http.post(client.address("send_friend_message"), data=form, headers=headers) as answer:
            assert (answer.status, (await answer.json())["code"]) == (403, -6), headers
    # All names of the host are checked.
    path = f"/openwx/send_friend_message?id=@ann&content=x&token={shown} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode()
    for head in (b"GET http://evil.example" + path + b"\r\n", b"GET " + path + b"Origin: null\r\n\r\n"):
        status, body = await raw(client, head)
        assert (status, obj(json.loads(body))["code"]) == (403, -6), head
    assert client.driver.sends == []
    assert obj(await client.post("send_friend_message", **form))["code"] == 0


async def raw(client: RunningClient, sent: bytes, seconds: float = PATIENCE) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(sent)
    try:
        async with asyncio.timeout(seconds):
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = re.findall(rb"(?i)content-length: (\d+)", head)
            return int(head.split()[1]), await reader.readexactly(int(lengths[0]))
    finally:
        writer.close()


async def test_refused_request_head_is_answered_at_once(start: Start) -> None:
    client = await running(start)
    for case, (sent, status, words) in REFUSED.items():
        answered, answer = await raw(client, sent)
        assert (answered, words in answer) == (status, True), (case, answer)
    assert client.driver.sends == []


FORM = (
    b"POST /openwx/send_friend_message HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n"
)


async def test_unreadable_body_is_refused_with_a_status(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbodies, "BODY_SECONDS", 0.2)
    client = await running(start)
    for end, expected in (
        (b"Content-Length: 99999999999\r\n\r\nid=", 413),
        (b"Content-Length: 100\r\n\r\nid=", 408),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nid=\r\n", 408),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nid=\r\nxyz\r\n", 400),
        (b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nid=ab", 415),
    ):
        status, body = await raw(client, FORM + end)
        assert (status, obj(json.loads(body))["code"]) == (expected, -1)
    assert client.driver.sends == []


async def test_large_body_that_cannot_be_kept_is_refused(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is kept in a file, not in memory."""

    def nameless(_: Path) -> IO[bytes]:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(callbodies, "nameless", nameless)
    client = await running(start)
    status, small = await client.call("upload_media", {"media_name": "a.bin"}, bytes(1000))
    assert (status, obj(small)["code"]) == (200, 0)
    status, large = await client.call("upload_media", {"media_name": "a.bin"}, bytes(2 << 20))
    assert (status, obj(large)["code"]) == (507, -1)
    assert "No space left" in str(obj(large)["status"])


async def test_media_type_that_is_no_text_is_refused(client: RunningClient) -> None:
    head = b"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n"
    status, body = await raw(client, head + b"Content-Type: mul\xdf\xa3T\x91/form-data\r\n\r\n{}")
    assert (status, obj(obj(json.loads(body))["error"])["code"]) == (415, "bad-type")


async def test_slash_or_format_after_a_call_is_ignored(client: RunningClient) -> None:
    """As the original's framework does."""
    for path, status in (("search_friend/", 200), ("search_friend.json", 200), ("search_friend.a/b", 403)):
        async with client.http.get(client.address(path), params={"id": "@ann"}) as answer:
            assert answer.status == status
