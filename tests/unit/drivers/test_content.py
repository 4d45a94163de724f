"""Content on the wire: uploads, downloads and the messages that carry it, as the protocols' tables have them."""

import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import pytest
from aiohttp import BodyPartReader, web

from tests.serving import serving
from tests.unit.drivers.ilink_kit import QUICK
from tests.unit.drivers.kit import HURRY, Store
from tests.unit.drivers.test_requests import (
    BASE,
    CGI,
    INFO,
    MS,
    SESSION,
    Expected,
    Fields,
    compare,
    request_of,
    same,
)
from wxcontroller.core.aes import Decryptor
from wxcontroller.core.errors import Unsupported, UploadFailed, WeChatError
from wxcontroller.core.jsontypes import JsonObject, obj, read_json
from wxcontroller.core.model import MessageKind, MessageMedia
from wxcontroller.drivers.base import Upload, Uploaded
from wxcontroller.drivers.connection.transport import Transport
from wxcontroller.drivers.ilink.media import ILinkMedia
from wxcontroller.drivers.ilink.memory import ILinkMemory
from wxcontroller.drivers.ilink.wire import Credentials, ILinkCalls, ILinkHosts
from wxcontroller.drivers.web.media.downloads import Downloads
from wxcontroller.drivers.web.media.uploads import Uploads, kind_of
from wxcontroller.drivers.web.wire.calls import WebCalls
from wxcontroller.drivers.web.wire.outgoing import media_message

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


async def test_a_server_that_gives_tiny_parts_is_not_asked_for_ever() -> None:
    asked = 0

    async def part(request: web.Request) -> web.Response:
        nonlocal asked
        start = int(re.split("[=-]", request.headers["Range"])[1])
        asked += 1
        headers = {"Content-Range": f"bytes {start}-{start + 31}/1000000"}
        return web.Response(status=206, body=b"x" * 32, headers=headers)

    async with serving(part) as port, Transport(None, HURRY, server=f"http://127.0.0.1:{port}") as transport:
        with pytest.raises(WeChatError, match="too many parts"):
            await downloads_of(transport).fetch(MessageMedia(MessageKind.VIDEO, "5"), io.BytesIO(), 1 << 20)
    assert asked == 1000


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


async def test_an_empty_file_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "content").touch()
    async with Transport(None, HURRY) as transport:
        uploads = Uploads(WebCalls(transport, HURRY, "zh_CN"), SESSION, lambda: "gQ", chunk=5)
        with pytest.raises(Unsupported, match="is empty"):
            await uploads.upload(Upload(tmp_path / "content", "a.txt", "", 0))


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


# -- uploads of iLink (11.2)

Replies: TypeAlias = "list[tuple[int, dict[str, str]]]"
DONE = (200, {"x-encrypted-param": "param"})
PERMIT_BOTH: JsonObject = {"ret": 0, "upload_full_url": "/full?a=%2B+/=", "upload_param": "p/+="}


async def never() -> None:
    raise AssertionError


@dataclass
class Cdn:
    """WeChat's API and CDN: ``permit`` is the answer about uploads, ``replies`` those to the uploads in turn."""

    permit: JsonObject
    replies: Replies
    permits: list[JsonObject] = field(default_factory=list)
    uploads: list[tuple[str, str, bytes]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.path.endswith("/getuploadurl"):
            self.permits.append(obj(read_json(body)))
            full = self.permit.get("upload_full_url")
            url = f"http://127.0.0.1:{request.host.partition(':')[2]}/c2c{full}" if full else ""
            return web.json_response({**self.permit, "upload_full_url": url})
        self.uploads.append((request.path_qs, request.headers["Content-Type"], body))
        status, headers = self.replies.pop(0)
        return web.Response(status=status, headers=headers)

    async def upload(self, path: Path, mime: str, size: int = 5) -> Uploaded:
        async with serving(self.answer) as port:
            server = f"http://127.0.0.1:{port}"
            async with Transport(None, QUICK, server=server) as transport:
                calls = ILinkCalls(transport, QUICK, ILinkHosts(server), 1 << 20)
                media = ILinkMedia(calls, transport, ILinkMemory(Store()), QUICK, never)
                credentials = Credentials("token", "b@im.bot", "U@im.wechat", "")
                return await media.upload(credentials, Upload(path, path.name, mime, size))


@pytest.mark.parametrize(
    ("mime", "kind"), [("image/png", 1), ("video/mp4", 2), ("application/pdf", 3), ("audio/mpeg", 3)]
)
async def test_a_permit_and_an_upload(tmp_path: Path, mime: str, kind: int) -> None:
    (tmp_path / "content").write_bytes(b"hello")
    cdn = Cdn(PERMIT_BOTH, [DONE])
    found = await cdn.upload(tmp_path / "content", mime)
    [permit] = cdn.permits
    same(
        permit,
        {
            **{"filekey": re.compile("[0-9a-f]{32}"), "media_type": kind, "to_user_id": "U@im.wechat", "rawsize": 5},
            **{"rawfilemd5": "5d41402abc4b2a76b9719d911017c592", "filesize": 16, "no_need_thumb": True},
            **{"aeskey": re.compile("[0-9a-f]{32}"), **INFO},
        },
    )
    # A full URL is preferred, and used byte for byte.
    [(where, content_type, ciphertext)] = cdn.uploads
    assert (where, content_type, len(ciphertext)) == ("/c2c/full?a=%2B+/=", "application/octet-stream", 16)
    decryptor = Decryptor(bytes.fromhex(str(permit["aeskey"])))
    assert decryptor.update(ciphertext) + decryptor.finish() == b"hello"
    assert json.loads(found.signature)[0] == "param"


async def test_an_upload_without_a_full_url(tmp_path: Path) -> None:
    (tmp_path / "content").write_bytes(b"")
    cdn = Cdn({"upload_param": "p/+="}, [DONE])
    await cdn.upload(tmp_path / "content", "", 0)
    key = cdn.permits[0]["filekey"]
    assert cdn.uploads[0][0] == f"/c2c/upload?encrypted_query_param=p%2F%2B%3D&filekey={key}"


@pytest.mark.parametrize(
    ("permit", "replies", "uploads", "permits", "words"),
    [
        ({}, [], 0, 1, "names no place"),
        # Only 200 with the header is success; three attempts on one permit, two on another.
        (PERMIT_BOTH, [(200, {}), (500, {}), (502, {}), (200, {}), DONE], 5, 2, ""),
        (PERMIT_BOTH, [(500, {})] * 5, 5, 2, "HTTP status 500"),
        (PERMIT_BOTH, [(500, {}), (413, {"x-error-message": "too big"})], 2, 1, "too big"),
    ],
    ids=["no place", "fails at random", "fails", "refused"],
)
async def test_attempts_of_an_upload(
    tmp_path: Path, permit: JsonObject, replies: Replies, uploads: int, permits: int, words: str
) -> None:
    (tmp_path / "content").write_bytes(b"hello")
    cdn = Cdn(permit, [*replies])
    if words:
        with pytest.raises(UploadFailed, match=words):
            await cdn.upload(tmp_path / "content", "")
    else:
        await cdn.upload(tmp_path / "content", "")
    assert (len(cdn.uploads), len(cdn.permits)) == (uploads, permits)
