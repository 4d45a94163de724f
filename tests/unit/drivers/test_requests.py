"""Each request of the routes on the wire, field by field as the protocols' tables have it.

The sandbox accepts what unmodified clients send, also with less. Values that differ from request to request are
compared by their form.
"""

import hashlib
import io
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import pytest
from aiohttp import BodyPartReader, web

from tests.serving import serving
from tests.unit.drivers.ilink_kit import QUICK
from tests.unit.drivers.kit import HURRY
from wxcontroller.core.jsontypes import JsonObject, obj, read_json
from wxcontroller.core.model import MessageKind, MessageMedia
from wxcontroller.drivers.base import Upload, Uploaded
from wxcontroller.drivers.connection.transport import Transport
from wxcontroller.drivers.filehelper.wire import FileCalls
from wxcontroller.drivers.ilink.wire import Credentials, ILinkCalls, ILinkHosts
from wxcontroller.drivers.web.media.downloads import Downloads
from wxcontroller.drivers.web.media.uploads import Uploads, kind_of
from wxcontroller.drivers.web.wire.calls import WebCalls, WebSession
from wxcontroller.drivers.web.wire.extspam import EXTSPAM
from wxcontroller.drivers.web.wire.outgoing import media_message

Fields: TypeAlias = Mapping[str, object]
CGI = "/cgi-bin/mmwebwx-bin/"
MS, INT32, DEVICE = re.compile(r"\d{13}"), re.compile(r"-?\d{1,10}"), re.compile(r"e\d{15}")
JSON, FORM = "application/json; charset=UTF-8", "application/x-www-form-urlencoded"
PAGE = f"{CGI}webwxnewloginpage"


@dataclass(frozen=True)
class Expected:
    """A request: ``json`` is its body without BaseRequest, which is the same in all."""

    where: str
    query: Fields = field(default_factory=dict)
    headers: Mapping[str, str | None] = field(default_factory=dict)
    json: Fields | None = None
    form: str = ""


def same(found: Mapping[str, object], expected: Fields) -> None:
    """Compare fields; a value whose form fits counts as equal to the pattern."""

    def fits(form: object, value: object) -> bool:
        return isinstance(form, re.Pattern) and form.fullmatch(str(value)) is not None

    values = {name: form for name, form in expected.items() if fits(form, found.get(name))}
    assert {**found, **values} == expected


async def request_of(make: Callable[[Transport], Awaitable[object]]) -> tuple[web.Request, bytes]:
    """Return the only request that is sent."""
    seen: list[tuple[web.Request, bytes]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request, await request.read()))
        return web.json_response({})

    async with serving(answer) as port, Transport(None, HURRY, server=f"http://127.0.0.1:{port}") as transport:
        await make(transport)
    [one] = seen
    return one


def compare(request: web.Request, body: bytes, expected: Expected, base: Fields) -> None:
    host = request.host.partition(":")[0]
    assert f"{request.method} {host}{request.rel_url.raw_path}" == expected.where
    same(dict(request.query), expected.query)
    assert {name: request.headers.get(name) for name in expected.headers} == expected.headers
    if expected.json is not None:
        found = obj(read_json(body))
        if base:
            same(obj(found.pop("BaseRequest")), base)
        same(found, expected.json)
    else:
        assert body.decode() == expected.form


# -- the web page (weixin-web-protocol 3, 5)

