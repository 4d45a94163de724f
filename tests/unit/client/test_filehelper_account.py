"""An account on the filehelper route: its life above the driver is that of any other, with the sandbox as WeChat."""

import json
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from tests.unit.client.conftest import POST_API, RunningClient, Start, Webhook
from tests.unit.drivers.kit import HURRY, Wechat, wechat
from wxcontroller.core.jsontypes import JsonObject, integer, obj, text
from wxcontroller.drivers.base import Driver, DriverContext
from wxcontroller.drivers.filehelper.driver import FileHelperDriver
from wxcontroller.drivers.web.media.uploads import LARGE
from wxcontroller.sandbox import compose, samples
from wxcontroller.sandbox.account import ServerAccount, WebLogin
from wxcontroller.sandbox.compose import Draft
from wxcontroller.sandbox.contents import ContentItem
from wxcontroller.sandbox.faults import FaultKind
from wxcontroller.sandbox.session import ServerMessage


@pytest.fixture
async def world() -> AsyncIterator[Wechat]:
    async with wechat() as found:
        yield found


@pytest.fixture
def alice(world: Wechat) -> ServerAccount:
    """An account that web login refuses."""
    return world.sandbox.add_account("Alice", web_login=WebLogin.REFUSED)


def quickly(context: DriverContext) -> Driver:
    return FileHelperDriver(context, HURRY)


def begin(start: Start, world: Wechat, webhook: Webhook, **environ: str) -> RunningClient:
    route = {"WXCLIENT_DRIVER": "filehelper", "WXCLIENT_SERVER": world.url, POST_API: webhook.address}
    pauses = dict.fromkeys(("MOJO_WEIXIN_SYNCCHECK_INTERVAL", "MOJO_WEIXIN_SYNCCHECK_DELAY"), "0")
    return start(make=quickly, **route, **pauses, **environ)


async def scan(client: RunningClient, world: Wechat, alice: ServerAccount) -> None:
    await client.until_state("scaning")
    login = world.sandbox.logins.newest_first()[0]
    world.sandbox.logins.scan(login, alice.uin)
    world.sandbox.logins.confirm(login)


async def enter(client: RunningClient, world: Wechat, alice: ServerAccount) -> None:
    await scan(client, world, alice)
    await client.until_state("running")


def write(world: Wechat, alice: ServerAccount, words: str) -> ServerMessage:
    """Be the owner, who writes to File Transfer on the phone."""
    return world.sandbox.deliver(alice, "filehelper", alice.wxid, words, "phone")


def put(world: Wechat, alice: ServerAccount, message: Callable[[Draft], ServerMessage]) -> None:
    """Be the owner, who puts something into File Transfer on the phone."""
    made = message(Draft(world.sandbox.next_msg_id(), "filehelper", alice.wxid))
    if made.item is not None and (media_id := text(made.fields.get("MediaId"))):
        alice.hold(media_id, made.item)
    world.sandbox.bring(alice, made, "phone", "")


def item(world: Wechat, kind: str, content: bytes, name: str) -> ContentItem:
    return ContentItem(kind, world.sandbox.contents.add(content), len(content), name)


async def send(client: RunningClient, content: bytes, name: str) -> JsonObject:
    body = aiohttp.FormData({"id": "filehelper"})
    body.add_field("media_data", content, filename=name)
    async with client.http.post(client.address("send_friend_message"), data=body) as answer:
        return obj(json.loads(await answer.read()))


@pytest.fixture
async def client(start: Start, world: Wechat, alice: ServerAccount, webhook: Webhook) -> RunningClient:
    one = begin(start, world, webhook)
    await enter(one, world, alice)
    return one


async def test_unsupported_calls_are_refused_with_a_reason(
    start: Start, world: Wechat, alice: ServerAccount, webhook: Webhook
) -> None:
    client = begin(start, world, webhook, MOJO_WEIXIN_MEDIA_SIZE_MAX=str(2 * LARGE))
    await enter(client, world, alice)

    async def code(call: str, **form: str) -> int:
        return integer(obj(await client.post(call, **form))["code"])

    assert await code("send_friend_message", id="somebody", content="x") == 100
    assert await code("send_group_message", id="@@x", content="x") == -10
    assert await code("revoke_message", id="1") == -10
    assert await code("make_friend", id="x") == -10
    assert await code("set_markname", id="filehelper", new="x") != 0
    assert (await send(client, bytes(LARGE + 1), "a.zip"))["code"] != 0
    assert (alice.sent_count, world.requests("webwxcheckupload"), world.requests("webwxuploadmedia")) == (0, 0, 0)
    able = obj((await client.told())["capabilities"])
    assert [able[what] for what in ("contacts", "groups", "recall", "avatars")] == [False] * 4


async def test_files_are_sent_and_received(
    client: RunningClient, world: Wechat, alice: ServerAccount, webhook: Webhook
) -> None:
    picture, paper = samples.png("x"), bytes(range(256)) * 2400  # two pieces
    shown, kept = item(world, "image", picture, "a.png"), item(world, "file", paper, "a.pdf")
    put(world, alice, lambda draft: compose.image(draft, shown))
    put(world, alice, lambda draft: compose.file(draft, kept))
    reports = await webhook.messages(2)
    assert [(one["format"], one["media_size"], one["sender_id"]) for one in reports] == [
        ("media", len(picture), "filehelper"),
        ("media", len(paper), "filehelper"),
    ]

    for content, name in ((picture, "b.png"), (samples.gif("x"), "c.gif"), (paper, "d.pdf")):
        assert (await send(client, content, name))["code"] == 0
    assert [(sent.kind, sent.item and sent.item.size) for sent in alice.sent] == [
        ("image", len(picture)),
        ("file", len(samples.gif("x"))),
        ("file", len(paper)),
    ]
    assert world.violations() == []


async def test_echo_of_a_send_is_not_received(
    start: Start, world: Wechat, alice: ServerAccount, webhook: Webhook
) -> None:
    alice.echo = True
    client = begin(start, world, webhook)
    await enter(client, world, alice)
    for number in range(3):
        assert obj(await client.post("send_friend_message", id="filehelper", content=f"sent {number}"))["code"] == 0
    write(world, alice, "written")
    await webhook.until(lambda reports: any(one.get("content") == "written" for one in reports))
    received = [one["content"] for one in webhook.reports if one["post_type"] == "receive_message"]
    assert received == ["written"]


async def test_send_with_a_lost_response_is_not_duplicated(
    client: RunningClient, world: Wechat, alice: ServerAccount
) -> None:
    world.fault("webwxsendmsg", FaultKind.RESET, "after")
    assert obj(await client.post("send_friend_message", id="filehelper", content="once"))["code"] == 0
    assert [sent.text for sent in alice.sent] == ["once"]
