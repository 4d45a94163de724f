"""Content and head images, and what keeps a client from getting them."""

from urllib.parse import quote

import pytest

from tests.unit.sandbox.conftest import UIN
from tests.unit.sandbox.wire import CGI, Browser, Json, sandbox_and_browser
from wxcontroller.sandbox.sandbox import Options, Sandbox


async def receive(browser: Browser, **body: Json) -> Json:
    await browser.api("POST", f"/accounts/{UIN}/receive", {"from": "小明", **body})
    [message] = (await browser.sync())["AddMsgList"]
    return message


async def fetch(
    browser: Browser, name: str, host: str = "", headers: Json = None, **query: str
) -> tuple[int, str, bytes]:
    """GET; status, type and body. The skey goes along unless ``skey`` says otherwise."""
    query = {"skey": browser.values["skey"], **query}
    text = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items())
    url = f"http://{host or browser.domain}:{browser.port}{CGI}/{name}?{text}"
    async with browser.http.get(url, headers=headers) as response:
        return response.status, response.content_type, await response.read()


async def violations(browser: Browser) -> list[str]:
    return [v["what"] for v in (await browser.api("GET", f"/requests?uin={UIN}"))["violations"]]


async def test_pictures(online: Browser) -> None:
    image = await receive(online, kind="image")
    gif = await receive(online, kind="emoticon")
    status, kind, body = await fetch(online, "webwxgetmsgimg", MsgID=image["MsgId"])
    assert (status, kind, body[:3]) == (200, "image/jpeg", b"\xff\xd8\xff")
    status, kind, thumb = await fetch(online, "webwxgetmsgimg", MsgID=image["MsgId"], type="slave")
    assert thumb != body
    status, kind, body = await fetch(online, "webwxgetmsgimg", MsgID=gif["MsgId"], type="big")
    assert (kind, body[:6]) == ("image/jpeg", b"GIF89a"), "the type lies, as in reality"
    assert await violations(online) == []


async def test_sound_and_film(online: Browser) -> None:
    voice = await receive(online, kind="voice")
    video = await receive(online, kind="microvideo")
    status, kind, body = await fetch(online, "webwxgetvoice", msgid=voice["MsgId"])
    assert (status, kind, body[:2]) == (200, "audio/mp3", b"\xff\xfb")
    everything = {"Range": "bytes=0-"}
    status, kind, film = await fetch(online, "webwxgetvideo", headers=everything, msgid=video["MsgId"])
    assert (status, kind, film[4:8]) == (206, "video/mp4", b"ftyp")
    some = await fetch(online, "webwxgetvideo", headers={"Range": "bytes=4-7"}, msgid=video["MsgId"])
    assert (some[0], some[2]) == (206, b"ftyp")
    assert await violations(online) == []
    assert await fetch(online, "webwxgetvideo", msgid=video["MsgId"]) == (200, "text/plain", b"")
    assert await violations(online) == ["video is asked for without Range"]


@pytest.mark.parametrize(
    ("name", "query", "why"),
    [
        ("webwxgetmsgimg", {"skey": "@crypt_wrong"}, "skey is wrong"),
        ("webwxgetmsgimg", {"MsgID": ""}, "MsgID is missing"),
        ("webwxgetmsgimg", {"MsgID": "5"}, "no message has this id"),
        ("webwxgetvoice", {"msgid": "IMAGE"}, "a message of type 3"),
        ("webwxgetmsgimg", {"MsgID": "STORE"}, "an emoticon from the store"),
    ],
)
async def test_what_cannot_be_had_is_empty(online: Browser, name: str, query: dict[str, str], why: str) -> None:
    ids = {
        "IMAGE": (await receive(online, kind="image"))["MsgId"],
        "STORE": (await receive(online, kind="emoticon", store=True))["MsgId"],
    }
    query = {"MsgID": ids["IMAGE"], **query} if name == "webwxgetmsgimg" else query
    query = {key: ids.get(value, value) for key, value in query.items()}
    assert await fetch(online, name, **query) == (200, "text/plain", b"")
    assert any(what.startswith(why) for what in await violations(online))


