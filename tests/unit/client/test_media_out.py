"""Media to send: by id, content, URL and file."""

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator, Sequence
from functools import partial

import aiohttp
import pytest
from aiohttp import web

from tests.patience import until
from tests.serving import answering, serving
from tests.unit.client.conftest import POST_API, Opened, RunningClient, Start, Webhook, running
from tests.unit.client.webhook import Server
from wxcontroller.client.store.mediaids import MediaIndex
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject, obj
from wxcontroller.core.model import MessageKind, MessageMedia
from wxcontroller.drivers.base import Uploaded
from wxcontroller.openwx.http.credentials import HOLDER_HEADER, PORT_HEADER

PRIVATE = {"WXCLIENT_MEDIA_PRIVATE_URLS": "1"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
LARGE = PNG + bytes(100_000)


class Files(Server):
    def address(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    async def answer_to(self, request: web.Request, body: bytes) -> web.StreamResponse:
        match request.path:
            case "/a.png":
                return web.Response(body=PNG, content_type="image/png")
            case "/large":
                return web.Response(body=LARGE, content_type="image/png")
            case "/again":
                raise web.HTTPFound("/a.png")
            case "/round":
                raise web.HTTPFound("/round")
            case "/file":
                raise web.HTTPFound("file:///etc/passwd")
            case "/endless":
                answer = web.StreamResponse()
                await answer.prepare(request)
                try:
                    while True:
                        await answer.write(bytes(65536))
                except ConnectionError:
                    return answer
            case "/packed":
                return web.Response(body=gzip.compress(bytes(100_000)), headers={"Content-Encoding": "gzip"})
            case "/hang":
                await asyncio.sleep(3600)
                raise web.HTTPNotFound
            case "/huge":
                return web.Response(headers={"Content-Length": str(5 << 30)})
            case _:
                raise web.HTTPNotFound


@pytest.fixture
async def files() -> AsyncIterator[Files]:
    one = Files()
    async with serving(one.serve, "127.0.0.1", "127.0.0.2") as one.port:
        yield one


async def until_nothing_is_left(client: RunningClient) -> None:
    """Wait until content is gone, with the delivery of its report."""
    await until(lambda: not list(client.paths.media("alice").iterdir()))


async def test_url_is_fetched_uploaded_and_sent(start: Start, webhook: Webhook, files: Files) -> None:
    client = await running(start, **{POST_API: webhook.address}, **PRIVATE)
    answer = await client.get("send_friend_message", id="@ann", media_path=files.address("again"))
    assert answer == {"id": "771000:@ann", "code": 0, "status": "success", "media_id": "@up1:3"}
    [(file, content)] = client.driver.uploads
    assert (file.name, file.mime, file.size, content) == ("a.png", "image/png", len(PNG), PNG)
    assert client.driver.media_sends == [("@ann", Uploaded(MessageKind.IMAGE, "@up1", "a.png", len(PNG)))]
    [got] = await webhook.messages()
    assert (got["format"], got["media_type"], got["media_code"], got["media_id"]) == ("media", "image", "3", "@up1:3")
    assert got["content"] == f"[图片]({files.address('again')})"
    assert base64.b64decode(str(got["media_data"])) == PNG
    assert got["media_md5"]
    await until_nothing_is_left(client)


async def test_content_of_waiting_sends_takes_a_part_of_the_disk(start: Start, files: Files) -> None:
    client = await running(start, WXCLIENT_MEDIA_KEEP_BYTES="4000000", MOJO_WEIXIN_SEND_INTERVAL="600", **PRIVATE)
    media, refused = client.paths.media("alice"), 0
    for _ in range(30):
        content = PNG + bytes(300_000)
        answer = obj(await client.post("send_friend_message", content, "a.png", id="@ann", **{"async": "1"}))
        refused += "a quarter of media_keep_bytes" in str(answer["status"])
    assert refused >= 20
    assert sum(file.stat().st_size for file in media.iterdir()) < 1_400_000
    # Texts take no room.
    assert obj(await client.get("send_friend_message", id="@ann", content="hi", **{"async": "1"}))["code"] == 0


@pytest.mark.parametrize("way", ["openwx", "file", "url"])
async def test_one_token_leaves_room_for_the_content_of_others(start: Start, files: Files, way: str) -> None:
    client = await running(start, WXCLIENT_MEDIA_KEEP_BYTES="4000000", MOJO_WEIXIN_SEND_INTERVAL="600", **PRIVATE)
    media, secret = client.paths.media("alice"), client.paths.port_secret("alice").read_text().strip()
    client.http.headers[PORT_HEADER] = f"send {secret}"

    async def send(holder: str) -> JsonObject:
        client.http.headers[HOLDER_HEADER] = holder
        if way == "openwx":
            return obj(await client.post("send_friend_message", LARGE, id="@ann", **{"async": "1"}))
        if way == "url":
            body = {"to": "@ann", "wait": 0, "media_url": files.address("large")}
            return (await client.v1("POST", "messages", body))[1]
        form = aiohttp.FormData({"to": "@ann", "wait": "0"})
        form.add_field("file", LARGE, filename="a.png")
        return (await client.v1("POST", "messages", form))[1]

    async def refusals(answers: Sequence[JsonObject]) -> int:
        shown = [(await client.v1("GET", f"messages/{one['id']}"))[1] if one.get("id") else one for one in answers]
        words = [json.dumps(one) for one in shown]
        return sum("of this token" in one and (way == "openwx" or "queue-full" in one) for one in words)

    def taken() -> int:
        return sum(file.stat().st_size for file in media.iterdir())

    # The first one goes out at once; two are fetched at a time.
    answers = [await send("a") for _ in range(8)]
    await until(partial(refusals, answers), lambda number: number >= 3)
    before = taken()
    assert before <= 4 * len(LARGE)
    other = await send("b")
    await until(lambda: taken() == before + len(LARGE))
    assert await refusals([other]) == 0


async def test_content_of_undelivered_reports_refuses_no_sends(start: Start, webhook: Webhook) -> None:
    client = await running(start, **{POST_API: webhook.address}, WXCLIENT_MEDIA_KEEP_BYTES="4000000")
    webhook.statuses += [503] * 1000
    for _ in range(5):
        answer = obj(await client.post("send_friend_message", PNG + bytes(300_000), "a.png", id="@ann"))
        assert answer["code"] == 0, answer
    assert len(client.driver.media_sends) == 5


async def test_text_does_not_wait_for_media_that_hang(start: Start, files: Files) -> None:
    client = await running(start, WXCLIENT_LIMIT_SEND_ANSWER_SECONDS="10", **PRIVATE)
    for number in range(9):
        hanging = {"id": "@ann", "media_path": files.address(f"hang?{number}"), "async": "1"}
        assert obj(await client.get("send_friend_message", **hanging))["code"] == 0
    await files.wait(lambda: len(files.asked) >= 2)
    for target in ("@ben", "@ann"):
        assert obj(await client.get("send_friend_message", id=target, content="hi"))["code"] == 0, target


async def test_text_is_not_sent_if_its_content_cannot_be_fetched(
    start: Start, webhook: Webhook, files: Files
) -> None:
    client = await running(start, **{POST_API: webhook.address}, **PRIVATE)
    answer = obj(
        await client.get("send_friend_message", id="@ann", content="look", media_path=files.address("missing"))
    )
    assert (answer["code"], answer["status"]) == (-1, "invaild media_path")
    assert "404" in str(answer["reason"])
    assert (client.driver.sends, client.driver.media_sends) == ([], [])
    assert {(report["format"], report["code"]) for report in await webhook.messages(2)} == {
        ("text", -1),
        ("media", -1),
    }
    # The same at /v1, which names the cause, too.
    status, answer = await client.v1(
        "POST", "messages", {"to": "@ann", "text": "look", "media_url": files.address("missing")}
    )
    assert (status, answer["state"], answer["reason"]) == (200, "refused", "media-failed")
    assert "404" in str(answer["detail"])
    assert client.driver.sends == []


async def test_text_goes_when_its_content_is_there(start: Start, files: Files) -> None:
    client = await running(start, **PRIVATE)
    answer = obj(
        await client.get("send_friend_message", id="@ann", content="look", media_path=files.address("a.png"))
    )
    assert answer["code"] == 0
    assert ([words for _, words, _ in client.driver.sends], len(client.driver.media_sends)) == (["look"], 1)


async def test_urls_without_media_are_refused(start: Start, files: Files) -> None:
    client = await running(start, MOJO_WEIXIN_MEDIA_SIZE_MAX="1000000", **PRIVATE)
    too_large = "media size exceed, maximum size is 1000000 bytes"
    for path in ("missing", "round", "file", "endless", "huge", "packed"):
        answer = obj(await client.get("send_friend_message", id="@ann", media_path=files.address(path)))
        assert answer["status"] == (too_large if path in ("endless", "huge") else "invaild media_path"), path
        assert (answer["code"], answer["media_id"]) == (-1, ""), path
    assert client.driver.uploads == []
    await until_nothing_is_left(client)


@pytest.mark.parametrize("disposition", ["filename=b.png", "filename*0*=utf-8''%ff", "filename*=nothing''%ff"])
async def test_url_with_unreadable_headers_is_sent(start: Start, disposition: str) -> None:
    client = await running(start, **PRIVATE)
    head = b"Content-Type: image/\xd0\xb6\xff\r\nContent-Disposition: attachment; %b\r\n" % disposition.encode()
    async with answering(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (head, len(PNG), PNG)) as port:
        address = f"http://127.0.0.1:{port}/a/b.png"
        assert obj(await client.get("send_friend_message", id="@ann", media_path=address))["code"] == 0
    assert [(file.name, file.mime) for file, _ in client.driver.uploads] == [("b.png", "image/png")]


async def test_binary_content_is_read_from_both_kinds_of_form(client: RunningClient) -> None:
    answer = obj(await client.post("send_friend_message", PNG, id="@ann"))
    assert (answer["code"], answer["media_id"]) == (0, "@up1:3")
    quoted = "".join(f"%{byte:02x}" for byte in PNG)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = f"id=%40ann&media_name=b.png&media_path=label&media_data={quoted}"
    async with client.http.post(client.address("send_friend_message"), data=body, headers=form) as sent:
        assert obj(await sent.json())["media_id"] == "@up2:3"
    assert [content for _, content in client.driver.uploads] == [PNG, PNG]
    assert [file.name for file, _ in client.driver.uploads] == ["media.png", "b.png"]


@pytest.mark.parametrize(
    ("part", "form", "shown"),
    [
        ("report.pdf", {}, "report.pdf"),
        ("../tmp/报告.pdf", {}, "报告.pdf"),
        ("r.pdf", {"media_name": "report.pdf"}, "report.pdf"),
        ("r.pdf", {"media_path": "/srv/report.pdf"}, "report.pdf"),
        ("media_data", {}, "media.dat"),
    ],
)
async def test_uploaded_part_names_the_file_if_nothing_else_does(
    client: RunningClient, part: str, form: dict[str, str], shown: str
) -> None:
    answer = obj(await client.post("upload_media", b"%PDF-", part, **form))
    assert (answer["code"], answer["media_name"]) == (0, shown)


async def test_uploaded_media_are_sent_by_id(client: RunningClient) -> None:
    answer = obj(await client.post("upload_media", b"%PDF-", media_name="../a.pdf", media_mime="application/pdf"))
    assert (answer["media_id"], answer["media_name"], answer["code"]) == ("@up1:6", "a.pdf", 0)
    assert (answer["media_code"], answer["media_size"], answer["media_type"]) == ("6", 5, "file")
    for target in ("@ann", "@ben"):
        sent = obj(await client.get("send_friend_message", id=target, media_id="@up1:6"))
        assert (sent["code"], sent["media_id"]) == (0, "@up1:6")
    expected = Uploaded(MessageKind.FILE, "@up1", "a.pdf", 5)
    assert client.driver.media_sends == [("@ann", expected), ("@ben", expected)]
    assert len(client.driver.uploads) == 1
    other = obj(await client.get("send_friend_message", id="@ann", media_id="@old:x:43"))
    assert other["media_id"] == "@old:x:43"
    assert client.driver.media_sends[-1][1].kind is MessageKind.VIDEO


async def test_text_with_media_is_two_messages_and_one_response(start: Start, webhook: Webhook) -> None:
    client = await running(start, **{POST_API: webhook.address})
    answer = obj(await client.post("send_friend_message", PNG, id="@ann", content="look"))
    assert answer == {"id": "771001:@ann", "code": 0, "status": "success", "media_id": "@up1:3"}
    text, image = await webhook.messages(2)
    assert (text["content"], text["format"], image["format"]) == ("look", "text", "media")
    client.driver.outcomes = [WeChatError("not a friend", ret=1204)]
    answer = obj(await client.post("send_friend_message", PNG, id="@ann", content="look"))
    assert (answer["code"], answer["status"], answer["media_id"]) == (1204, "unknown error", "@up2:3")
    assert answer["reason"] == "not a friend"


async def test_media_to_all_are_uploaded_once(start: Start, webhook: Webhook) -> None:
    client = await running(start, **{POST_API: webhook.address})
    answer = obj(await client.post("send_friend_message", PNG, id="@all"))
    assert answer == {"id": 0, "code": 0, "status": "request already executed"}
    got = await webhook.messages(3)
    assert [to for to, _ in client.driver.media_sends] == ["@ann", "@ben", "filehelper"]
    assert len(client.driver.uploads) == 1
    assert {r["media_id"] for r in got} == {"@up1:3"}
    answer = obj(await client.get("send_friend_message", id="@all", media_id="@up1:3"))
    assert answer == {"id": 0, "code": 0, "status": "request already executed"}
    await webhook.messages(6)
    assert len(client.driver.media_sends) == 6
    assert len(client.driver.uploads) == 1
    await until_nothing_is_left(client)


async def test_async_send_returns_at_once_and_reports_its_result(start: Start, webhook: Webhook) -> None:
    client = await running(start, **{POST_API: webhook.address})
    waiting = {"id": "@ann", "async": "1"}
    answer = obj(await client.post("send_friend_message", PNG, **waiting))
    assert answer == {"code": 0, "status": "request already in execution"}
    await client.get("send_friend_message", media_path="/etc/passwd", **waiting)
    sent, refused = sorted(await webhook.messages(2), key=lambda r: r["code"] == -1)
    assert (sent["media_id"], "media_paths" in str(refused["info"])) == ("@up1:3", True)


async def test_failed_upload_is_retried(client: RunningClient) -> None:
    client.driver.outcomes = [WeChatError("no answer"), None]
    answer = obj(await client.post("send_friend_message", PNG, id="@ann"))
    assert (answer["code"], answer["media_id"], len(client.driver.uploads)) == (0, "@up2:3", 2)
    client.driver.outcomes = [WeChatError("no answer") for _ in range(5)]
    answer = obj(await client.post("send_friend_message", PNG, id="@ann"))
    assert (answer["code"], answer["status"], answer["media_id"]) == (-1, "media upload failure 1/1", "")


async def test_a_thousand_media_of_each_way_can_be_sent_on_by_their_id(opened: Opened) -> None:
    index, written = MediaIndex(opened()), []
    for key in map(str, range(1001)):
        written += [index.add_upload(Uploaded(MessageKind.IMAGE, key))]
        written += [index.add_received(MessageMedia(MessageKind.IMAGE, key), "")]
    await asyncio.gather(*written)
    for find in (index.upload, index.received):
        assert [bool(await find(key)) for key in ("0", "1", "1000")] == [False, True, True]
