"""Each request of the routes on the wire, field by field as the protocols' tables have it.

The sandbox accepts what unmodified clients send, also with less. Values that differ from request to request are
compared by their form.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import pytest
from aiohttp import web

from tests.serving import serving
from tests.unit.drivers.ilink_kit import QUICK
from tests.unit.drivers.kit import HURRY
from wxcontroller.core.jsontypes import JsonObject, obj, read_json
from wxcontroller.drivers.connection.transport import Transport
from wxcontroller.drivers.filehelper.wire import FileCalls
from wxcontroller.drivers.ilink.wire import Credentials, ILinkCalls, ILinkHosts
from wxcontroller.drivers.web.wire.calls import WebCalls, WebSession
from wxcontroller.drivers.web.wire.extspam import EXTSPAM

pytestmark = pytest.mark.usefixtures("both_ways")
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