SESSION = WebSession("wx2.qq.com", 123, "s/1+x", "@crypt_1", "t%3D", me="@me")
SESSION.sync_key, SESSION.check_key = ((1, 650), (2, 651)), ((1, 660), (1000, 7))
BASE: Fields = {"Uin": 123, "Sid": "s/1+x", "Skey": "@crypt_1", "DeviceID": DEVICE}
COMMON: Fields = {"pass_ticket": "t%3D", "lang": "zh_CN"}
REFERER = {"Referer": "https://wx2.qq.com/", "Content-Type": JSON}
APP = "wx782c26e4c19acffb"
LOGIN: Fields = {"loginicon": "true", "uuid": "Ab==", "r": INT32, "_": MS}
NEWER: Fields = {"ticket": "A", "fun": "new", "version": "v2", "lang": "zh_CN"}
DESKTOP = {"Referer": "https://wx.qq.com/?&lang=zh_CN&target=t", "client-version": "2.0.0", "extspam": EXTSPAM}
KEYS: JsonObject = {"Count": 2, "List": [{"Key": 1, "Val": 650}, {"Key": 2, "Val": 651}]}
Call: TypeAlias = Callable[[WebCalls], Awaitable[object]]
WEB: Mapping[str, tuple[Call, Expected]] = {
    "jslogin": (
        lambda calls: calls.jslogin("wx2.qq.com", False),
        Expected(
            "GET login.wx2.qq.com/jslogin",
            {"appid": APP, "redirect_uri": f"https://wx2.qq.com{PAGE}", "fun": "new", "lang": "zh_CN", "_": MS},
        ),
    ),
    "jslogin, desktop": (
        lambda calls: calls.jslogin("wx.qq.com", True),
        Expected(
            "GET login.wx.qq.com/jslogin",
            {
                **{"appid": APP, "redirect_uri": f"https://wx.qq.com{PAGE}?mod=desktop", "fun": "new"},
                **{"lang": "zh_CN", "_": MS},
            },
        ),
    ),
    "qrcode": (lambda calls: calls.qrcode("Ab=="), Expected("GET login.weixin.qq.com/qrcode/Ab==")),
    "login": (
        lambda calls: calls.login_poll("web2.wechat.com", "Ab==", 1),
        Expected(f"GET login.web2.wechat.com{CGI}login", {**LOGIN, "tip": "1"}),
    ),
    "push login": (
        lambda calls: calls.push_login("wx.qq.com", 123, True),
        Expected(f"GET wx.qq.com{CGI}webwxpushloginurl", {"uin": "123", "mod": "desktop"}),
    ),
    "login page": (
        lambda calls: calls.login_page("wx2.qq.com", PAGE, "ticket=A", False),
        Expected(f"GET wx2.qq.com{PAGE}", NEWER, {**dict.fromkeys(DESKTOP), "Referer": "https://wx2.qq.com/"}),
    ),
    "login page, desktop": (
        lambda calls: calls.login_page("wx2.qq.com", PAGE, "ticket=A", True),
        Expected(f"GET wx2.qq.com{PAGE}", {**NEWER, "mod": "desktop"}, DESKTOP),
    ),
    "init": (
        lambda calls: calls.init(SESSION),
        Expected(f"POST wx2.qq.com{CGI}webwxinit", {"r": INT32, **COMMON}, REFERER, {}),
    ),
    "status notify": (
        lambda calls: calls.status_notify(SESSION, 3, "@me"),
        Expected(
            f"POST wx2.qq.com{CGI}webwxstatusnotify",
            COMMON,
            REFERER,
            {"Code": 3, "FromUserName": "@me", "ToUserName": "@me", "ClientMsgId": MS},
        ),
    ),
    "contacts": (
        lambda calls: calls.contacts(SESSION, 7),
        Expected(
            f"GET wx2.qq.com{CGI}webwxgetcontact",
            {"r": MS, "seq": "7", "skey": "@crypt_1", **COMMON},
            {"Referer": "https://wx2.qq.com/"},
        ),
    ),
    "contacts by id": (
        lambda calls: calls.batch_contacts(SESSION, [("@@g", ""), ("@m", "@key")]),
        Expected(
            f"POST wx2.qq.com{CGI}webwxbatchgetcontact",
            {"type": "ex", "r": MS, **COMMON},
            REFERER,
            {
                "Count": 2,
                "List": [
                    {"UserName": "@@g", "EncryChatRoomId": ""},
                    {"UserName": "@m", "EncryChatRoomId": "@key"},
                ],
            },
        ),
    ),
    "synccheck": (
        lambda calls: calls.sync_check(SESSION),
        Expected(
            f"GET webpush.wx2.qq.com{CGI}synccheck",
            {
                **{"r": MS, "skey": "@crypt_1", "sid": "s/1+x", "uin": "123", "deviceid": DEVICE},
                **{"synckey": "1_660|1000_7", "_": MS},
            },
            {"Referer": "https://wx2.qq.com/"},
        ),
    ),
    "sync": (
        lambda calls: calls.sync(SESSION),
        Expected(
            f"POST wx2.qq.com{CGI}webwxsync",
            {"sid": "s/1+x", "skey": "@crypt_1", **COMMON},
            REFERER,
            {"SyncKey": KEYS, "rr": INT32},
        ),
    ),
    "send": (
        lambda calls: calls.send(SESSION, "webwxsendmsg", "", "@ann", "170", {"Type": 1, "Content": "你/好"}),
        Expected(
            f"POST wx2.qq.com{CGI}webwxsendmsg",
            COMMON,
            REFERER,
            {
                "Msg": {
                    **{"Type": 1, "Content": "你/好", "FromUserName": "@me", "ToUserName": "@ann"},
                    **{"LocalID": "170", "ClientMsgId": "170"},
                },
                "Scene": 0,
            },
        ),
    ),
    "logout": (
        lambda calls: calls.logout(SESSION),
        Expected(
            f"POST wx2.qq.com{CGI}webwxlogout",
            {"redirect": "1", "type": "0", "skey": "@crypt_1"},
            {"Content-Type": FORM, "Referer": "https://wx2.qq.com/"},
            form="sid=s%2F1%2Bx&uin=123",
        ),
    ),
}


