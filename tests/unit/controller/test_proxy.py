"""Requests forwarded to accounts, and answers of accounts that cannot be trusted (openwx-api 1.7)."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import yarl
from aiohttp import web

from tests.patience import PATIENCE
from tests.unit.controller.machine import Machine, fixed, raw
from wxcontroller.core.states import LoginState

MEGABYTES_20 = 20 * 1024 * 1024


async def test_method_target_headers_and_body_arrive_unchanged(host: Machine) -> None:
    await host.start("alice")
    target = "/openwx/echo?a=%2f%2F&client=alice&b=x+y&c=%e4%bd%a0"
    body = b"\x00\x01" * 500
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"):
        async with host.http.request(
            method, yarl.URL(target, encoded=True), data=body, headers={"X-Own": "yes", "User-Agent": "me"}
        ) as answer:
            seen = await answer.json()
        assert seen["method"] == method
        assert seen["target"] == target
        assert seen["sha256"] == hashlib.sha256(body).hexdigest()
        headers = seen["headers"]
        assert headers["Host"] == f"127.0.0.1:{host.process('alice').account.port}"
        assert (headers["X-Own"], headers["User-Agent"]) == ("yes", "me")
        assert headers["Content-Length"] == "1000"


@pytest.mark.parametrize("call", [b"echo", b"get_user_info"])  # any call, and one on the fast path
@pytest.mark.parametrize("connection", [b"close, x-hop", b"close"])
async def test_headers_that_are_for_the_controller_are_not_passed_on(
    host: Machine, call: bytes, connection: bytes
) -> None:
    process = await host.start("alice")
    process.echo = True
    head = b"GET /openwx/" + call + b"?client=alice HTTP/1.1\r\nHost: localhost\r\nX-Own: 1\r\nX-Hop: 2\r\n"
    head += b"Cookie: a=b\r\nReferer: http://localhost/x\r\nConnection: " + connection + b"\r\n\r\n"
    assert (await raw(host, head))[0] == 200
    [(_, seen, _)] = process.seen
    assert (seen["X-Own"], "X-Hop" in seen) == ("1", connection == b"close")
    assert {"Cookie", "Referer"}.isdisjoint(seen)


async def test_pictures_of_people_are_cached_for_an_hour_whatever_the_account_says(host: Machine) -> None:
    (await host.start("alice")).serve = fixed(200, {"Content-Type": "image/png", "Cache-Control": "max-age=999999"})
    async with host.http.get("/openwx/get_avatar?client=alice&id=x") as answer:
        assert (answer.headers["Cache-Control"], "Expires" in answer.headers) == ("max-age=3600", True)


async def test_answer_that_ends_early_does_not_look_complete(host: Machine) -> None:
    async def serve(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"x" * 100_000)
        assert request.transport is not None
        request.transport.abort()
        return answer

    (await host.start("alice")).serve = serve
    with pytest.raises(aiohttp.ClientPayloadError):
        async with host.http.get("/openwx/echo?client=alice") as answer:
            await answer.read()


async def test_client_may_be_a_form_field(host: Machine) -> None:
    await host.start("alice")
    await host.start("bob")
    async with host.http.post("/openwx/echo", data={"x": "1", "client": "bob"}) as answer:
        assert (await answer.json())["size"] == len("x=1&client=bob")
    form = aiohttp.FormData()
    form.add_field("media_data", b"\xff" * MEGABYTES_20, filename="a.bin")
    form.add_field("client", "bob")
    async with host.http.post("/openwx/echo", data=form) as answer:
        seen = await answer.json()
        assert seen["size"] > MEGABYTES_20
        assert seen["headers"]["Content-Type"].startswith("multipart/form-data; boundary=")
    assert len(host.process("bob").requests) == 2
    assert host.process("alice").requests == []
    sent = b'{"content": "\\u4f60", "client":"bob", "media_data":"' + b"\\n" * MEGABYTES_20 + b'"}'
    async with host.http.post("/openwx/echo", data=sent, headers={"Content-Type": "application/json"}) as answer:
        seen = await answer.json()
        assert seen["sha256"] == hashlib.sha256(sent).hexdigest()
        assert seen["headers"]["Content-Type"] == "application/json"
    for refused in ({"client": ["bob"]}, [1]):
        async with host.http.post("/openwx/echo", json=refused) as answer:
            assert (await answer.json(content_type=None))["code"] == -1
    assert len(host.process("bob").requests) == 3


async def test_expect_100_continue_is_answered(host: Machine) -> None:
    """curl sends `Expect: 100-continue` with every larger body."""
    await host.start("alice")
    reader, writer = await asyncio.open_connection(*host.address)
    writer.write(
        b"POST /openwx/echo?client=alice HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\n"
        b"Content-Length: 5\r\nConnection: close\r\n\r\n"
    )
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"hello")
    raw = await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    seen = json.loads(raw.partition(b"\r\n\r\n")[2])
    assert seen["size"] == 5
    assert "Expect" not in seen["headers"]


async def test_slow_account_times_out(tmp_path: Path) -> None:
    async with Machine(tmp_path, ua_request_timeout=0.3) as host:
        process = await host.start("alice")
        process.say(LoginState.RUNNING)
        async with host.http.get("/openwx/never?client=alice") as answer:
            assert answer.status == 504
            seen = await answer.json()
        assert (seen["client"], seen["state"], "no response in time" in seen["status"]) == ("alice", "running", True)
        await asyncio.wait_for(process.hung_up.wait(), PATIENCE)


async def test_bodies_over_the_limit_are_refused(tmp_path: Path) -> None:
    async with Machine(tmp_path, max_body=10_000) as host:
        await host.start("alice")
        for number, status in ((10_000, 200), (10_001, 413)):
            async with host.http.post("/openwx/echo?client=alice", data=b"x" * number) as answer:
                assert answer.status == status
        async with host.http.post("/openwx/echo", data={"client": "alice", "x": "y" * 10_000}) as answer:
            assert answer.status == 413
            assert answer.headers["Content-Type"] == "application/json"

        async def pieces(number: int) -> AsyncIterator[bytes]:
            for _ in range(number):
                yield b"z" * 1000

        for number, status in ((5, 200), (10, 200), (11, 413)):
            async with host.http.post("/openwx/echo?client=alice", data=pieces(number)) as answer:
                assert answer.status == status


OPENWX = "/openwx/get_user_info?client=alice"
V1 = "/v1/accounts/alice/media/1.jpg"
# Statuses on which a caller would send its token elsewhere, or another password.
LEADING_AWAY = [300, 301, 302, 303, 305, 307, 308, 399, 401, 407, 101]


@pytest.mark.parametrize("path", [OPENWX, V1])
async def test_redirects_of_an_account_are_not_forwarded(host: Machine, path: str) -> None:
    process = await host.start("alice")
    victim = "/openwx/start_client?client=bob&post_api=http://evil.example/"
    for number, status in enumerate(LEADING_AWAY, 1):
        headers = {"Location": victim, "WWW-Authenticate": "Basic", "Refresh": f"0; url={victim}"}
        process.serve = fixed(status, headers)
        # As `curl -L` and a browser do.
        async with host.http.get(path, allow_redirects=True) as answer:
            assert answer.status == 502
            assert not {"Location", "WWW-Authenticate", "Refresh"} & set(answer.headers)
            assert b"alice" in await answer.read()
        assert len(process.requests) == number
    assert "bob" not in host.units.processes


@pytest.mark.parametrize(("method", "call", "status"), [("GET", "media", 404), ("DELETE", "messages", 405)])
async def test_call_without_the_id_that_it_needs_does_not_reach_the_account(
    host: Machine, method: str, call: str, status: int
) -> None:
    process = await host.start("alice")
    async with host.http.request(method, f"/v1/accounts/alice/{call}") as answer:
        assert (answer.status, process.requests) == (status, [])


# Forwarded headers; all others are removed.
PASSED = {
    "Content-Type": "image/jpeg",
    "Content-Range": "bytes 0-7/8",
    "Accept-Ranges": "bytes",
    "Content-Disposition": "attachment",
    "ETag": '"1"',
    "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
    "Retry-After": "7",
    "Date": "Thu, 01 Jan 2026 00:00:00 GMT",
    "Server": "Mojolicious (Perl)",
}
KEPT = {
    "Access-Control-Allow-Origin": "https://evil.example",
    "Alt-Svc": 'h2="evil.example:443"',
    "Cache-Control": "public, max-age=31536000",
    "Clear-Site-Data": "*",
    "Content-Security-Policy": "default-src *",
    "Link": "</x>; rel=preload",
    "Location": "/openwx/x",
    "Refresh": "0; url=/x",
    "Service-Worker-Allowed": "/",
    "Set-Cookie": "a=b",
    "Strict-Transport-Security": "max-age=1",
    "X-Accel-Redirect": "/etc/passwd",
}


@pytest.mark.parametrize("path", [OPENWX, V1])
async def test_few_headers_of_an_account_reach_its_callers(host: Machine, path: str) -> None:
    process = await host.start("alice")
    process.serve = fixed(206, {**PASSED, **KEPT})
    async with host.http.get(path) as answer:
        headers = answer.headers
        assert (answer.status, await answer.read(), headers["Content-Length"]) == (206, b"<script>", "8")
    assert {name: headers.getall(name) for name in PASSED} == {name: [value] for name, value in PASSED.items()}
    for name, value in KEPT.items():
        assert value not in headers.getall(name, []), name
    assert headers["Cache-Control"] == "no-store"


FLOOD = b'{"instance": "alice", "account": "alice", "pending": "' + b"x" * 100_000 + b'"}'


@pytest.mark.parametrize("path", ["accounts/alice", "accounts/alice/options"])
async def test_large_json_is_not_parsed(host: Machine, path: str) -> None:
    process = await host.start("alice")
    process.serve = fixed(200, {"Content-Type": "application/json"}, FLOOD)
    process.status = process.options = FLOOD
    status, answer = await host.v1("GET", path)
    assert status == 200
    assert "not usable" in str(answer)


@pytest.mark.parametrize(("values", "usable"), [(5000, True), (5001, False)])
async def test_what_an_account_says_about_itself_has_a_limited_number_of_values(
    host: Machine, values: int, usable: bool
) -> None:
    process = await host.start("alice")
    # What counts are commas, opening brackets and braces, and one more.
    process.options = b'{"account": "alice", "options": {}, "x": [%b]}' % b",".join([b"1"] * (values - 5))
    _, answer = await host.v1("GET", "accounts/alice/options")
    assert (answer["program"] is None) == usable, answer["program"]
