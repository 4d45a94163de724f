"""Bad days on order."""

import aiohttp
import pytest

from tests.unit.sandbox.conftest import UIN
from tests.unit.sandbox.wire import Browser, Json


async def order(browser: Browser, endpoint: str, kind: str, value: Json = None, **more: Json) -> int:
    body = {"endpoint": endpoint, "kind": kind, "value": value, **more}
    number: int = (await browser.api("POST", "/faults", body))["id"]
    return number


async def test_status_with_empty_body_as_often_as_ordered(online: Browser) -> None:
    await order(online, "synccheck", "status", 503, count=2)
    for _ in range(2):
        with pytest.raises(AssertionError):
            await online.check()
    assert await online.check() == ("0", "0")
    assert await online.api("GET", "/faults") == []


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


async def test_only_the_account_that_is_meant(online: Browser) -> None:
    await order(online, "*", "retcode", 1101, uin=UIN + 1, count=None)
    assert await online.check() == ("0", "0")
    other = Browser(online.port)
    try:
        await other.jslogin()
        await online.api("POST", f"/logins/{other.uuid}/confirm", {"uin": UIN + 1})
        assert await other.poll() == "window.code=1101;"
    finally:
        await other.http.close()


async def test_faults_can_be_taken_back(online: Browser) -> None:
    first = await order(online, "synccheck", "status", 500, count=None)
    await order(online, "login", "status", 500, count=None)
    assert (await online.api("DELETE", f"/faults/{first}"))["cleared"] == 1
    assert await online.check() == ("0", "0")
    assert (await online.api("DELETE", f"/faults/{first}"))["cleared"] == 0
    for unknown in ("99", "0", "x"):
        await online.api("DELETE", f"/faults/{unknown}", status=404)
    assert (await online.api("DELETE", "/faults"))["cleared"] == 1
