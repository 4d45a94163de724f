"""Messages of every kind, as the account's friends, WeChat and its own phone send them."""

import base64
import html
import re

import pytest

from tests.unit.sandbox.conftest import UIN
from tests.unit.sandbox.wire import Browser, Json
from wxcontroller.sandbox.sandbox import Sandbox
from wxcontroller.sandbox.snapshot import load, save


async def receive(browser: Browser, status: int | None = None, **body: Json) -> Json:
    return await browser.api("POST", f"/accounts/{UIN}/receive", {"from": "小明", **body}, status=status)


async def phone(browser: Browser, status: int | None = None, **body: Json) -> Json:
    return await browser.api("POST", f"/accounts/{UIN}/phone-send", body, status=status)


async def one(browser: Browser) -> Json:
    [message] = (await browser.sync())["AddMsgList"]
    return message


def xml(message: Json) -> str:
    content: str = message["Content"]
    return html.unescape(content.replace("<br/>", "\n"))


@pytest.mark.parametrize(
    ("body", "expected", "inside"),
    [
        ({"kind": "image"}, {"MsgType": 3, "ImgStatus": 2, "ImgWidth": 90}, "<img length="),
        ({"kind": "emoticon"}, {"MsgType": 47, "HasProductId": 0}, "<emoji fromusername="),
        ({"kind": "emoticon", "store": True}, {"MsgType": 47, "HasProductId": 1, "Content": ""}, ""),
        ({"kind": "voice", "length": 3000}, {"MsgType": 34, "VoiceLength": 3000}, 'voicelength="3000"'),
        ({"kind": "video", "length": 9}, {"MsgType": 43, "PlayLength": 9}, "<videomsg "),
        ({"kind": "microvideo"}, {"MsgType": 62, "PlayLength": 2}, "<videomsg "),
        (
            {"kind": "file", "name": "报告 & 数据.PDF", "size": 28457},
            {"MsgType": 49, "AppMsgType": 6, "FileName": "报告 &amp; 数据.PDF", "FileSize": "28457"},
            "<title>报告 &amp; 数据.PDF</title>",
        ),
        (
            {"kind": "link", "title": "A & B", "url": "http://example.invalid/?a=1&b=2", "description": "<d>"},
            {
                "MsgType": 49,
                "AppMsgType": 5,
                "FileName": "A &amp; B",
                "Url": "http://example.invalid/?a=1&amp;amp;b=2",
            },
            "<url>http://example.invalid/?a=1&amp;amp;b=2</url>",
        ),
        ({"kind": "app", "title": "x", "app_type": 33}, {"MsgType": 49, "AppMsgType": 33}, "<type>33</type>"),
        (
            {"kind": "transfer", "amount": "8.88", "text": "lunch"},
            {"AppMsgType": 2000, "FileName": "微信转账"},
            "<pay_memo><![CDATA[lunch]]></pay_memo>",
        ),
        ({"kind": "card", "who": "Tom O'Neil"}, {"MsgType": 42}, 'nickname="Tom O\'Neil"'),
        ({"kind": "notice", "text": "a <b>"}, {"MsgType": 10000, "Content": "a &lt;b&gt;"}, ""),
        ({"kind": "voip"}, {"MsgType": 50}, "<voipinvitemsg>"),
        (
            {"kind": "raw", "msg_type": 9999, "text": "&lt;x&gt;", "fields": {"Status": 4, "New": 1}},
            {"MsgType": 9999, "Content": "&lt;x&gt;", "Status": 4, "New": 1},
            "",
        ),
    ],
)
async def test_kinds(online: Browser, body: Json, expected: Json, inside: str) -> None:
    result = await receive(online, **body)
    message = await one(online)
    assert message["MsgId"] == result["msg_id"]
    assert {key: message.get(key) for key in expected} == expected
    assert inside in xml(message)
    await phone(online, 400, to="小明", kind="notice", text="x")


async def test_location_has_its_xml_beside(online: Browser) -> None:
    group = (await online.api("GET", f"/accounts/{UIN}"))["groups"][0]
    speaker = group["members"][2]
    await receive(
        online,
        kind="location",
        title='A "&" B',
        text="Street 1",
        latitude=1.5,
        longitude=-2,
        group=group["wxid"],
        **{"from": speaker["wxid"]},
    )
    message = await one(online)
    assert (message["MsgType"], message["SubMsgType"]) == (1, 48)
    assert message["Content"].startswith(f'{speaker["username"]}:<br/>A "&amp;" B:<br/>/cgi-bin/mmwebwx-bin/webwxget')
    assert f"msgid={message['MsgId']}&pictype=location" in message["Content"]
    assert message["Url"] == "http://apis.map.qq.com/uri/v1/geocoder?coord=1.500000,-2.000000"
    assert """x="1.500000" y="-2.000000" scale="16" label="Street 1\"""" in message["OriContent"]
    assert "poiname='A \"&amp;\" B'" in message["OriContent"]


