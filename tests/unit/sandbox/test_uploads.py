"""Files that the web client gives and sends."""

import html
from typing import Any

import pytest

from tests.unit.sandbox.conftest import UIN
from tests.unit.sandbox.uploading import CHUNK, Uploader, appmsg
from tests.unit.sandbox.wire import Browser, Json
from wxcontroller.sandbox import samples
from wxcontroller.sandbox.sandbox import Sandbox


@pytest.fixture
def uploader(online: Browser, sandbox: Sandbox) -> Uploader:
    return Uploader(online, sandbox)


def ret(answer: Json) -> int:
    code: int = answer["BaseResponse"]["Ret"]
    return code


async def sent(browser: Browser) -> Json:
    return await browser.api("GET", f"/accounts/{UIN}/sent")


async def content(browser: Browser, seq: int) -> bytes:
    url = f"http://127.0.0.1:{browser.port}/sandbox/accounts/{UIN}/sent/{seq}/content"
    async with browser.http.get(url) as response:
        assert response.status == 200, await response.text()
        return await response.read()


async def violations(browser: Browser) -> list[str]:
    return [v["what"] for v in (await browser.api("GET", f"/requests?uin={UIN}"))["violations"]]


async def test_all_kinds_arrive_whole(online: Browser, uploader: Uploader) -> None:
    png, gif, mp4, doc = samples.png("a"), samples.gif("a"), samples.mp4("a"), b"%PDF-1.4 x\r\n--y" * 80_000
    assert len(doc) > 2 * CHUNK
    ids = [
        await uploader.file(png, "a.png", "pic"),
        await uploader.file(gif, "a.gif", "doc"),
        await uploader.file(mp4, "a.mp4", "video"),
        await uploader.file(doc, "file.pdf", "doc"),
    ]
    answers = [
        await uploader.send("webwxsendmsgimg", Type=3, MediaId=ids[0], Content=""),
        await uploader.send("webwxsendemoticon", Type=47, EmojiFlag=2, MediaId=ids[1]),
        await uploader.send("webwxsendvideomsg", Type=43, MediaId=ids[2], Content=""),
        await uploader.send(
            "webwxsendappmsg", Type=6, Content=appmsg("报告 &amp; &lt;x&gt;.PDF", len(doc), ids[3], "pdf")
        ),
    ]
    assert [ret(answer) for answer in answers] == [0, 0, 0, 0]
    messages = await sent(online)
    assert [m["kind"] for m in messages] == ["image", "emoticon", "video", "file"]
    assert [m["msg_id"] for m in messages] == [a["MsgID"] for a in answers]
    assert messages[3]["name"] == "报告 & <x>.PDF"
    assert [m["size"] for m in messages] == [len(data) for data in (png, gif, mp4, doc)]
    for message, data in zip(messages, (png, gif, mp4, doc), strict=True):
        assert await content(online, message["seq"]) == data
    assert await violations(online) == []
    path = f"/accounts/{UIN}/sent/99/content"
    assert "error" in await online.api("GET", path, status=404)


async def test_a_media_id_is_good_for_others_and_a_repeat_is_one_message(online: Browser, uploader: Uploader) -> None:
    media_id = await uploader.file(samples.png("b"), "b.png", "pic")
    details = await online.api("GET", f"/accounts/{UIN}")
    friend = next(c for c in details["contacts"] if c["kind"] == "friend")
    for to in (friend["username"], details["groups"][0]["username"]):
        message: Json = {"Type": 3, "MediaId": media_id, "Content": "", "LocalID": to[:9], "ClientMsgId": to[:9]}
        first = await uploader.send("webwxsendmsgimg", to=to, **message)
        assert ret(first) == 0
        assert await uploader.send("webwxsendmsgimg", to=to, **message) == first
    assert len(await sent(online)) == 2


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"webwx_data_ticket": None}, "part webwx_data_ticket is missing"),
        ({"webwx_data_ticket": "x"}, "part webwx_data_ticket is wrong"),
        ({"disposition": "form-data; name=\"filename\"; filename*=utf-8''a.txt"}, "RFC 2231"),
        ({"disposition": 'form-data; name="filename"; filename="a"; filename*=utf-8\'\'a.txt'}, "RFC 2231"),
        ({"mediatype": "pic"}, "no picture"),
        ({"uploadmediarequest": "{"}, "not JSON"),
    ],
)
async def test_uploads_that_are_refused(online: Browser, uploader: Uploader, changed: Json, why: str) -> None:
    answer = await uploader.chunk(b"some text", "a.txt", "doc", **changed)
    assert (ret(answer), answer["MediaId"]) == (1, "")
    assert any(why in what for what in await violations(online)), await violations(online)


