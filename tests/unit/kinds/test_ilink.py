"""Every kind of message on the iLink route, both ways: the whole report, and what the person gets.

The route has one person, no groups and no other device, so each kind has one case. Everything runs on one account.
"""

import base64
import hashlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.unit.client.stage import Stage, staged
from tests.unit.durability.routes import ILINK, KEY
from tests.unit.kinds.table import ILINK_INCOMING, ILINK_OUTGOING, ILinkIncoming, Outgoing
from wxcontroller.core.jsontypes import JsonObject, text
from wxcontroller.sandbox.ilink import phone
from wxcontroller.sandbox.ilink.items import ItemMedia, KeyForm, text_item
from wxcontroller.sandbox.media.storedcontent import ContentItem

pytestmark = pytest.mark.asyncio(loop_scope="module")


def write(stage: Stage, kind: ILinkIncoming) -> str:
    """Write a message of a kind; return its id."""
    account, sandbox = stage.account, stage.wechat.sandbox
    if not kind.media:
        item: JsonObject = {"type": 8} if kind.format == "other" else text_item(kind.content)
        return text(phone.write(sandbox, account, stage.ilink.bot, item, kind.content)["message_id"])
    content = ContentItem(kind.media, sandbox.contents.add(kind.data), len(kind.data), kind.file_name)
    media = ItemMedia(content, KEY, kind.form, kind.full_url, 1500, 3, kind.transcript)
    return text(phone.write_media(sandbox, account, media)["message_id"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with staged(tmp_path_factory.mktemp("ilink"), ILINK, Stage) as one:
        await one.enter(WXCLIENT_BUDGET_PER_INBOUND="0")
        one.ilink.user.settings.budget = 0
        await one.hear("hello")
        yield one


def person(side: str, name: str, shown: str, named: str = "") -> JsonObject:
    empty = dict.fromkeys((f"{side}_account", f"{side}_markname", f"{side}_uid"), "")
    return {side: shown, f"{side}_id": name, f"{side}_name": named, **empty}


def media(stage: Stage, kind: ILinkIncoming, message_id: str, path: Path) -> JsonObject:
    """The fields of media, from the content that was written."""
    assert path.read_bytes() == kind.data
    assert path.parent == stage.client.paths.media("alice")
    return {
        "media_type": kind.media,
        "media_id": f"{message_id}:{kind.fields['media_code']}",
        "media_path": str(path),
        "media_size": len(kind.data),
        "media_name": kind.file_name if kind.media == "file" else "",
        "media_data": base64.encodebytes(kind.data).decode(),
    }


@pytest.mark.parametrize("kind", ILINK_INCOMING, ids=lambda kind: kind.name)
async def test_the_whole_report(stage: Stage, kind: ILinkIncoming) -> None:
    message_id = write(stage, kind)
    report = await stage.report(message_id)
    assert abs(int(str(report.pop("time"))) - time.time()) < 60
    peer, bot = stage.ilink.peer, stage.ilink.bot.bot_id
    path = Path(text(report.get("media_path")))
    expected: JsonObject = {
        "post_type": "receive_message",
        "id": message_id,
        "type": "friend_message",
        "class": "recv",
        "format": kind.format,
        "content": kind.content.replace("{path}", str(path)),
        **person("sender", peer, peer),
        "sender_category": "好友",
        **person("receiver", bot, bot, bot),
        **kind.fields,
    }
    if kind.media:
        assert abs(int(str(report.pop("media_mtime"))) - time.time()) < 60
        expected |= media(stage, kind, message_id, path)
    assert report == expected


@pytest.mark.parametrize("kind", ILINK_OUTGOING, ids=lambda kind: kind.name)
async def test_recipient_gets_what_was_sent(stage: Stage, kind: Outgoing) -> None:
    answer = await stage.send("", kind.data, **kind.parameters)
    assert (answer["code"], answer["status"], answer["state"]) == (0, "success", "delivered"), answer
    sent = stage.ilink.sent()[-1]
    assert (sent.kind, sent.problem) == (kind.kind, "")
    assert answer["id"] == f"{sent.message_id}:{stage.ilink.peer}"
    report = await stage.report(text(answer["id"]))
    assert (report["post_type"], report["type"], report["code"], report["state"]) == (
        *("send_message", "friend_message", "", "delivered"),
    )
    if kind.kind == "text":
        assert (sent.text, report["content"]) == (kind.gets, kind.gets)
        return
    assert sent.item is not None
    assert (sent.item.md5, sent.item.size) == (hashlib.md5(kind.data).hexdigest(), len(kind.data))
    assert not kind.title or sent.name == kind.title
    assert (report["format"], report["media_code"]) == ("media", str(kind.code))
    uploads = stage.ilink.requests("upload")
    again = await stage.send(media_id=text(answer["media_id"]))
    assert (again["code"], stage.ilink.requests("upload")) == (0, uploads)
    copy = stage.ilink.sent()[-1].item
    assert copy is not None and copy.md5 == sent.item.md5


async def test_received_content_is_sent_on(stage: Stage) -> None:
    kind = next(one for one in ILINK_INCOMING if one.media == "image" and one.form is KeyForm.RAW)
    report = await stage.report(write(stage, kind))
    answer = await stage.send(media_id=text(report["media_id"]))
    assert answer["code"] == 0, answer
    sent = stage.ilink.sent()[-1].item
    assert sent is not None and sent.md5 == hashlib.md5(kind.data).hexdigest()
