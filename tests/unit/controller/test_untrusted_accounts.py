"""Responses of a compromised account affect neither callers nor other accounts nor the controller."""

import pytest

from tests.unit.controller.machine import Machine, fixed

OPENWX = "/openwx/get_user_info?client=alice"
V1 = "/v1/accounts/alice/media/1.jpg"
# Answered as a caller would act on it: elsewhere with its token, or by asking for another one.
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


# Passed on by /openwx and /v1; everything else an account may say stays between it and the controller.
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


FLOOD = b'{"instance": "alice", "account": "alice", "pending": [' + b"[]," * 1_000_000 + b"0]}"


@pytest.mark.parametrize("path", ["deliveries", "accounts/alice", "accounts/alice/options"])
async def test_large_json_is_not_parsed(host: Machine, path: str) -> None:
    process = await host.start("alice")
    process.serve = fixed(200, {"Content-Type": "application/json"}, FLOOD)
    process.status = process.options = FLOOD
    status, answer = await host.v1("GET", path)
    assert status == 200
    assert "not a JSON object" in str(answer)
