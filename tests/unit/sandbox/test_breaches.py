"""Breaches of the protocol that the real service is not known to refuse: served with a note, refused in strict mode.

Each of them is one row of a table; every row runs both ways.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from tests.unit.sandbox.conftest import UIN
from tests.unit.sandbox.uploading import Uploader, appmsg
from tests.unit.sandbox.wire import CGI, DESKTOP_HEADERS, Browser, Json
from wxcontroller.sandbox import samples
from wxcontroller.sandbox.account import WebLogin
from wxcontroller.sandbox.sandbox import Sandbox

STRICT = pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])


@dataclass(frozen=True, slots=True)
class Breach:
    """What a client does, what is noted of it, and what it is refused with in strict mode."""

    name: str
    do: Callable[[Browser, Uploader], Awaitable[Json]]
    what: str
    code: int = 1


def _ret(answer: Json) -> int:
    """Return the code in an answer, of whatever kind; 0 when the request was served."""
    if isinstance(answer, dict):
        return int(answer["BaseResponse"]["Ret"] if "BaseResponse" in answer else answer["ret"])
    if isinstance(answer, tuple):
        return int(answer[0])
    return 0 if answer else 1


def _post(name: str, query: str = "", **changed: Json) -> Callable[[Browser, Uploader], Awaitable[Json]]:
    async def do(browser: Browser, _: Uploader) -> Json:
        bodies: dict[str, Json] = {
            "webwxinit": {},
            "webwxsync": {"SyncKey": browser.sync_key, "rr": 1},
            "webwxsendmsg": browser.message("filehelper", "x"),
            "webwxstatusnotify": {
                "Code": 3,
                "FromUserName": browser.me,
                "ToUserName": browser.me,
                "ClientMsgId": 1,
            },
            "webwxbatchgetcontact": {"Count": 1, "List": [{"UserName": browser.me, "EncryChatRoomId": ""}]},
        }
        body = {"BaseRequest": browser.base(), **bodies[name], **changed}
        return await browser.post(name, body, query=query.format(**browser.values))

    return do


def _message(**changed: Json) -> Callable[[Browser, Uploader], Awaitable[Json]]:
    async def do(browser: Browser, _: Uploader) -> Json:
        return await browser.send("filehelper", changed.pop("text", "x"), **changed)

    return do


def _upload(**changed: Any) -> Callable[[Browser, Uploader], Awaitable[Json]]:
    async def do(_: Browser, uploader: Uploader) -> Json:
        return await uploader.chunk(b"some text", "a.txt", "doc", **changed)

    return do


def _media(name: str, kind: str = "pic", data: bytes = samples.png("x"), **message: Json) -> Any:
    async def do(_: Browser, uploader: Uploader) -> Json:
        media_id = await uploader.file(data, "x", kind)
        return await uploader.send(name, **{"MediaId": media_id, **message})

    return do


def _file(title: str, size: int, kind: int = 6, app: bool = True) -> Callable[[Browser, Uploader], Awaitable[Json]]:
    async def do(_: Browser, uploader: Uploader) -> Json:
        media_id = await uploader.file(b"text", "c.txt", "doc")
        return await uploader.send("webwxsendappmsg", Type=kind, Content=appmsg(title, size, media_id, "txt"))

    return do


def _get(name: str, host: str = "", **query: str) -> Callable[[Browser, Uploader], Awaitable[Json]]:
    """GET with the skey, unless ``query`` has another; ME and MSG in it stand for the account and for a picture."""

    async def do(browser: Browser, _: Uploader) -> Json:
        message: Json = None
        if "MSG" in query.values():
            await browser.api("POST", f"/accounts/{UIN}/receive", {"from": "小明", "kind": "image"})
            [message] = (await browser.sync())["AddMsgList"]
        known = {"ME": browser.me, "MSG": message and message["MsgId"]}
        shown = {"skey": browser.values["skey"]} | {key: known.get(value, value) for key, value in query.items()}
        text = "&".join(f"{key}={quote(value, safe='')}" for key, value in shown.items())
        url = f"http://{host or browser.domain}:{browser.port}{CGI}/{name}?{text}"
        async with browser.http.get(url) as response:
            assert response.status == 200
            body = await response.read()
            return json.loads(body) if body.startswith(b"{") else body

    return do


def _download(**changed: str) -> Callable[[Browser, Uploader], Awaitable[Json]]:
    async def do(browser: Browser, uploader: Uploader) -> Json:
        await browser.api("POST", f"/accounts/{UIN}/receive", {"from": "小明", "kind": "file", "name": "a.pdf"})
        [message] = (await browser.sync())["AddMsgList"]
        query = {
            "sender": message["FromUserName"],
            "mediaid": message["MediaId"],
            "encryfilename": message["EncryFileName"],
            "fromuser": str(UIN),
            "pass_ticket": browser.values["pass_ticket"],
            "webwx_data_ticket": uploader.ticket,
        }
        return await _get("webwxgetmedia", f"file.{browser.domain}", **(query | changed))(browser, uploader)

    return do


async def _escaped_sid(browser: Browser, _: Uploader) -> Json:
    return await browser.post("webwxinit", json.dumps({"BaseRequest": browser.base()}).replace("/", "\\/"))


async def _raw_sid(browser: Browser, _: Uploader) -> Json:
    # As text, because a Browser that is handed a URL would encode the plus sign.
    body = {"BaseRequest": browser.base(), "SyncKey": browser.sync_key, "rr": 1}
    return await browser.post("webwxsync", body, query=f"sid={browser.values['wxsid']}")


def _no_skey(name: str) -> Callable[[Browser, Uploader], Awaitable[Json]]:
    async def do(browser: Browser, uploader: Uploader) -> Json:
        return await _post(name, BaseRequest=browser.base() | {"Skey": ""})(browser, uploader)

    return do


async def _no_scene(browser: Browser, _: Uploader) -> Json:
    body = browser.message("filehelper", "x")
    del body["Scene"]
    return await browser.post("webwxsendmsg", body)


async def _check_key(browser: Browser, _: Uploader) -> Json:
    return await browser.sync((await browser.sync())["SyncCheckKey"])


async def _wrong_count(browser: Browser, _: Uploader) -> Json:
    return await browser.sync({"Count": 9, "List": browser.sync_key["List"]})


async def _poll_without(browser: Browser, _: Uploader, **changed: str) -> Json:
    return await browser.check(**changed)


async def _revoke(browser: Browser, _: Uploader) -> Json:
    sent = await browser.send("filehelper", "oops")
    body = {"SvrMsgId": sent["MsgID"], "ToUserName": "filehelper", "ClientMsgId": ""}
    return await browser.post("webwxrevokemsg", {"BaseRequest": browser.base(), **body})


def _group(**changed: Json) -> Callable[[Browser, Uploader], Awaitable[Json]]:
    async def do(browser: Browser, _: Uploader) -> Json:
        contacts = (await browser.api("GET", f"/accounts/{UIN}"))["contacts"]
        members = [{"UserName": c["username"]} for c in contacts if c["kind"] == "friend"][:2]
        body = {"BaseRequest": browser.base(), "MemberCount": 2, "MemberList": members, "Topic": "t", **changed}
        return await browser.post("webwxcreatechatroom", body)

    return do


def _verify(**changed: Json) -> Callable[[Browser, Uploader], Awaitable[Json]]:
    async def do(browser: Browser, _: Uploader) -> Json:
        members = (await browser.api("GET", f"/accounts/{UIN}"))["groups"][0]["members"]
        stranger = next(m["username"] for m in members if m["kind"] == "stranger")
        body = {
            "BaseRequest": browser.base(),
            "Opcode": 2,
            "VerifyUserListSize": 1,
            "VerifyUserList": [{"Value": stranger, "VerifyUserTicket": ""}],
            "VerifyContent": "hi",
            "SceneListCount": 1,
            "SceneList": [33],
            "skey": browser.values["skey"],
            **changed,
        }
        return await browser.post("webwxverifyuser", body)

    return do


async def _accept(browser: Browser, uploader: Uploader) -> Json:
    await browser.api("POST", f"/accounts/{UIN}/receive", {"kind": "friend_request", "from": "新朋友", "text": "hi"})
    [message] = (await browser.sync())["AddMsgList"]
    users = [{"Value": message["RecommendInfo"]["UserName"], "VerifyUserTicket": ""}]
    return await _verify(Opcode=3, VerifyUserList=users)(browser, uploader)


def _check_upload(**changed: Json) -> Callable[[Browser, Uploader], Awaitable[Json]]:
    async def do(_: Browser, uploader: Uploader) -> Json:
        return await uploader.check(b"some text", "a.txt", **changed)

    return do


async def _jslogin(browser: Browser, query: str) -> Json:
    return "code = 200;" in await browser.get("login.wx.qq.com", f"/jslogin?fun=new&{query}")


async def _group_picture(browser: Browser, uploader: Uploader) -> Json:
    group = (await browser.api("GET", f"/accounts/{UIN}"))["groups"][0]
    return await _get("webwxgetheadimg", userName=group["username"])(browser, uploader)


_APP = "appid=wx782c26e4c19acffb"
BREACHES = (
    Breach("plus sign in sid", _raw_sid, "sid holds a space in the query: encode + as %2B", 1101),
    Breach("escaped slash in Sid", _escaped_sid, "BaseRequest.Sid holds a backslash: do not escape / in JSON", 1101),
    Breach("wrong pass_ticket", _post("webwxinit", "pass_ticket=undefined"), "pass_ticket is wrong"),
    Breach("no BaseRequest", _post("webwxinit", BaseRequest={}), "BaseRequest is missing"),
    Breach("no Skey", _no_skey("webwxsendmsg"), "BaseRequest.Skey is missing", 1101),
    Breach("no skey for contacts", _get("webwxgetcontact", skey=""), "skey is missing in the query", 1101),
    Breach("no skey for the poll", lambda b, u: _poll_without(b, u, skey=""), "skey is missing in the query", 1101),
    Breach(
        "no skey for a picture", _get("webwxgetmsgimg", skey="", MsgID="MSG"), "skey is missing in the query", 1101
    ),
    Breach("SyncCheckKey", _check_key, "SyncCheckKey sent as SyncKey"),
    Breach("Count of SyncKey", _wrong_count, "Count of SyncKey is wrong"),
    Breach("no sid for the poll", lambda b, u: _poll_without(b, u, sid=""), "sid is missing in the query"),
    Breach("notify code", _post("webwxstatusnotify", Code=7), "Code or ToUserName is wrong"),
    Breach("notify nobody", _post("webwxstatusnotify", ToUserName="@nobody"), "Code or ToUserName is wrong"),
    Breach(
        "notify as another",
        _post("webwxstatusnotify", FromUserName="fmessage"),
        "FromUserName is not the account itself",
    ),
    Breach("notify without id", _post("webwxstatusnotify", ClientMsgId=""), "ClientMsgId is missing"),
    Breach("seq", _get("webwxgetcontact", seq="77"), "seq is not from an earlier response"),
    Breach("Count of List", _post("webwxbatchgetcontact", Count=2), "Count is not the length of List"),
    Breach(
        "room of nobody",
        lambda b, _: b.batch(b.me, room="@wrong"),
        "EncryChatRoomId is of no group",
        -2,
    ),
    Breach("no Scene", _no_scene, "Scene is missing", 1204),
    Breach("LocalID", _message(LocalID="1", ClientMsgId="2"), "ClientMsgId and LocalID are missing or differ"),
    Breach("sent as another", _message(FromUserName="@other"), "FromUserName is not the account itself"),
    Breach("Type of a text", _message(Type=49), "Type is neither 1 nor 48"),
    Breach("empty text", _message(Content=""), "Content is missing or empty"),
    Breach("revoke without id", _revoke, "ClientMsgId is missing"),
    Breach("MemberCount", _group(MemberCount=5), "MemberCount is not the length of MemberList"),
    Breach("no Topic", _group(Topic=None), "Topic is missing"),
    Breach("SceneList", _verify(SceneList="33"), "SceneList is not [33], or SceneListCount is wrong"),
    Breach("SceneListCount", _verify(SceneListCount=2), "SceneList is not [33], or SceneListCount is wrong"),
    Breach(
        "VerifyUserListSize",
        _verify(VerifyUserListSize=2),
        "VerifyUserListSize is not the length of VerifyUserList",
    ),
    Breach("skey in the body", _verify(skey=""), "skey in the body is missing", 1101),
    Breach("accept without ticket", _accept, "VerifyUserTicket is missing", -14),
    Breach("pass_ticket in a part", _upload(pass_ticket="x"), "part pass_ticket is wrong"),
    Breach("mediatype", _upload(mediatype="audio"), "part mediatype is none of pic, video and doc"),
    Breach("no MP4", _upload(mediatype="video"), "mediatype is video, and the file is no MP4"),
    Breach("size", _upload(size=5), "size, TotalLen and DataLen differ"),
    Breach("TotalLen", _upload(asked={"TotalLen": 5}), "size, TotalLen and DataLen differ"),
    Breach("MediaType", _upload(asked={"MediaType": 1}), "UploadType is not 2, or MediaType not 4"),
    Breach("StartPos", _upload(asked={"StartPos": 5}), "StartPos is not 0"),
    Breach("ClientMediaId", _upload(asked={"ClientMediaId": ""}), "ClientMediaId is missing"),
    Breach("FileMd5", _upload(asked={"FileMd5": "0" * 32}), "what came is not of the size or FileMd5 announced"),
    Breach("less than announced", _upload(part=b"less"), "what came is not of the size or FileMd5 announced"),
    Breach(
        "upload of another", _upload(asked={"FromUserName": "fmessage"}), "FromUserName is not the account itself"
    ),
    Breach("upload for nobody", _upload(asked={"ToUserName": "@nobody"}), "ToUserName is nobody of this login"),
    Breach("chunk alone", _upload(chunk=0), "of chunk and chunks only one is there"),
    Breach("FileSize", _check_upload(FileSize="9"), "FileSize is not a number"),
    Breach("check for nobody", _check_upload(ToUserName="@no"), "ToUserName is nobody of this login"),
    Breach("Type of a picture", _media("webwxsendmsgimg", Type=1), "Type is not 3"),
    Breach(
        "a file as a picture",
        _media("webwxsendmsgimg", "doc", b"text", Type=3),
        "MediaId was not uploaded as pic",
    ),
    Breach("Type of an emoticon", _media("webwxsendemoticon", Type=5, EmojiFlag=2), "Type is not 47"),
    Breach("EmojiFlag", _media("webwxsendemoticon", Type=47), "EmojiFlag is not 2"),
    Breach(
        "two emoticons",
        _media("webwxsendemoticon", Type=47, EmojiFlag=2, EMoticonMd5="0" * 32),
        "MediaId and EMoticonMd5 are both there",
    ),
    Breach("totallen", _file("c.txt", 5), "totallen is not the size of the file"),
    Breach("no title", _file("", 4), "title is empty"),
    Breach("Type of a file", _file("c.txt", 4, kind=5), "Type is not the type in Content"),
    Breach("sender", _download(sender=""), "sender is nobody of this login"),
    Breach("fromuser", _download(fromuser=""), "fromuser is not the account itself"),
    Breach("encryfilename", _download(encryfilename=""), "encryfilename and filename are missing"),
    Breach("userName", _get("webwxgeticon", userName="ME"), "username is sent as userName"),
    Breach("userName of a group", _group_picture, "username is sent as userName"),
    Breach("another app", lambda b, _: _jslogin(b, "appid=wx0"), "appid is not the web client's"),
    Breach(
        "another page",
        lambda b, _: _jslogin(b, f"{_APP}&redirect_uri=http%3A%2F%2Felsewhere.invalid%2F"),
        "redirect_uri is not a login page of ours",
    ),
)


@STRICT
@pytest.mark.parametrize("breach", [pytest.param(breach, id=breach.name) for breach in BREACHES])
async def test_a_breach_is_noted_and_refused_only_in_strict_mode(
    online: Browser, sandbox: Sandbox, breach: Breach, strict: bool
) -> None:
    answer = await breach.do(online, Uploader(online, sandbox))
    noted = [v for v in (await online.api("GET", "/requests"))["violations"] if v["what"] == breach.what]
    assert noted, (answer, await online.api("GET", "/requests"))
    assert {v["refused"] for v in noted} == {breach.code if strict else None}
    assert bool(_ret(answer)) == strict, answer


@STRICT
async def test_push_login_on_the_login_host(online: Browser, strict: bool) -> None:
    """As itchat asks for it, whose jar sends all cookies everywhere."""
    cookies = "; ".join(f"{cookie.key}={cookie.value}" for cookie in online.jar)
    path = f"{CGI}/webwxpushloginurl?uin={UIN}"
    answer = await online.get("login.weixin.qq.com", path, headers={"Cookie": cookies})
    assert ('"ret":"0"' in answer) == (not strict)


@STRICT
async def test_the_headers_make_a_desktop_client(browser: Browser, sandbox: Sandbox, strict: bool) -> None:
    """itchat-uos and wechat4u leave mod=desktop out of the second request."""
    sandbox.accounts[UIN].web_login = WebLogin.DESKTOP
    await browser.jslogin(desktop=True)
    await browser.api("POST", f"/logins/{browser.uuid}/confirm", {"uin": UIN})
    await browser.poll()
    _, xml = await browser.new_login_page("", DESKTOP_HEADERS)
    assert ("<ret>1203</ret>" if strict else "<ret>0</ret>") in xml
    [violation] = [
        v for v in (await browser.api("GET", "/requests"))["violations"] if "desktop mode needs" in v["what"]
    ]
    assert violation["refused"] is None


async def test_messages_without_an_id_are_no_repeats(online: Browser) -> None:
    for text in ("one", "two"):
        await online.send("filehelper", text, ClientMsgId="", LocalID="")
    assert [m["text"] for m in await online.api("GET", f"/accounts/{UIN}/sent")] == ["one", "two"]
