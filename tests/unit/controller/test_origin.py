"""A web page from elsewhere can't use the API through somebody's browser (openwx-api 5.3 no. 43)."""

from pathlib import Path

import pytest

from tests.unit.controller.machine import Machine, machine

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
    async with host.http.post("/v1/accounts/alice/stop", headers=headers) as answer:
        assert answer.status == 403
    assert "alice" in host.units.processes
    assert process.requests == []
    async with host.http.get("/", headers=headers) as answer:
        assert answer.status == 200  # a link to the dashboard is no harm


async def test_our_own_page_and_other_callers_pass(host: Machine) -> None:
    own: list[dict[str, str]] = [
        {},
        {"Origin": host.url},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://panel.local", "Host": "panel.local"},  # behind a proxy that passes Host on
    ]
    for headers in own:
        async with host.http.get("/v1/accounts", headers=headers) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("allowed", "status"), [(("https://panel.example",), 200), (("*",), 200), (("https://other.example",), 403)]
)
async def test_origins_can_be_allowed(tmp_path: Path, allowed: tuple[str, ...], status: int) -> None:
    async with machine(tmp_path, allow_origins=allowed) as host:
        headers = {"Origin": "https://panel.example", "Sec-Fetch-Site": "cross-site"}
        async with host.http.get("/v1/accounts", headers=headers) as answer:
            assert answer.status == status
