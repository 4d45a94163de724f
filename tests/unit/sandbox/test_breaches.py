"""Breaches of the protocol that the real service is not known to refuse: served with a note, refused in strict mode.

One of each place that checks, and each both ways.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from tests.unit.sandbox.conftest import UIN
from tests.unit.sandbox.wire import CGI, Browser, Json
from wxcontroller.sandbox.sandbox import Sandbox

Do = Callable[[Browser, Sandbox], Awaitable[Json]]


def _post(name: str, query: str = "", **body: Json) -> Do:
    return lambda browser, _: browser.post(name, {"BaseRequest": browser.base(), **body}, query=query)


def _message(**changed: Json) -> Do:
    return lambda browser, _: browser.send("filehelper", "x", **changed)


async def _chunk(browser: Browser, sandbox: Sandbox, data: bytes, part: bytes = b"", **changed: Json) -> Json:
    """Upload a file in one piece, as a browser does but for what is changed; ``part`` in the place of its content."""
    session = sandbox.accounts[UIN].session
    assert session is not None
    request = {
        **{"UploadType": 2, "MediaType": 4, "StartPos": 0, "TotalLen": len(data), "DataLen": len(data)},
        **{"BaseRequest": browser.base(), "ClientMediaId": 1_700_000_000_000, "FromUserName": browser.me},
        **{"ToUserName": "filehelper", "FileMd5": hashlib.md5(data).hexdigest()},
    }
    fields = {
        **{"id": "WU_FILE_0", "name": "a.txt", "type": "x/y", "lastModifiedDate": "Thu", "size": len(data)},
        **{"mediatype": "doc", "uploadmediarequest": json.dumps(request), "webwx_data_ticket": session.data_ticket},
        **{"pass_ticket": browser.values["pass_ticket"], **changed},
    }
    form = aiohttp.FormData({name: str(value) for name, value in fields.items()}, default_to_multipart=True)
    form.add_field("filename", part or data, filename="a.txt", content_type="x/y")
    url = f"http://file.{browser.domain}:{browser.port}{CGI}/webwxuploadmedia?f=json"
    async with browser.http.post(url, data=form) as response:
        return json.loads(await response.text())


def _upload(**changed: Json) -> Do:
    return lambda browser, sandbox: _chunk(browser, sandbox, b"some text", **changed)


async def _raw_sid(browser: Browser, _: Sandbox) -> Json:
    # As text, because a Browser that is handed a URL would encode the plus sign.
    body = {"BaseRequest": browser.base(), "SyncKey": browser.sync_key, "rr": 1}
    return await browser.post("webwxsync", body, query=f"sid={browser.values['wxsid']}")


async def _escaped_sid(browser: Browser, _: Sandbox) -> Json:
    return await browser.post("webwxinit", json.dumps({"BaseRequest": browser.base()}).replace("/", "\\/"))


BREACHES: dict[str, tuple[Do, int]] = {
    "sid holds a space in the query: encode + as %2B": (_raw_sid, 1101),
    "BaseRequest.Sid holds a backslash: do not escape / in JSON": (_escaped_sid, 1101),
    "pass_ticket is wrong": (_post("webwxinit", "pass_ticket=undefined"), 1),
    "BaseRequest is missing": (_post("webwxinit", BaseRequest={}), 1),
    "Count is not the length of List": (_post("webwxbatchgetcontact", Count=2, List=[{"UserName": "filehelper"}]), 1),
    "ClientMsgId and LocalID are missing or differ": (_message(LocalID="1", ClientMsgId="2"), 1),
    "FromUserName is not the account itself": (_message(FromUserName="@other"), 1),
    "part mediatype is none of pic, video and doc": (_upload(mediatype="audio"), 1),
    "size, TotalLen and DataLen differ": (_upload(size=5), 1),
    "what came is not of the size or FileMd5 announced": (_upload(part=b"less"), 1),
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


async def test_messages_without_an_id_are_no_repeats(online: Browser) -> None:
    for text in ("one", "two"):
        await online.send("filehelper", text, ClientMsgId="", LocalID="")
    assert [m["text"] for m in await online.api("GET", f"/accounts/{UIN}/sent")] == ["one", "two"]