@pytest.mark.parametrize("name", WEB)
async def test_requests_of_the_web_page(name: str) -> None:
    make, expected = WEB[name]
    request, body = await request_of(lambda transport: make(WebCalls(transport, HURRY, "zh_CN")))
    compare(request, body, expected, BASE)
    if expected.json is not None:
        assert b"\\" not in body  # WeChat's reader does not undo escapes (1.6)


# -- the File Transfer page (15)

FILE_APP = "wx_webfilehelper"
FILE_SESSION = WebSession("szfilehelper.weixin.qq.com", 123, "s", "@crypt_1", "t", me="@me")
MARK = {"mmweb_appid": FILE_APP}
FILES: Mapping[str, tuple[Call, Expected]] = {
    "jslogin": (
        lambda calls: calls.jslogin("szfilehelper.weixin.qq.com", False),
        Expected(
            "GET login.wx2.qq.com/jslogin",
            {
                "appid": FILE_APP,
                "redirect_uri": f"https%3A%2F%2Fszfilehelper.weixin.qq.com{PAGE.replace('/', '%2F')}",
                **{"fun": "new", "lang": "zh_CN", "_": MS},
            },
            MARK,
        ),
    ),
    "login": (
        lambda calls: calls.login_poll("filehelper.weixin.qq.com", "Ab==", 1),
        Expected(f"GET login.wx.qq.com{CGI}login", {**LOGIN, "tip": "1", "appid": FILE_APP}, MARK),
    ),
    "login page": (
        lambda calls: calls.login_page("cmfilehelper.weixin.qq.com", PAGE, "ticket=A", True),
        Expected(f"GET cmfilehelper.weixin.qq.com{PAGE}", NEWER, {**MARK, "extspam": None, "client-version": None}),
    ),
    "synccheck": (
        lambda calls: calls.sync_check(FILE_SESSION),
        Expected(
            f"GET szfilehelper.weixin.qq.com{CGI}synccheck",
            {
                **{"r": MS, "skey": "@crypt_1", "sid": "s", "uin": "123", "deviceid": DEVICE},
                **{"synckey": "", "_": MS, **MARK},
            },
            MARK,
        ),
    ),
    "sync": (
        lambda calls: calls.sync(FILE_SESSION),
        Expected(
            f"POST szfilehelper.weixin.qq.com{CGI}webwxsync",
            {"sid": "s", "skey": "@crypt_1", "pass_ticket": "t", "lang": "zh_CN"},
            MARK,
            {"SyncKey": {"Count": 0, "List": []}, "rr": INT32},
        ),
    ),
    "upload": (
        lambda calls: calls.upload(FILE_SESSION, b"form", "mark"),
        Expected(
            f"POST file.wx2.qq.com{CGI}webwxuploadmedia",
            {"f": "json", "random": re.compile("[a-z0-9]{4}")},
            {**MARK, "Content-Type": "multipart/form-data; boundary=mark"},
            form="form",
        ),
    ),
}