async def test_whose_upload_it_is(online: Browser, uploader: Uploader) -> None:
    data = b"some text"
    other = {"BaseRequest": online.base() | {"Skey": "@crypt_x"}}
    assert ret(await uploader.chunk(data, "a.txt", "doc", asked=other)) == 1101
    assert await uploader.chunk(data, "a.txt", "doc", host=online.domain) == 404
    online.jar.clear()
    assert ret(await uploader.chunk(data, "a.txt", "doc")) == 1102


async def test_an_empty_file(online: Browser, uploader: Uploader) -> None:
    assert ret(await uploader.chunk(b"", "a.txt", "doc")) == 1


async def test_chunks(online: Browser, uploader: Uploader) -> None:
    data = b"0123456789abcdef" * 80_000
    first = await uploader.chunk(data, "a.bin", "doc", 0)
    assert (first["MediaId"], first["StartPos"]) == ("", CHUNK)
    await uploader.chunk(data, "a.bin", "doc", 1)
    changed = await uploader.chunk(data, "a.bin", "doc", 2, asked={"ClientMediaId": 5})
    assert (ret(changed), changed["MediaId"]) == (0, ""), "no error, and no MediaId either"
    last = await uploader.chunk(data, "a.bin", "doc", 2)
    assert last["MediaId"].startswith("@crypt_")
    await uploader.chunk(data, "a.bin", "doc", 0)
    assert ret(await uploader.chunk(data, "a.bin", "doc", 2)) == 1, "out of order"
    whole = await uploader.chunk(data, "a.bin", "doc", part=data, chunks=None, chunk=None)
    assert ret(whole) == 1, "too much for one request"


async def test_uploads_end_with_their_session(online: Browser, uploader: Uploader, sandbox: Sandbox) -> None:
    data = bytes(CHUNK + 1)
    await uploader.chunk(data, "a.bin", "doc", 0)
    [upload] = sandbox.accounts[UIN].uploads.values()
    assert upload.incoming.path.exists()
    await online.log_in(UIN)
    assert not upload.incoming.path.exists()
    again = Uploader(online, sandbox)
    assert (await again.chunk(data, "a.bin", "doc", 1))["MediaId"] == ""


async def test_large_files_need_a_signature(online: Browser, uploader: Uploader) -> None:
    data = bytes(26_214_401)
    assert ret(await uploader.chunk(data, "big.zip", "doc")) == 1
    checked = await uploader.check(data, "big.zip")
    assert (ret(checked), checked["MediaId"]) == (0, "")
    asked = {"AESKey": checked["AESKey"], "Signature": checked["Signature"]}
    media_id = await uploader.file(data, "big.zip", "doc", asked=asked)
    xml = appmsg("big.zip", len(data), media_id, "zip")
    assert ret(await uploader.send("webwxsendappmsg", Type=6, Content=xml)) == 1
    assert ret(await uploader.send("webwxsendappmsg", Type=6, Content=xml, Signature=checked["Signature"])) == 0
    again = await uploader.check(data, "copy.zip")
    assert again["MediaId"].startswith("@crypt_"), "the server has it already"
    xml = appmsg("copy.zip", len(data), again["MediaId"], "zip")
    assert ret(await uploader.send("webwxsendappmsg", Type=6, Content=xml, Signature=again["Signature"])) == 0
    assert [(m["name"], m["size"]) for m in await sent(online)] == [
        ("big.zip", len(data)),
        ("copy.zip", len(data)),
    ]


