"""Breaches of the protocol that the real service is not known to refuse: served with a note, refused in strict mode.

One of each place that checks, and each both ways.
"""

import json
from collections.abc import Awaitable, Callable

import pytest

from tests.unit.sandbox.conftest import UIN
from tests.unit.sandbox.uploading import Uploader, appmsg
from tests.unit.sandbox.wire import CGI, Browser, Json
from wxcontroller.sandbox import samples
from wxcontroller.sandbox.sandbox import Sandbox

Do = Callable[[Browser, Uploader], Awaitable[Json]]


def _post(name: str, query: str = "", **body: Json) -> Do:
    return lambda browser, _: browser.post(name, {"BaseRequest": browser.base(), **body}, query=query)


def _message(**changed: Json) -> Do:
    return lambda browser, _: browser.send("filehelper", "x", **changed)


def _upload(**changed: Json) -> Do:
    return lambda _, uploader: uploader.chunk(b"some text", "a.txt", "doc", **changed)


async def _no_skey(browser: Browser, _: Uploader) -> Json:
    url = f"http://{browser.domain}:{browser.port}{CGI}/webwxgetcontact?skey="
    async with browser.http.get(url) as response:
        return json.loads(await response.read())


async def _raw_sid(browser: Browser, _: Uploader) -> Json:
    # As text, because a Browser that is handed a URL would encode the plus sign.
    body = {"BaseRequest": browser.base(), "SyncKey": browser.sync_key, "rr": 1}
    return await browser.post("webwxsync", body, query=f"sid={browser.values['wxsid']}")


async def _escaped_sid(browser: Browser, _: Uploader) -> Json:
    return await browser.post("webwxinit", json.dumps({"BaseRequest": browser.base()}).replace("/", "\\/"))


async def _check_key(browser: Browser, _: Uploader) -> Json:
    return await browser.sync((await browser.sync())["SyncCheckKey"])


async def _revoke(browser: Browser, _: Uploader) -> Json:
    sent = await browser.send("filehelper", "oops")
    body = {"SvrMsgId": sent["MsgID"], "ToUserName": "filehelper", "ClientMsgId": ""}
    return await browser.post("webwxrevokemsg", {"BaseRequest": browser.base(), **body})


async def _group(browser: Browser, _: Uploader) -> Json:
    contacts = (await browser.api("GET", f"/accounts/{UIN}"))["contacts"]
    members = [{"UserName": c["username"]} for c in contacts if c["kind"] == "friend"][:2]
    body = {"MemberCount": 5, "MemberList": members, "Topic": "t"}
    return await browser.post("webwxcreatechatroom", {"BaseRequest": browser.base(), **body})


async def _picture(_: Browser, uploader: Uploader) -> Json:
    media_id = await uploader.file(samples.png("x"), "x", "pic")
    return await uploader.send("webwxsendmsgimg", MediaId=media_id, Type=1)


async def _file(_: Browser, uploader: Uploader) -> Json:
    media_id = await uploader.file(b"text", "c.txt", "doc")
    return await uploader.send("webwxsendappmsg", Type=6, Content=appmsg("c.txt", 5, media_id, "txt"))


BREACHES: dict[str, tuple[Do, int]] = {
    "sid holds a space in the query: encode + as %2B": (_raw_sid, 1101),
    "BaseRequest.Sid holds a backslash: do not escape / in JSON": (_escaped_sid, 1101),
    "pass_ticket is wrong": (_post("webwxinit", "pass_ticket=undefined"), 1),
    "BaseRequest is missing": (_post("webwxinit", BaseRequest={}), 1),
    "skey is missing in the query": (_no_skey, 1101),
    "SyncCheckKey sent as SyncKey": (_check_key, 1),
    "Count is not the length of List": (_post("webwxbatchgetcontact", Count=2, List=[{"UserName": "filehelper"}]), 1),
    "ClientMsgId and LocalID are missing or differ": (_message(LocalID="1", ClientMsgId="2"), 1),
    "FromUserName is not the account itself": (_message(FromUserName="@other"), 1),
    "ClientMsgId is missing": (_revoke, 1),
    "MemberCount is not the length of MemberList": (_group, 1),
    "part mediatype is none of pic, video and doc": (_upload(mediatype="audio"), 1),
    "size, TotalLen and DataLen differ": (_upload(size=5), 1),
    "what came is not of the size or FileMd5 announced": (_upload(part=b"less"), 1),
    "Type is not 3": (_picture, 1),
    "totallen is not the size of the file": (_file, 1),
}


def _ret(answer: Json) -> int:
    return int(answer["BaseResponse"]["Ret"])


@pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
@pytest.mark.parametrize("what", BREACHES)
async def test_a_breach_is_noted_and_refused_only_in_strict_mode(
    online: Browser, sandbox: Sandbox, what: str, strict: bool
) -> None:
    do, code = BREACHES[what]
    answer = await do(online, Uploader(online, sandbox))
    noted = [v for v in (await online.api("GET", "/requests"))["violations"] if v["what"] == what]
    assert noted, answer
    assert {v["refused"] for v in noted} == {code if strict else None}
    assert bool(_ret(answer)) == strict, answer


async def test_messages_without_an_id_are_no_repeats(online: Browser) -> None:
    for text in ("one", "two"):
        await online.send("filehelper", text, ClientMsgId="", LocalID="")
    assert [m["text"] for m in await online.api("GET", f"/accounts/{UIN}/sent")] == ["one", "two"]