@pytest.mark.parametrize("name", FILES)
async def test_requests_of_the_file_transfer_page(name: str) -> None:
    make, expected = FILES[name]
    request, body = await request_of(lambda transport: make(FileCalls(transport, HURRY, "zh_CN")))
    base = {**BASE, "Sid": "s"}
    compare(request, body, expected, base)


# -- iLink (ilink-bot-protocol 2 to 11)

BOT = Credentials("token", "b@im.bot", "U@im.wechat", "https://ilinkai.wechat.com/prefix/")
HOST = "POST ilinkai.wechat.com/prefix/ilink/bot"
APP_HEADERS: Mapping[str, str | None] = {"iLink-App-Id": "bot", "iLink-App-ClientVersion": "132105"}
POST: Mapping[str, str | None] = {
    **APP_HEADERS,
    **{"Content-Type": "application/json", "AuthorizationType": "ilink_bot_token"},
}
BEARER = {**POST, "Authorization": "Bearer token"}
INFO: JsonObject = {"base_info": {"channel_version": "2.4.9", "bot_agent": "wxcontroller/2"}}
ILinkCall: TypeAlias = Callable[[ILinkCalls], Awaitable[object]]
ILINK: Mapping[str, tuple[ILinkCall, Expected]] = {
    "code": (  # without base_info, and always at the fixed host
        lambda calls: calls.qrcode(["old"]),
        Expected(
            "POST ilinkai.weixin.qq.com/ilink/bot/get_bot_qrcode",
            {"bot_type": "3"},
            {**POST, "Authorization": None},
            {"local_token_list": ["old"]},
        ),
    ),
    "code's status": (
        lambda calls: calls.qrcode_status("other.weixin.qq.com", "a/+=", ""),
        Expected(
            "GET other.weixin.qq.com/ilink/bot/get_qrcode_status",
            {"qrcode": "a/+="},
            {**APP_HEADERS, "X-WECHAT-UIN": None},
        ),
    ),
    "code's status, with digits": (
        lambda calls: calls.qrcode_status("other.weixin.qq.com", "a", "123456"),
        Expected("GET other.weixin.qq.com/ilink/bot/get_qrcode_status", {"qrcode": "a", "verify_code": "123456"}),
    ),
    "poll": (
        lambda calls: calls.updates(BOT, "cursor", 1.0),
        Expected(f"{HOST}/getupdates", {}, BEARER, {"get_updates_buf": "cursor", **INFO}),
    ),
    "send": (
        lambda calls: calls.send(BOT, {"to_user_id": "U@im.wechat"}),
        Expected(f"{HOST}/sendmessage", {}, BEARER, {"msg": {"to_user_id": "U@im.wechat"}, **INFO}),
    ),
    "typing ticket": (
        lambda calls: calls.config(BOT, "U@im.wechat", "context"),
        Expected(
            f"{HOST}/getconfig", {}, BEARER, {"ilink_user_id": "U@im.wechat", "context_token": "context", **INFO}
        ),
    ),
    "typing ended": (
        lambda calls: calls.typing(BOT, "U@im.wechat", "ticket", False),
        Expected(
            f"{HOST}/sendtyping",
            {},
            BEARER,
            {"ilink_user_id": "U@im.wechat", "typing_ticket": "ticket", "status": 2, **INFO},
        ),
    ),
    "start": (
        lambda calls: calls.notify(BOT, True, 1.0),
        Expected(f"{HOST}/msg/notifystart", {}, BEARER, INFO),
    ),
    "stop": (lambda calls: calls.notify(BOT, False, 1.0), Expected(f"{HOST}/msg/notifystop", {}, BEARER, INFO)),
}


