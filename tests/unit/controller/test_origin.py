"""A foreign web page cannot use the API through a visitor's browser (openwx-api 5.3 no. 43)."""

from pathlib import Path

import pytest

from tests.unit.controller.machine import Machine, raw
from wxcontroller.controller.edge import foreignpages
from wxcontroller.core.net.addresses import parse_ip
from wxcontroller.openwx.contract.replies import API_NOT_FOUND

FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://[bad"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_foreign_pages_are_refused(host: Machine, headers: dict[str, str]) -> None:
    process = await host.start("alice")
    for path in ("/openwx/stop_client?client=alice", "/openwx/get_user_info?client=alice", "/v1/accounts"):
        async with host.http.get(path, headers=headers) as answer:
            assert answer.status == 403
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert "allow_origins" in await answer.text()
    for path in ("/v1/accounts/alice/stop", "/notify/ops", "/mcp"):
        async with host.http.post(path, headers=headers) as answer:
            assert "foreign-origin" in await answer.text()
    for path in ("/ilink/bot/getupdates", "/ilink/bot/get_bot_qrcode", "/for/alice/ilink/bot/get_bot_qrcode"):
        async with host.http.post(path, headers=headers) as answer:
            assert (answer.status, (await answer.json())["ret"]) == (403, -1)
    assert "alice" in host.units.processes
    assert process.requests == []
    async with host.http.get("/", headers=headers) as answer:
        assert answer.status == 200  # links to the dashboard are allowed
    async with host.http.get("/ilink/pair/code", headers=headers) as answer:
        assert await answer.json() == API_NOT_FOUND  # and to the pairing page, which is off


REBOUND = {"Host": "evil.example:2000", "Origin": "http://evil.example:2000", "Sec-Fetch-Site": "same-origin"}


async def test_page_with_dns_rebinding_is_refused(host: Machine) -> None:
    """The browser takes the controller for the page's own server, so Origin and Sec-Fetch-Site do not help."""
    process = await host.start("alice")
    for path in ("/", "/v1/accounts", "/openwx/check_client", "/openwx/get_user_info?client=alice", "/nowhere"):
        for headers in (REBOUND, {"Host": "evil.example"}, {"Host": ""}):
            async with host.http.get(path, headers=headers) as answer:
                assert answer.status == 403
                seen = await answer.json()
            words = seen["error"]["remedy"] if path.startswith("/v1") else seen["status"]
            assert "allow_hosts" in words
    async with host.http.post("/v1/accounts/alice/stop", headers=REBOUND) as answer:
        assert answer.status == 403
    assert "alice" in host.units.processes
    assert process.requests == []


async def test_address_of_the_connection_is_an_allowed_host(host: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding needs a name: the address of the connection itself is always allowed as Host."""
    monkeypatch.setattr(foreignpages, "ip_of", lambda _: parse_ip("192.0.2.10"))
    for name, status in (
        ("192.0.2.10:2000", 200),
        ("192.0.2.11:2000", 403),
        ("192.0.2.10.evil.example:2000", 403),
    ):
        async with host.http.get("/v1/accounts", headers={"Host": name}) as answer:
            assert answer.status == status, name


async def test_names_in_the_settings_are_allowed_hosts_with_any_port(tmp_path: Path) -> None:
    settings = {"allow_hosts": ("wx.example",), "allow_origins": ("https://panel.example:8443",)}
    async with Machine(tmp_path, **settings) as host:
        for name, status in (
            ("wx.example", 200),
            ("WX.example.:8443", 200),
            ("panel.example", 200),
            ("sub.wx.example", 403),
        ):
            for path in ("/v1/accounts", "/v1/health"):
                async with host.http.get(path, headers={"Host": name}) as answer:
                    assert answer.status == status, (name, path)


async def test_repeated_host_or_absolute_target_is_checked(host: Machine) -> None:
    for head in (
        b"GET /v1/accounts HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n",
        b"GET http://evil.example/v1/accounts HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    ):
        status, _ = await raw(host, head + b"Connection: close\r\n\r\n")
        assert status in (400, 403)
    status, _ = await raw(host, b"GET /v1/accounts HTTP/1.0\r\n\r\n")  # HTTP/1.0 has no Host
    assert status == 200


@pytest.mark.parametrize("allowed", [("https://panel.example",), ("*",)])
async def test_an_allowed_page_may_read_the_answers(tmp_path: Path, allowed: tuple[str, ...]) -> None:
    async with Machine(tmp_path, allow_origins=allowed) as host:
        await host.start("alice")
        page = {"Origin": "https://panel.example", "Sec-Fetch-Site": "cross-site"}
        for path in ("/v1/accounts", "/v1/accounts/nobody", "/openwx/stream?client=alice&bytes=200000"):
            async with host.http.get(path, headers=page) as answer:
                assert answer.headers["Access-Control-Allow-Origin"] == "https://panel.example"
                assert answer.headers["Vary"] == "Origin"
        async with host.http.get("/v1/accounts") as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert answer.headers["Vary"] == "Origin"  # a cache must not give this to the page
        asked = {
            **page,
            "Access-Control-Request-Method": "DELETE",
            "Access-Control-Request-Headers": "content-type,x-own",
        }
        for path in ("/v1/accounts/alice", "/openwx/echo?client=alice"):
            async with host.http.options(path, headers=asked) as answer:
                assert answer.status == 204
                assert answer.headers["Access-Control-Allow-Origin"] == "https://panel.example"
                assert answer.headers["Access-Control-Allow-Methods"] == "DELETE"
                assert answer.headers["Access-Control-Allow-Headers"] == "content-type,x-own"
        assert not any(line.startswith("OPTIONS") for line in host.process("alice").requests)
        if allowed != ("*",):
            foreign = {**asked, "Origin": "https://evil.example"}
            async with host.http.options("/v1/accounts/alice", headers=foreign) as answer:
                assert (answer.status, "Access-Control-Allow-Origin" in answer.headers) == (403, False)