async def test_a_file(online: Browser, sandbox: Sandbox) -> None:
    message = await receive(online, kind="file", name="报告 & 数据.pdf", size=3_000_000)
    session = sandbox.accounts[UIN].session
    assert session is not None
    right = {
        "sender": message["FromUserName"],
        "mediaid": message["MediaId"],
        "encryfilename": message["EncryFileName"],
        "fromuser": str(UIN),
        "pass_ticket": online.values["pass_ticket"],
        "webwx_data_ticket": session.data_ticket,
    }
    host = f"file.{online.domain}"
    status, _, body = await fetch(online, "webwxgetmedia", host, **right)
    assert (status, len(body)) == (200, 3_000_000)
    status, _, body = await fetch(online, "webwxgetmedia", host, **(right | {"fromuser": online.me}))
    assert len(body) == 3_000_000
    assert await violations(online) == []
    for key in ("mediaid", "webwx_data_ticket"):
        assert await fetch(online, "webwxgetmedia", host, **(right | {key: ""})) == (200, "text/plain", b""), key
    assert (await fetch(online, "webwxgetmedia", **right))[0] == 404, "not on the base host"


async def test_head_images(online: Browser) -> None:
    details = await online.api("GET", f"/accounts/{UIN}")
    friend = next(c for c in details["contacts"] if c["kind"] == "friend")
    group = details["groups"][0]
    stranger = next(m for m in group["members"] if m["kind"] == "stranger")
    room = (await online.batch(group["username"]))["ContactList"][0]["EncryChatRoomId"]
    request = await receive(online, kind="friend_request")
    for name, query in (
        ("webwxgeticon", {"username": friend["username"]}),
        ("webwxgeticon", {"username": online.me, "type": "big"}),
        ("webwxgeticon", {"username": stranger["username"], "chatroomid": room}),
        ("webwxgeticon", {"username": request["RecommendInfo"]["UserName"], "msgid": request["MsgId"]}),
        ("webwxgetheadimg", {"username": group["username"]}),
    ):
        status, kind, body = await fetch(online, name, **query)
        assert (status, kind, body[:2]) == (200, "image/jpeg", b"\xff\xd8"), query
    assert await violations(online) == []
    for name, query in (
        ("webwxgeticon", {"username": stranger["username"]}),
        ("webwxgeticon", {"username": stranger["username"], "chatroomid": "@other"}),
        ("webwxgeticon", {"username": "@nobody"}),
        ("webwxgeticon", {"username": friend["username"], "skey": "wrong"}),
        ("webwxgetheadimg", {"username": friend["username"]}),
    ):
        assert await fetch(online, name, **query) == (200, "text/plain", b""), query
    status, _, body = await fetch(online, "webwxgeticon", username=friend["username"], skey="")
    assert body, "addresses come without skey now and then"


async def test_a_download_breaks_off_on_order(online: Browser) -> None:
    image = await receive(online, kind="image", size=5000)
    await online.api("POST", "/faults", {"endpoint": "webwxgetmsgimg", "kind": "truncate", "value": 100})
    with pytest.raises(Exception, match="payload"):
        await fetch(online, "webwxgetmsgimg", MsgID=image["MsgId"])


async def test_a_dead_session_gets_nothing(online: Browser) -> None:
    image = await receive(online, kind="image")
    await online.api("POST", f"/accounts/{UIN}/logout", {})
    assert (await fetch(online, "webwxgetmsgimg", MsgID=image["MsgId"]))[2] == b""


async def test_content_is_kept_over_restarts_and_within_bounds(tmp_path: Json) -> None:
    options = Options(contents=tmp_path / "contents")
    async with sandbox_and_browser(options) as (_, browser):
        got = await browser.api("POST", f"/accounts/{UIN}/receive", {"from": "小明", "kind": "image"})
    again = Sandbox(options)
    path = again.contents.path(got["md5"])
    assert path is not None and path.stat().st_size == got["size"]
    again.contents._most = 100
    newer = again.contents.add(b"x" * 90)
    assert again.contents.path(got["md5"]) is None
    assert not path.exists()
    assert again.contents.size(newer) == 90