async def test_group_prefix_on_media_and_none_on_notices(online: Browser) -> None:
    group = (await online.api("GET", f"/accounts/{UIN}"))["groups"][0]
    speaker = group["members"][2]
    to: Json = {"group": group["wxid"], "from": speaker["wxid"]}
    await receive(online, kind="image", **to)
    await receive(online, kind="notice", text="hello", **to)
    await online.api("POST", f"/accounts/{UIN}/receive", {"kind": "notice", "text": "again", "group": group["wxid"]})
    await phone(online, to=group["wxid"], kind="image")
    image, notice, again, mine = (await online.sync())["AddMsgList"]
    assert image["Content"].startswith(f"{speaker['username']}:<br/>&lt;?xml")
    assert [notice["Content"], again["Content"]] == ["hello", "again"]
    assert notice["FromUserName"] == again["FromUserName"] == group["username"]
    assert mine["FromUserName"] == online.me
    assert mine["Content"].startswith("&lt;?xml")


async def test_given_content_is_what_scripting_gives_back(online: Browser) -> None:
    data = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    got = await receive(online, kind="image", content=base64.b64encode(data).decode())
    assert (got["size"], got["mime"]) == (len(data), "image/png")
    async with online.http.get(f"http://127.0.0.1:{online.port}/sandbox/contents/{got['md5']}") as response:
        assert (response.content_type, await response.read()) == ("image/png", data)
    page = base64.b64encode(b"<script>alert(1)</script>").decode()
    got = await receive(online, kind="file", content=page, name="a.html")
    async with online.http.get(f"http://127.0.0.1:{online.port}/sandbox/contents/{got['md5']}") as response:
        assert response.content_type == "application/octet-stream"
    lines = await online.api("GET", f"/accounts/{UIN}/chats?with=小明")
    assert [(line["kind"], line["text"]) for line in lines] == [("image", "[image]"), ("file", "[a.html]")]


async def test_revokes_swap_sides_for_ones_own(online: Browser) -> None:
    theirs = await receive(online, kind="text", text="oops")
    mine = await phone(online, to="小明", text="oops too")
    await online.sync()
    await online.api("POST", f"/accounts/{UIN}/receive", {"kind": "revoke", "msg_id": theirs["msg_id"]})
    await phone(online, kind="revoke", msg_id=mine["msg_id"])
    first, second = (await online.sync())["AddMsgList"]
    friend = first["FromUserName"]
    assert friend != online.me
    assert (first["MsgType"], second["MsgType"], second["FromUserName"]) == (10002, 10002, friend)
    assert f"<msgid>{theirs['msg_id']}</msgid>" in xml(first)
    assert '"小明" 撤回了一条消息' in xml(first)
    assert f"<msgid>{mine['msg_id']}</msgid>" in xml(second)
    assert "你撤回了一条消息" in xml(second)
    path = f"/accounts/{UIN}/receive"
    assert "error" in await online.api("POST", path, {"kind": "revoke", "msg_id": mine["msg_id"]}, status=400)
    assert "error" in await online.api("POST", path, {"kind": "revoke", "msg_id": "5"}, status=400)
    assert "error" in await phone(online, 400, kind="revoke", msg_id=theirs["msg_id"])


async def test_a_friend_request(online: Browser) -> None:
    sender: Json = {"from": "新<朋>友"}
    got = await receive(online, kind="friend_request", text="你好 & 再见", **sender)
    message = await one(online)
    info = message["RecommendInfo"]
    assert (message["MsgType"], message["FromUserName"]) == (37, "fmessage")
    assert (info["NickName"], info["Content"]) == ("新&lt;朋&gt;友", "你好 &amp; 再见")
    assert (info["Ticket"], info["OpCode"], info["Scene"]) == (got["ticket"], 2, 30)
    assert re.fullmatch(r"@[0-9a-f]{32,64}", info["UserName"])
    assert f'fromusername="{got["wxid"]}"' in xml(message)


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "dance"},
        {"kind": "text", "text": "x", "title": "y"},
        {"kind": "image", "content": "!!!"},
        {"kind": "image", "content": ""},
        {"kind": "file", "size": 1},
        {"kind": "link"},
        {"kind": "card", "who": "nobody"},
        {"kind": "location", "latitude": 91},
        {"kind": "notice", "text": ""},
    ],
)
async def test_what_cannot_be(online: Browser, body: Json) -> None:
    assert "error" in await receive(online, 400, **body)
    assert (await online.sync())["AddMsgList"] == []


async def test_undelivered_media_survive_a_restart(online: Browser, sandbox: Sandbox, tmp_path: Json) -> None:
    await receive(online, kind="file", name="a.txt")
    path = tmp_path / "state.json"
    save(sandbox, path)
    again = Sandbox()
    load(again, path)
    before, after = sandbox.accounts[UIN], again.accounts[UIN]
    assert (after.heard, after.media) == (before.heard, before.media)
    assert before.session is not None and after.session is not None
    assert list(after.session.queue) == list(before.session.queue)
