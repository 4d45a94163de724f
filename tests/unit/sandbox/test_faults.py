"""Bad days on order."""

import aiohttp
import pytest

from tests.unit.sandbox.conftest import UIN
from tests.unit.sandbox.wire import Browser, Json


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


async def test_faults_can_be_taken_back(online: Browser) -> None:
    first = await order(online, "synccheck", "status", 500, count=None)
    await order(online, "login", "status", 500, count=None)
    assert (await online.api("DELETE", f"/faults/{first}"))["cleared"] == 1
    assert await online.check() == ("0", "0")
    assert (await online.api("DELETE", f"/faults/{first}"))["cleared"] == 0
    for unknown in ("99", "0", "x"):
        await online.api("DELETE", f"/faults/{unknown}", status=404)
    assert (await online.api("DELETE", "/faults"))["cleared"] == 1