@pytest.mark.parametrize("name", ILINK)
async def test_requests_of_ilink(name: str) -> None:
    make, expected = ILINK[name]
    hosts = ILinkHosts("")
    request, body = await request_of(lambda transport: make(ILinkCalls(transport, QUICK, hosts, 1 << 20)))
    compare(request, body, expected, {})


# -- content of the web page (5.8, 5.10, 5.11, 5.13)


class People:
    """Pictures of which the roster knows no path."""

    def avatar(self, person: str) -> str:
        return f"{CGI}webwxgeticon?seq=1&username={person}" if person == "@known" else ""

    def group_key(self, group: str) -> str:
        return "@key" if group == "@@g" else ""

    def met_in(self, person: str) -> str:
        return "77" if person == "@stranger" else ""


def downloads_of(transport: Transport) -> Downloads:
    return Downloads(WebCalls(transport, HURRY, "zh_CN"), SESSION, People(), lambda: "gQ", 0.0)


def of_file(encrypted: str) -> MessageMedia:
    key = json.dumps(["@@g", "@crypt_9", encrypted, "报 告.pdf"])
    return MessageMedia(MessageKind.FILE, key, "报 告.pdf", 2)


OF_FILE: Fields = {
    **{"sender": "@@g", "mediaid": "@crypt_9", "fromuser": "123"},
    **{"pass_ticket": "t%3D", "webwx_data_ticket": "gQ"},
}
IMAGE: Fields = {"MsgID": "5", "skey": "@crypt_1"}
OTHER: Fields = {"msgid": "5", "skey": "@crypt_1"}
RANGED = {"Referer": "https://wx2.qq.com/", "Range": "bytes=0-"}
UNRANGED = {"Referer": "https://wx2.qq.com/", "Range": None}
DOWNLOADS: Mapping[str, tuple[MessageMedia, Expected]] = {
    "image": (MessageMedia(MessageKind.IMAGE, "5"), Expected(f"GET wx2.qq.com{CGI}webwxgetmsgimg", IMAGE, UNRANGED)),
    "emoticon": (
        MessageMedia(MessageKind.EMOTICON, "5"),
        Expected(f"GET wx2.qq.com{CGI}webwxgetmsgimg", {**IMAGE, "type": "big"}, UNRANGED),
    ),
    "voice": (MessageMedia(MessageKind.VOICE, "5"), Expected(f"GET wx2.qq.com{CGI}webwxgetvoice", OTHER, UNRANGED)),
    # WeChat gives nothing without a Range.
    "video": (MessageMedia(MessageKind.VIDEO, "5"), Expected(f"GET wx2.qq.com{CGI}webwxgetvideo", OTHER, RANGED)),
    "file": (
        of_file("e%2F"),
        Expected(f"GET file.wx2.qq.com{CGI}webwxgetmedia", {**OF_FILE, "encryfilename": "e%2F"}, UNRANGED),
    ),
    "file without an encrypted name": (
        of_file(""),
        Expected(f"GET file.wx2.qq.com{CGI}webwxgetmedia", {**OF_FILE, "filename": "报 告.pdf"}, UNRANGED),
    ),
}


@pytest.mark.parametrize("name", DOWNLOADS)
async def test_requests_for_content(name: str) -> None:
    content, expected = DOWNLOADS[name]
    request, body = await request_of(lambda transport: downloads_of(transport).fetch(content, io.BytesIO(), 100))
    compare(request, body, expected, {})


@pytest.mark.parametrize(
    ("person", "group", "call", "query"),
    [
        ("@known", "", "webwxgeticon", {"seq": "1", "username": "@known"}),
        ("@a", "", "webwxgeticon", {"seq": "0", "username": "@a"}),
        ("@stranger", "", "webwxgeticon", {"seq": "0", "username": "@stranger", "msgid": "77"}),
        ("@known", "@@g", "webwxgeticon", {"seq": "0", "username": "@known", "chatroomid": "@key"}),
        ("@a", "@@other", "webwxgeticon", {"seq": "0", "username": "@a", "chatroomid": "@@other"}),
        ("@@g", "", "webwxgetheadimg", {"seq": "0", "username": "@@g"}),
    ],
)
async def test_requests_for_pictures_of_people(person: str, group: str, call: str, query: Fields) -> None:
    request, body = await request_of(
        lambda transport: downloads_of(transport).avatar(person, group, io.BytesIO(), 100)
    )
    compare(request, body, Expected(f"GET wx2.qq.com{CGI}{call}", {**query, "skey": "@crypt_1"}), {})


