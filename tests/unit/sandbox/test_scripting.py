"""The scripting API: refused requests, and faults."""

import aiohttp
import pytest

from tests.unit.sandbox.conftest import UIN
from tests.unit.sandbox.wire import Browser, Json


async def test_bad_requests_are_json_errors(browser: Browser) -> None:
    for method, path, status in (
        ("GET", "/nope", 404),
        ("DELETE", "/accounts", 405),
        ("GET", "/accounts/5", 404),
        ("GET", "/accounts/abc", 404),
        ("GET", "/logins?state=nope", 400),
        ("GET", "/logins?wait=long", 400),
        ("GET", "/logins?wait=-1", 400),
        ("GET", f"/accounts/{UIN}/sent?after=x", 400),
        ("GET", "/requests?uin=5", 404),
    ):
        assert "error" in await browser.api(method, path, status=status), path
    async with browser.http.post(f"http://127.0.0.1:{browser.port}/sandbox/accounts", data=b"{") as response:
        assert response.status == 400
    assert "error" in await browser.api("POST", f"/accounts/{UIN}/logout", {"retcode": 7}, status=400)


async def test_foreign_pages_are_refused(browser: Browser) -> None:
    url = f"http://127.0.0.1:{browser.port}/sandbox/accounts"
    for origin, status in (("http://evil.invalid", 403), ("null", 403), (f"http://127.0.0.1:{browser.port}", 201)):
        async with browser.http.post(url, data=b"{}", headers={"Origin": origin}) as response:
            assert response.status == status, origin


async def test_foreign_name_that_points_here_is_refused(browser: Browser) -> None:
    url = f"http://127.0.0.1:{browser.port}/sandbox/accounts"
    for host, status in (("evil.example:2100", 403), ("localhost:2100", 200)):
        async with browser.http.get(url, headers={"Host": host}) as response:
            assert response.status == status, host


async def order(browser: Browser, endpoint: str, kind: str, value: Json = None, **more: Json) -> int:
    body = {"endpoint": endpoint, "kind": kind, "value": value, **more}
    number: int = (await browser.api("POST", "/faults", body))["id"]
    return number


async def test_reset_before_and_after(online: Browser) -> None:
    body = online.message("filehelper", "x")
    await order(online, "webwxsendmsg", "reset")
    with pytest.raises(aiohttp.ClientConnectionError):
        await online.post("webwxsendmsg", body)
    assert await online.api("GET", f"/accounts/{UIN}/sent") == []
    await order(online, "webwxsendmsg", "reset", "after")
    with pytest.raises(aiohttp.ClientConnectionError):
        await online.post("webwxsendmsg", body)
    assert len(await online.api("GET", f"/accounts/{UIN}/sent")) == 1
    assert (await online.post("webwxsendmsg", body))["BaseResponse"]["Ret"] == 0
    assert len(await online.api("GET", f"/accounts/{UIN}/sent")) == 1, "the repeat is known"
    first = await order(online, "synccheck", "status", 500, count=None)
    await order(online, "login", "status", 500, count=None)
    assert [(await online.api("DELETE", f"/faults/{number}"))["cleared"] for number in (first, first)] == [1, 0]
    assert await online.check() == ("0", "0")
    assert (await online.api("DELETE", "/faults"))["cleared"] == 1
