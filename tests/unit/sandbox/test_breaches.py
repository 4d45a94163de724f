"""Breaches of the protocol that the real service is not known to refuse: served with a note, refused in strict mode.

One of each place that checks, and each both ways.
"""

from collections.abc import Awaitable, Callable

import pytest

from tests.unit.sandbox.wire import Browser, Json
from wxcontroller.sandbox.sandbox import Sandbox

Do = Callable[[Browser, Sandbox], Awaitable[Json]]


def _post(name: str, query: str = "", **body: Json) -> Do:
    return lambda browser, _: browser.post(name, {"BaseRequest": browser.base(), **body}, query=query)


def _message(**changed: Json) -> Do:
    return lambda browser, _: browser.send("filehelper", "x", **changed)


async def _raw_sid(browser: Browser, _: Sandbox) -> Json:
    # As text, because a Browser that is handed a URL would encode the plus sign.
    body = {"BaseRequest": browser.base(), "SyncKey": browser.sync_key, "rr": 1}
    return await browser.post("webwxsync", body, query=f"sid={browser.values['wxsid']}")


BREACHES: dict[str, tuple[Do, int]] = {
    "sid holds a space in the query: encode + as %2B": (_raw_sid, 1101),
    "pass_ticket is wrong": (_post("webwxinit", "pass_ticket=undefined"), 1),
    "BaseRequest is missing": (_post("webwxinit", BaseRequest={}), 1),
    "Count is not the length of List": (_post("webwxbatchgetcontact", Count=2, List=[{"UserName": "filehelper"}]), 1),
    "ClientMsgId and LocalID are missing or differ": (_message(LocalID="1", ClientMsgId="2"), 1),
    "FromUserName is not the account itself": (_message(FromUserName="@other"), 1),
}


def _ret(answer: Json) -> int:
    return int(answer["BaseResponse"]["Ret"])


@pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
@pytest.mark.parametrize("what", BREACHES)
async def test_a_breach_is_noted_and_refused_only_in_strict_mode(
    online: Browser, sandbox: Sandbox, what: str, strict: bool
) -> None:
    do, code = BREACHES[what]
    answer = await do(online, sandbox)
    noted = [v for v in (await online.api("GET", "/requests"))["violations"] if v["what"] == what]
    assert noted, answer
    assert {v["refused"] for v in noted} == {code if strict else None}
    assert bool(_ret(answer)) == strict, answer