@pytest.mark.parametrize(
    ("name", "mime", "kind", "expected"),
    [
        ("a.PNG", "", None, ("pic", "image/png", "file.png")),
        ("a.gif", "image/gif", None, ("doc", "image/gif", "file.gif")),  # else it would not be animated
        ("a.webp", "image/webp", None, ("doc", "image/webp", "file.webp")),
        ("a.mp4", "video/mp4", None, ("video", "video/mp4", "file.mp4")),
        ("报告.pdf", "application/pdf", None, ("doc", "application/pdf", "file.pdf")),
        ("a.png", "image/png", MessageKind.FILE, ("doc", "image/png", "file.png")),
    ],
)
@pytest.mark.parametrize("pieces", [1, 3])
async def test_parts_of_an_upload(
    tmp_path: Path, name: str, mime: str, kind: MessageKind | None, expected: tuple[str, str, str], pieces: int
) -> None:
    content, media_type = b"12345", expected[0]
    (tmp_path / "content").write_bytes(content)
    seen: list[tuple[web.Request, list[tuple[str, str, str]]]] = []

    async def answer(request: web.Request) -> web.Response:
        parts = []
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            parts.append((part.name or "", part.filename or "", await part.text()))
        seen.append((request, parts))
        done = "@crypt_new" if len(seen) == pieces else ""
        return web.json_response({"BaseResponse": {"Ret": 0}, "MediaId": done})

    upload = Upload(tmp_path / "content", name, mime, len(content), kind)
    async with serving(answer) as port, Transport(None, HURRY, server=f"http://127.0.0.1:{port}") as transport:
        calls = WebCalls(transport, HURRY, "zh_CN")
        uploads = Uploads(calls, SESSION, lambda: "gQ", chunk=2 if pieces == 3 else 5)
        assert (await uploads.upload(upload)).key == "@crypt_new"
    ids = set()
    for number, (request, parts) in enumerate(seen):
        where = f"{request.method} {request.host.partition(':')[0]}{request.rel_url.raw_path_qs}"
        assert where == f"POST file.wx2.qq.com{CGI}webwxuploadmedia?f=json"
        several = [("chunks", "3"), ("chunk", str(number))] if pieces > 1 else []
        fields = {field: value for field, _, value in parts}
        assert [
            (field, fields[field]) for field in fields if field not in ("lastModifiedDate", "uploadmediarequest")
        ] == [
            *(("id", "WU_FILE_0"), ("name", expected[2]), ("type", expected[1]), ("size", "5")),
            *several,
            *(("mediatype", media_type), ("webwx_data_ticket", "gQ"), ("pass_ticket", "t=")),
            ("filename", (content if pieces == 1 else content[2 * number : 2 * number + 2]).decode()),
        ]
        assert parts[-1][:2] == ("filename", expected[2])
        asked = obj(read_json(fields["uploadmediarequest"].encode()))
        same(obj(asked.pop("BaseRequest")), BASE)
        ids.add(asked["ClientMediaId"])
        digest = hashlib.md5(content).hexdigest()
        sides = {"FromUserName": "@me", "ToUserName": "filehelper", "FileMd5": digest}
        sizes = {"TotalLen": 5, "StartPos": 0, "DataLen": 5, "MediaType": 4}
        same(asked, {"UploadType": 2, "ClientMediaId": MS, **sizes, **sides})
    assert (len(seen), len(ids)) == (pieces, 1)


