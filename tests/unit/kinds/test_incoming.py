"""Every kind of message from WeChat to the webhook: the whole report, everywhere it can come from."""

import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.unit.client.ilink_agent import Agent, Json
from tests.unit.kinds.stage import Stage, staged
from tests.unit.kinds.table import FRIEND, GROUP, INCOMING, PHONE, PHONE_GROUP, SILENT, Incoming, raw
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj, text

pytestmark = pytest.mark.asyncio(loop_scope="module")
CASES = [
    pytest.param(kind, where, id=f"{kind.type} {kind.name}, {where}") for kind in INCOMING for where in kind.where
]
ITEM_TYPES = {"image": 2, "emoticon": 2, "voice": 3, "file": 4, "video": 5, "microvideo": 5}
CODES = {"image": 3, "file": 6, "voice": 34, "video": 43, "emoticon": 47, "microvideo": 62}
# For voice, the type that WeChat declares.
USUAL = {
    **{"image": ("image/jpeg", "jpg"), "voice": ("audio/mp3", "mp3"), "file": ("application/pdf", "pdf")},
    **{"video": ("video/mp4", "mp4"), "microvideo": ("video/mp4", "mp4"), "emoticon": ("image/gif", "gif")},
}
FIELDS = ("id", "name", "uid", "account", "markname")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with staged(tmp_path_factory.mktemp("alice")) as running:
        yield running


async def deliver(stage: Stage, where: str, body: JsonObject) -> JsonObject:
    """Let a message come; return the sandbox's answer."""
    if where in (PHONE, PHONE_GROUP):
        return await stage.sandbox(
            "phone-send", {**body, "to": stage.group if where == PHONE_GROUP else stage.friend}
        )
    if where == GROUP:
        return await stage.sandbox("receive", {**body, "from": stage.member, "group": stage.group})
    return await stage.sandbox("receive", {**body, "from": stage.official if where == "official" else stage.friend})


async def sides(stage: Stage, where: str, notice: bool) -> JsonObject:
    """Return the fields of sender, receiver and group, from the objects of the API."""
    me, outer = stage.me, where in (PHONE, PHONE_GROUP)
    found: JsonObject = {}
    if where in (GROUP, PHONE_GROUP):
        [group] = items(await stage.call("search_group", id=stage.username(stage.group)))
        found |= {"group": obj(group)["displayname"], **{f"group_{name}": obj(group)[name] for name in FIELDS[:3]}}
        members = {text(obj(one)["id"]): obj(one) for one in items(obj(group)["member"])}
        me = {**members[text(me["id"])], "uid": me["uid"]}  # in a group the account is one of the members
        if not notice:
            found |= person("sender", me if outer else members[stage.username(stage.member)])
    else:
        wxid = stage.official if where == "official" else stage.friend
        [friend] = items(await stage.call("search_friend", id=stage.username(wxid)))
        found |= person("receiver" if outer else "sender", obj(friend))
        if outer:
            found |= person("sender", me)
        else:
            found["sender_category"] = obj(friend)["category"]
    return found if outer else found | person("receiver", me)


def person(side: str, one: JsonObject) -> JsonObject:
    return {side: one["displayname"], **{f"{side}_{name}": one[name] for name in FIELDS}}


def media(stage: Stage, kind: Incoming, report: JsonObject, made: JsonObject) -> JsonObject:
    """The fields of media, from the content that the sandbox gave."""
    mime, extension = USUAL[kind.media]
    path, size = text(report["media_path"]), made.get("size", "")  # 0 is reported as ""
    media_id, data = f"{made['msg_id']}:{CODES[kind.media]}", ""
    mtime: JsonValue = 0
    if "{path}" in kind.content:
        content = Path(path).read_bytes()
        assert hashlib.md5(content).hexdigest() == made["md5"]
        assert Path(path).parent == stage.client.paths.media("alice")
        assert abs(int(str(report["media_mtime"])) - time.time()) < 60
        mtime, data = report["media_mtime"], base64.encodebytes(content).decode()
        if kind.media == "file":
            # WeChat's own short id.
            media_id = f"{list(stage.account.media)[-1]}:6"
    else:
        assert path == "non-exist-path"
        mtime = report["media_mtime"]
    found: JsonObject = {"media_type": kind.media, "media_code": CODES[kind.media], "media_id": media_id}
    found |= {"media_path": path, "media_mime": mime, "media_ext": extension, "media_size": size}
    return {**found, "media_mtime": mtime, "media_name": "", "media_data": data, **kind.fields}


def fields(stage: Stage, kind: Incoming, report: JsonObject, made: JsonObject, first: str) -> JsonObject:
    if kind.media:
        return media(stage, kind, report, made)
    official = stage.account.world.people[stage.official].name
    named = {"{first}": first, "{sender}": official}
    return {key: named.get(value, value) if isinstance(value, str) else value for key, value in kind.fields.items()}


