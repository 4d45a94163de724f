"""The edge of an account's HTTP API: who may call, what parameters may be, and the end of the process."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from tests.patience import PATIENCE
from tests.ports import free_port
from tests.unit.client.conftest import RunningClient, Start, Webhook, running
from tests.unit.client.scripted import logged_in
from tests.unit.heads import REFUSED
from wxcontroller.client import api, bodies
from wxcontroller.client.config import read_config
from wxcontroller.core.account import Account, account_from, variables_of
from wxcontroller.core.jsontypes import obj
from wxcontroller.core.names import parse_name
from wxcontroller.core.options import Origin, check_options
from wxcontroller.core.paths import Paths


async def test_web_pages_can_not_use_an_accounts_port(start: Start) -> None:
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
    # A second name of the host counts too.
    path = b"/openwx/send_friend_message?id=@ann&content=x HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    for head in (b"GET http://evil.example" + path + b"\r\n", b"GET " + path + b"Origin: null\r\n\r\n"):
        status, body = await raw(client, head)
        assert (status, obj(json.loads(body))["code"]) == (403, -6), head
    assert client.driver.sends == []


async def test_nothing_says_what_it_is_made_of(start: Start) -> None:
    client = await running(start)
    for path in ("get_user_info", "get_avatar", "no_such_call"):
        async with client.http.get(client.address(path)) as answer:
            assert answer.headers["Server"] == "wxclient"
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(b"no HTTP\r\n\r\n")
    assert b"\r\nServer: wxclient\r\n" in await reader.read()
    writer.close()


async def test_a_form_that_can_not_be_read_is_refused_and_nothing_is_sent(start: Start) -> None:
    client = await running(start)
    address, urlencoded = client.address("send_friend_message"), "application/x-www-form-urlencoded"
    for kind, body in (
        ("multipart/form-data", b"x"),
        (urlencoded, b"content=%ff%fe&id=%40ann"),
        (urlencoded, b"content=\xff&id=%40ann"),
    ):
        async with client.http.post(address, data=body, headers={"Content-Type": kind}) as answer:
            assert (answer.status, (await answer.json())["code"]) == (200, -1), body
    assert client.driver.sends == []


async def test_a_multipart_form_is_read_and_the_body_wins(start: Start) -> None:
    client = await running(start)
    form = aiohttp.FormData({"content": "多部分"}, default_to_multipart=True)
    async with client.http.post(client.address("send_friend_message?id=@ann&content=no"), data=form) as answer:
        assert (await answer.json())["code"] == 0
    assert client.driver.sends[0][:2] == ("@ann", "多部分")


async def test_a_json_object_holds_the_parameters(start: Start) -> None:
    client = await running(start)
    address = client.address("send_friend_message?content=no")
    async with client.http.post(
        address, json={"id": "@ann", "content": 42, "async": False, "media_id": None}
    ) as answer:
        assert obj(await answer.json())["id"]  # of a send that was waited for
    assert client.driver.sends[0][:2] == ("@ann", "42")
    for refused in ({"id": "@ann", "content": {"text": "x"}}, ["@ann"]):
        async with client.http.post(address, json=refused) as answer:  # as at the controller's port
            assert (answer.status, (await answer.json())["code"]) == (200, -1)
    assert len(client.driver.sends) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_slash_or_a_format_after_a_call_is_the_same_call(start: Start, method: str) -> None:
    """The original's framework takes it so."""
    client = await running(start)
    for path in ("search_friend/", "search_friend.json"):
        async with client.http.request(method, client.address(path), params={"id": "@ann"}) as answer:
            assert [one["id"] for one in await answer.json()] == ["@ann"]
    others = (
        "search_friend//",
        "search_friend.",
        "search_friend.json/",
        "search_friend.a/b",
        "no_such_call.json",
        ".json",
    )
    for path in others:
        async with client.http.request(method, client.address(path)) as answer:
            assert answer.status == 403