@pytest.mark.parametrize("changed", [{"FileType": 1}, {"FileSize": 0}, {"FileMd5": ""}])
async def test_checks_that_are_refused(uploader: Uploader, changed: Json) -> None:
    assert ret(await uploader.check(b"some text", "a.txt", **changed)) == 1


async def test_messages_that_are_refused(online: Browser, uploader: Uploader) -> None:
    doc = await uploader.file(b"text", "c.txt", "doc")
    right = appmsg("c.txt", 4, doc, "txt")
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("webwxsendmsgimg", {"Type": 3, "MediaId": "@crypt_no"}),
        ("webwxsendmsgimg", {"Type": 3, "MediaId": "", "Content": ""}),
        ("webwxsendemoticon", {"Type": 47, "EmojiFlag": 2}),
        ("webwxsendemoticon", {"Type": 47, "EmojiFlag": 2, "EMoticonMd5": "0" * 32}),
        ("webwxsendappmsg", {"Type": 6, "Content": appmsg("a & b.txt", 4, doc, "txt")}),
        ("webwxsendappmsg", {"Type": 6, "Content": appmsg("c.txt", 4, "@crypt_no", "txt")}),
        ("webwxsendappmsg", {"Type": 6, "Content": ""}),
        ("webwxsendappmsg", {"Type": 6, "Content": "<!DOCTYPE x>" + right}),
    ]
    for name, message in wrong:
        answer = await uploader.send(name, **message)
        assert (ret(answer), answer["MsgID"]) == (1, ""), (name, message)
    assert ret(await uploader.send("webwxsendappmsg", Type=6, Content=right, to="@nobody")) == -2
    assert await sent(online) == []
    assert ret(await uploader.send("webwxsendappmsg", Type=6, Content=appmsg("C.TXT", 4, doc, "TXT"))) == 0
    assert "fileext is not the extension of title in lower case" in await violations(online)


async def test_received_messages_are_forwarded_by_reference(online: Browser, uploader: Uploader) -> None:
    for kind in ("image", "microvideo", "emoticon", "file", "link"):
        more = {"title": "t", "url": "http://example.invalid"} if kind == "link" else {}
        await online.api("POST", f"/accounts/{UIN}/receive", {"from": "小明", "kind": kind, **more})
    received = (await online.sync())["AddMsgList"]
    xmls = [html.unescape(m["Content"].replace("<br/>", "\n")) for m in received]
    md5 = xmls[2].split('md5="')[1][:32]
    attached = xmls[3].split("<attachid>")[1].split("<")[0]
    answers = [
        await uploader.send("webwxsendmsgimg", 2, Type=3, MediaId="", Content=xmls[0]),
        await uploader.send("webwxsendvideomsg", 2, Type=62, MediaId="", Content=xmls[1]),
        await uploader.send("webwxsendemoticon", Type=47, EmojiFlag=2, EMoticonMd5=md5),
        await uploader.send("webwxsendappmsg", 2, Type=6, Content=xmls[3].replace(attached, received[3]["MediaId"])),
        await uploader.send("webwxsendappmsg", 2, Type=5, Content=xmls[4]),
    ]
    assert [ret(answer) for answer in answers] == [0] * 5, await violations(online)
    messages = await sent(online)
    assert [m["kind"] for m in messages] == ["image", "video", "emoticon", "file", "app"]
    assert (await content(online, messages[0]["seq"]))[:2] == b"\xff\xd8"
    assert await violations(online) == []