def content(stage: Stage, kind: Incoming, report: JsonObject, where: str) -> str:
    wxid = stage.member if where == GROUP else stage.friend
    own = where in (PHONE, PHONE_GROUP)
    words = "你撤回了一条消息" if own else f'"{stage.account.name_of(wxid)}" 撤回了一条消息'
    return (
        kind.content.replace("{path}", text(report.get("media_path")))
        .replace("{words}", words)
        .replace("{sender}", stage.account.world.people[stage.official].name)
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def agent(stage: Stage) -> Agent:
    agent = Agent(stage.client)
    await agent.attend()
    return agent


def item_of(kind: Incoming, report: JsonObject) -> tuple[int, str]:
    """Return the type of the item that an agent gets for a kind, and its text if it has one."""
    if kind.media and report["media_size"]:
        return ITEM_TYPES[kind.media], ""
    if kind.format == "app":
        title, url = text(report["app_title"]), text(report["app_url"])
        return 1, f"{title}\n{url}" if url else title
    if kind.media == "emoticon":
        return 1, "[表情]"
    return 1, "[视频] (content not available)" if kind.media else text(report["content"])


@pytest.mark.parametrize("kind", [one for one in INCOMING if FRIEND in one.where], ids=lambda kind: kind.name)
async def test_an_agent_gets_an_item_of_each_kind(stage: Stage, agent: Agent, kind: Incoming) -> None:
    first = await deliver(stage, FRIEND, kind.first) if kind.first else {}
    made = await deliver(stage, FRIEND, {**kind.body, **({"msg_id": first["msg_id"]} if first else {})})
    report = await stage.report(text(made["msg_id"]))
    after = await deliver(stage, FRIEND, {"kind": "text", "text": "after"})
    found: list[Json] = []
    while not found or str(found[-1]["message_id"]) != after["msg_id"]:
        found += await agent.messages()
    items_of = {str(one["message_id"]): [(each["type"], text_of(each)) for each in one["item_list"]] for one in found}
    voices = [each["voice_item"] for one in found for each in one["item_list"] if each["type"] == 3]
    if kind.media == "voice":  # the web gives MP3
        assert [(one["encode_type"], one["playtime"] > 1000) for one in voices] == [(7, True)]
    if kind.type.startswith("1000") or kind.format == "revoke":  # system messages
        assert made["msg_id"] not in items_of
    else:
        assert items_of[text(made["msg_id"])] == [item_of(kind, report)]
    shown = json.dumps(found, ensure_ascii=False)
    assert stage.username(stage.friend) not in shown
    assert str(stage.client.paths.root) not in shown


def text_of(item: Json) -> str:
    return text(item["text_item"]["text"]) if item["type"] == 1 else ""


@pytest.mark.parametrize(("kind", "where"), CASES)
async def test_the_whole_report(stage: Stage, kind: Incoming, where: str) -> None:
    first, body = "", dict(kind.body)
    if kind.first:
        first = text((await deliver(stage, where, kind.first))["msg_id"])
        body["msg_id"] = first
    made = await deliver(stage, where, body)
    report = await stage.report(text(made["msg_id"]))
    assert abs(int(str(report.pop("time"))) - time.time()) < 60
    outer = where in (PHONE, PHONE_GROUP)
    # In groups, WeChat's own notices have no sender.
    notice = where in (GROUP, PHONE_GROUP) and kind.type in ("10000", "10002/sysmsgtemplate", "10002/pat")
    expected: JsonObject = {
        "post_type": "send_message" if outer else "receive_message",
        "id": made["msg_id"],
        "type": "friend_message"
        if where in (FRIEND, PHONE, "official")
        else "group_notice"
        if notice
        else "group_message",
        "class": "send" if outer else "recv",
        "format": kind.format,
        "content": content(stage, kind, report, where),
        **fields(stage, kind, report, made, first),
        **await sides(stage, where, notice),
    }
    if outer:
        expected |= {"source": "outer", "code": "", "msg": "发送成功", "info": "来自其他设备"}
    assert report == expected


@pytest.mark.parametrize("by", ["phone", "api"])
async def test_recall_without_an_id_is_of_ones_own_last_message(stage: Stage, by: str) -> None:
    """WeChat does not say which one: it names 0, as if the other side had recalled something."""
    if by == "phone":
        message_id = text((await deliver(stage, PHONE, {"kind": "text", "text": "oops"}))["msg_id"])
        await stage.report(message_id)
    else:
        answer = obj(await stage.call("send_friend_message", id=stage.username(stage.friend), content="oops"))
        message_id = text(answer["id"]).partition(":")[0]
    recall = raw(10002, '<sysmsg type="revokemsg"><revokemsg><msgid>0</msgid></revokemsg></sysmsg>')
    report = await stage.report(text((await deliver(stage, FRIEND, recall))["msg_id"]))
    assert (report["post_type"], report["class"], report["format"]) == ("send_message", "send", "revoke")
    assert report["revoke_id"] == message_id


@pytest.mark.parametrize("kind", SILENT)
async def test_silent_types_are_not_reported(stage: Stage, kind: str) -> None:
    silent = await deliver(stage, FRIEND, SILENT[kind])
    after = await deliver(stage, FRIEND, {"kind": "text", "text": "after"})
    await stage.report(text(after["msg_id"]))
    assert all(report.get("id") != silent["msg_id"] for report in stage.webhook.reports)


async def test_a_friend_request_is_an_event_and_has_a_picture(stage: Stage) -> None:
    made = await stage.sandbox("receive", {"kind": "friend_request", "from": "新<朋友>", "text": "你好 & 早"})
    assert stage.account.session is not None
    [who, name, greeting, ticket] = items(await stage.webhook.event("friend_request"))
    assert (name, greeting, ticket) == ("新<朋友>", "你好 & 早", made["ticket"])
    for person_id, kind in ((text(who), "image/jpeg"), ("@nobody", "application/json"), ("", "application/json")):
        url = stage.client.address("get_avatar")
        async with stage.client.http.get(url, params={"id": person_id}) as answer:
            assert (answer.status, answer.content_type) == (200, kind)
    accepted = obj(
        await stage.call("accept_friend_request", id=text(who), displayname=text(name), ticket=text(ticket))
    )
    assert accepted["code"] == 0


async def test_sandbox_recorded_no_violations(stage: Stage) -> None:
    """The requests of this file were valid, apart from those for content that does not exist."""
    wrong = [what for what in stage.wechat.violations() if "has no such content" not in what]
    assert [what for what in wrong if "store" not in what and "no message" not in what] == []
