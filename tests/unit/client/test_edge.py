"""The edge of an account's HTTP API: who may call, what parameters may be, and the end of the process."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.unit.client.conftest import RunningClient, Start, running
from tests.unit.heads import REFUSED
from wxcontroller.client import bodies
from wxcontroller.client.config import read_config
from wxcontroller.core.account import Account, account_from, variables_of
from wxcontroller.core.jsontypes import obj
from wxcontroller.core.names import parse_name
from wxcontroller.core.paths import Paths


async def test_web_pages_cannot_call_an_accounts_port(start: Start) -> None:
    client = await running(start)
    form = {"id": "@ann", "content": "x"}
    for headers in (
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example:3000", "Origin": "http://evil.example:3000"},
        {"Host": "evil.example:3000"},
    ):
        async with client.http.post(client.address("send_friend_message"), data=form, headers=headers) as answer:
            assert (answer.status, (await answer.json())["code"]) == (403, -6), headers
    # All names of the host are checked.
    path = b"/openwx/send_friend_message?id=@ann&content=x HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    for head in (b"GET http://evil.example" + path + b"\r\n", b"GET " + path + b"Origin: null\r\n\r\n"):
        status, body = await raw(client, head)
        assert (status, obj(json.loads(body))["code"]) == (403, -6), head
    assert client.driver.sends == []


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_slash_or_format_after_a_call_is_ignored(start: Start, method: str) -> None:
    """The original's framework takes it so."""
    client = await running(start)
    for path in ("search_friend/", "search_friend.json"):
        async with client.http.request(method, client.address(path), params={"id": "@ann"}) as answer:
            assert [one["id"] for one in await answer.json()] == ["@ann"]
    others = "search_friend// search_friend. search_friend.json/ search_friend.a/b no_such_call.json .json"
    for path in others.split():
        async with client.http.request(method, client.address(path)) as answer:
            assert answer.status == 403


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
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.2)
    client = await running(start)
    for end, expected in (
        (b"Content-Length: 99999999999\r\n\r\nid=", 413),
        (b"Content-Length: 100\r\n\r\nid=", 408),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nid=\r\n", 408),
        (b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nid=ab", 415),
    ):
        status, body = await raw(client, FORM + end)
        assert (status, obj(json.loads(body))["code"]) == (expected, -1)
    assert client.driver.sends == []


def test_admins_webhook_overrides_the_stored_one(tmp_path: Path) -> None:
    stored = variables_of(Account(parse_name("alice"), 3000, options={"post_api": "http://a/?x=1"}), Paths(tmp_path))
    assert read_config("alice", stored, Paths(tmp_path)).post_api == "http://a/?x=1&client=alice"
    by_option = {**stored, "MOJO_WEIXIN_POST_API": "http://b/"}
    assert read_config("alice", by_option, Paths(tmp_path)).post_api == "http://b/?client=alice"
    assert account_from(by_option, "x").options["post_api"] == "http://b/"
    by_merged = {**stored, "MOJO_WEIXIN_PLUGIN_OPENWX_POST_API": "http://c/?client=alice"}
    assert read_config("alice", by_merged, Paths(tmp_path)).post_api == "http://c/?client=alice"
    assert account_from(by_merged, "x").options["post_api"] == "http://c/"