def test_what_wechat_shows_as_a_picture_or_video_has_a_limit() -> None:
    for size, kind in ((20 << 20, MessageKind.IMAGE), ((20 << 20) + 1, MessageKind.FILE)):
        assert kind_of(Upload(Path("x"), "a.png", "image/png", size))[0] is kind


FILE_XML = (
    "<appmsg appid='{app}' sdkver=''><title>A &amp; &lt;B&gt;.Tar.GZ</title><des></des><action></action>"
    "<type>6</type><content></content><url></url><lowurl></lowurl><appattach><totallen>9</totallen>"
    "<attachid>@m</attachid><fileext>gz</fileext></appattach><extinfo></extinfo></appmsg>"
)
ASYNC = "fun=async&f=json"
FILE = Uploaded(MessageKind.FILE, "@m", "A & <B>.Tar.GZ", 9)
OUTGOING: tuple[tuple[Uploaded, bool, str, str, Fields, int], ...] = (
    (
        *(Uploaded(MessageKind.IMAGE, "@m"), False, "webwxsendmsgimg", ASYNC),
        *({"Type": 3, "MediaId": "@m", "Content": ""}, 0),
    ),
    (
        *(Uploaded(MessageKind.EMOTICON, "@m"), False, "webwxsendemoticon", "fun=sys"),
        *({"Type": 47, "EmojiFlag": 2, "MediaId": "@m"}, 0),
    ),
    (
        *(Uploaded(MessageKind.EMOTICON, "00ff"), False, "webwxsendemoticon", "fun=sys"),
        *({"Type": 47, "EmojiFlag": 2, "EMoticonMd5": "00ff"}, 0),
    ),
    (
        *(Uploaded(MessageKind.MICROVIDEO, "@m"), False, "webwxsendvideomsg", ASYNC),
        *({"Type": 43, "MediaId": "@m", "Content": ""}, 0),
    ),
    (
        *(FILE, False, "webwxsendappmsg", ASYNC),
        *({"Type": 6, "Content": FILE_XML.format(app="wxeb7ec651dd0aefa9")}, 0),
    ),
    (
        *(replace(FILE, signature="sig"), True, "webwxsendappmsg", f"{ASYNC}&mod=desktop"),
        *({"Type": 6, "Content": FILE_XML.format(app=""), "Signature": "sig"}, 0),
    ),
    # Received content: WeChat copies it by reference.
    (
        *(Uploaded(MessageKind.IMAGE, "5", reference="<msg/>"), False, "webwxsendmsgimg", ASYNC),
        *({"Type": 3, "MediaId": "", "Content": "<msg/>"}, 2),
    ),
    (
        *(Uploaded(MessageKind.VIDEO, "5", reference="<msg/>"), False, "webwxsendvideomsg", ASYNC),
        *({"Type": 43, "MediaId": "", "Content": "<msg/>"}, 2),
    ),
    (
        *(Uploaded(MessageKind.MICROVIDEO, "5", reference="<msg/>"), False, "webwxsendvideomsg", ASYNC),
        *({"Type": 62, "MediaId": "", "Content": "<msg/>"}, 2),
    ),
    (
        *(Uploaded(MessageKind.FILE, "5", reference="<appmsg/>"), True, "webwxsendappmsg", f"{ASYNC}&mod=desktop"),
        *({"Type": 6, "Content": "<appmsg/>"}, 2),
    ),
    (
        *(Uploaded(MessageKind.EMOTICON, "5", reference="00ff"), False, "webwxsendemoticon", "fun=sys"),
        *({"Type": 47, "EmojiFlag": 2, "EMoticonMd5": "00ff"}, 0),
    ),
)


@pytest.mark.parametrize(("content", "desktop", "call", "query", "message", "scene"), OUTGOING)
def test_media_messages(content: Uploaded, desktop: bool, call: str, query: str, message: Fields, scene: int) -> None:
    found = media_message(content, desktop)
    assert (found.call, found.query, found.message, found.scene) == (call, query, message, scene)


def test_a_file_without_an_extension_says_so() -> None:
    assert "<fileext>undefined</fileext>" in str(
        media_message(replace(FILE, name="README"), False).message["Content"]
    )