async def raw(client: RunningClient, sent: bytes, seconds: float = PATIENCE) -> tuple[int, bytes]:
    """Send bytes to the account's port; return status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(sent)
    try:
        async with asyncio.timeout(seconds):
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = re.findall(rb"(?i)content-length: (\d+)", head)
            return int(head.split()[1]), await reader.readexactly(int(lengths[0]))
    finally:
        writer.close()


async def test_chinese_text_may_be_typed_into_an_address_as_it_is(start: Start) -> None:
    """As curl sends it, also in pieces, and more than once over a connection."""
    client = await running(start)
    line = "GET /openwx/send_friend_message?markname=安&content=你好 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    assert (await raw(client, line))[0] == 200
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    for _ in range(2):
        for byte in line:
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert b'"code":0' in await reader.readexactly(int(re.findall(rb"Content-Length: (\d+)", head)[0]))
    writer.close()
    assert [(to, text) for to, text, _ in client.driver.sends] == [("@ann", "你好")] * 3


async def test_a_head_that_is_not_taken_is_answered_at_once(start: Start) -> None:
    client = await running(start)
    for case, (sent, status, words) in REFUSED.items():
        answered, answer = await raw(client, sent)
        assert (answered, words in answer) == (status, True), (case, answer)
    assert client.driver.sends == []


async def test_what_is_no_http_gets_json_that_repeats_nothing(start: Start) -> None:
    client = await running(start)
    for sent in (
        b"\x00\x01\r\n\r\n",
        b"GET / HTTP/9\r\n\r\n",
        b"GET http://[::1/ HTTP/1.0\r\n\r\n",
        b"GET http://[]/openwx/get_user_info HTTP/1.0\r\n\r\n",
    ):
        status, body = await raw(client, sent)
        assert (status, body) == (400, b'{"code":-1,"status":"the request can\'t be read as HTTP"}'), sent


async def test_a_packed_body_that_nobody_reads_is_no_matter_for_the_journal(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    client = await running(start)
    head = b"POST /openwx/get_client_info HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Encoding: gzip\r\n"
    status, body = await raw(client, head + b"Content-Length: 5\r\n\r\nhello")
    assert (status, obj(json.loads(body))["code"]) == (200, 0)
    assert [record for record in caplog.records if record.exc_info] == []


async def test_media_at_no_address_are_refused_in_words(start: Start) -> None:
    client = await running(start)
    for path in ("http://[]/", "https://example.com:x/", "http://" + "例え." * 3000, "/" + "a" * 9000):
        answer = obj(await client.post("send_friend_message", id="@ann", media_path=path))
        assert (answer["code"], answer["status"]) == (-1, "invaild media_path"), path
    assert client.driver.media_sends == []


FORM = (
    b"POST /openwx/send_friend_message HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n"
)


async def test_bodies_that_are_too_large_do_not_come_or_can_not_be_read(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
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


async def test_a_404_from_the_webhook_is_no_reason_to_drop_a_report(start: Start, webhook: Webhook) -> None:
    webhook.statuses = [404, 400]
    client = start(MOJO_WEIXIN_PLUGIN_OPENWX_POST_API=webhook.address)
    client.driver.play(logged_in())
    await webhook.until(lambda reports: any(r.get("event") == "login" for r in reports))
    # The first was refused for good by the 400, on its second try; the rest came.
    assert webhook.events("state_change")[0] == ["loading", "updating"]


def test_the_admins_webhook_wins_over_the_stored_one(tmp_path: Path) -> None:
    stored = variables_of(Account(parse_name("alice"), 3000, options={"post_api": "http://a/?x=1"}), Paths(tmp_path))
    assert read_config("alice", stored, Paths(tmp_path)).post_api == "http://a/?x=1&client=alice"
    by_option = {**stored, "MOJO_WEIXIN_POST_API": "http://b/"}
    assert read_config("alice", by_option, Paths(tmp_path)).post_api == "http://b/?client=alice"
    assert account_from(by_option, "x").options["post_api"] == "http://b/"
    by_merged = {**stored, "MOJO_WEIXIN_PLUGIN_OPENWX_POST_API": "http://c/?client=alice"}
    assert read_config("alice", by_merged, Paths(tmp_path)).post_api == "http://c/?client=alice"
    assert account_from(by_merged, "x").options["post_api"] == "http://c/"


@pytest.mark.parametrize("name", ["post_event", "post_media_data", "poll_interval"])
@pytest.mark.parametrize("by", ["plain", "plugin"])
def test_the_admins_own_value_wins_by_either_name(tmp_path: Path, name: str, by: str) -> None:
    """Requests and settings are written down under the plugin's name; the plain one is there by hand only."""
    given = check_options([(name, "1")], Origin.SETTINGS).options
    stored = variables_of(Account(parse_name("alice"), 3000, options=given), Paths(tmp_path))
    assert f"MOJO_WEIXIN_{name.upper()}" not in stored
    variable = f"MOJO_WEIXIN_{'PLUGIN_OPENWX_' if by == 'plugin' else ''}{name.upper()}"
    config = read_config("alice", {**stored, variable: "0" if name != "poll_interval" else "7"}, Paths(tmp_path))
    assert (
        config.options[name] == config.options[f"plugin_openwx_{name}"] == ("0" if name != "poll_interval" else "7")
    )


def test_a_name_server_that_does_not_answer_does_not_hold_the_end_up(tmp_path: Path) -> None:
    """The library looks names up in threads, which nobody can interrupt."""
    port = free_port()
    slow = (
        "import socket, sys, time\n"
        "def hang(*_, **__):\n    open(sys.argv.pop(), 'w').close()\n    time.sleep(3600)\n"
        "socket.getaddrinfo = hang\n"
        "from wxcontroller.client.__main__ import main\nsys.exit(main())\n"
    )
    asked = tmp_path / "asked"
    environ = {
        **os.environ,
        "MOJO_WEIXIN_PLUGIN_OPENWX_PORT": str(port),
        "MOJO_WEIXIN_STATE_PATH": str(tmp_path / "state.json"),
        "MOJO_WEIXIN_COOKIE_PATH": str(tmp_path / "cookie.dat"),
        "MOJO_WEIXIN_PID_PATH": str(tmp_path / "pid"),
        "MOJO_WEIXIN_QRCODE_PATH": str(tmp_path / "qr.jpg"),
        # Python's path is what the tests run with; the names of real servers must not be asked for.
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    code = slow.replace("sys.argv.pop()", repr(str(asked)))
    client = subprocess.Popen([sys.executable, "-c", code, "alice"], env=environ, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE
        while not asked.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert asked.exists()
        client.send_signal(signal.SIGTERM)
        assert client.wait(timeout=PATIENCE) == 0
    finally:
        client.kill()
        client.wait()


async def test_who_sends_no_request_is_hung_up_on(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "PORT_IDLE_SECONDS", 0.2)
    client = start()
    await client.until_state("loading")
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b""
    writer.close()
