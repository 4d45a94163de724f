"""What WeChat and people can send that is broken, hostile or too much: it is reported, and nothing else happens."""

import asyncio
import json
import resource
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.unit.kinds.stage import Stage, staged
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj, text
from wxcontroller.sandbox import compose
from wxcontroller.sandbox.contents import ContentItem
from wxcontroller.sandbox.faults import FaultKind
from wxcontroller.sandbox.session import ContactChanged
from wxcontroller.sandbox.world import Relation

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with staged(tmp_path_factory.mktemp("alice")) as running:
        yield running


async def receive(stage: Stage, **body: JsonValue) -> JsonObject:
    """A friend's message: its report."""
    made = await stage.sandbox("receive", {"from": stage.friend, **body})
    return await stage.report(text(made["msg_id"]))


def left(stage: Stage) -> list[str]:
    """Files in the directory of media that are unfinished."""
    directory = stage.paths.media("alice")
    return [path.name for path in directory.glob(".*")] if directory.exists() else []


def stored(report: JsonObject) -> tuple[bytes, int]:
    """The content of a report's media_path, and who may read it."""
    path = Path(text(report["media_path"]))
    return path.read_bytes(), path.stat().st_mode & 0o777


NONSENSE = (
    "",
    "&lt;",
    "&lt;msg&gt;&lt;appmsg&gt;&lt;title&gt;half",
    "&lt;msg&gt;" * 5000,
    '&lt;!DOCTYPE x [&lt;!ENTITY a "aaaa"&gt;]&gt;&lt;msg&gt;&amp;a;&lt;/msg&gt;',
    "\x00\x01\x1b[31m\ud7ff\ufffe",
    "&lt;msg" + " a='&amp;#x0;'" * 100,
    "]]&gt;&lt;/sysmsg&gt;&lt;sysmsg type='revokemsg'&gt;&lt;revokemsg&gt;&lt;msgid&gt;-1",
)


@pytest.mark.parametrize("content", NONSENSE, ids=range(len(NONSENSE)))
async def test_malformed_xml_of_every_type_is_reported(stage: Stage, content: str) -> None:
    for kind in (1, 3, 34, 42, 43, 47, 48, 49, 10000, 10002):
        fields: JsonObject = {"FileName": content, "Url": content, "FileSize": "x", "OriContent": content}
        report = await receive(stage, kind="raw", msg_type=kind, text=content, fields=fields)
        assert report["post_type"] in ("receive_message", "send_message")
        assert report["format"]
    assert left(stage) == []


async def test_a_file_with_a_name_like_an_address_arrives(stage: Stage) -> None:
    report = await receive(stage, kind="file", name="//[x.pdf", size=500)
    assert "media_error" not in report
    assert len(stored(report)[0]) == 500
    assert report["media_mime"] == "application/pdf"


async def test_a_message_made_to_take_long_is_read_in_no_time(stage: Stage) -> None:
    """A file's message full of beginnings of a tag, in a comment."""
    inside = "&lt;!-- " + "&lt;attachid&gt;" * 16_000 + " --&gt;"
    content = f"&lt;msg&gt;&lt;appmsg appid='x'&gt;&lt;type&gt;6&lt;/type&gt;{inside}&lt;/appmsg&gt;&lt;/msg&gt;"
    began = time.process_time()
    fields: JsonObject = {"AppMsgType": 6, "MediaId": "@crypt_x", "FileName": "a.txt", "FileSize": "5"}
    report = await receive(stage, kind="raw", msg_type=49, text=content, fields=fields)
    assert report["media_type"] == "file"
    assert time.process_time() - began < 2


async def test_a_message_made_to_take_much_memory_takes_little(stage: Stage) -> None:
    """Two thousand elements inside one whose name is long: each is known by its place."""
    name = "a" * 150_000
    content = f"&lt;{name}&gt;" + "&lt;b/&gt;" * 2000 + f"&lt;/{name}&gt;"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = await receive(stage, kind="raw", msg_type=49, text=content, fields={})
    assert report["format"] == "app"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # of 300 MB


@pytest.mark.parametrize(
    "fields",
    [
        {"MsgType": "1", "Content": None, "CreateTime": "soon", "FromUserName": None},
        {"Content": [1, {"a": None}], "RecommendInfo": "x", "AppInfo": 5},
        {"MsgType": 49, "AppMsgType": "six", "FileName": {}, "MediaId": 7, "FileSize": -1},
        {"MsgType": {"x": 1}},
        {"MsgType": 1 << 80, "CreateTime": -(1 << 80)},
    ],
)
async def test_fields_of_other_types_are_reported(stage: Stage, fields: JsonObject) -> None:
    report = await receive(stage, kind="raw", msg_type=1, text="x", fields=fields)
    assert report["format"]
    json.dumps(report)


@pytest.mark.parametrize(
    "answer", ["{", '{"BaseResponse":{"Ret":0},"AddMsgList":[1,null,"x",[]]}', "null", "[[[", "\x00"]
)
async def test_malformed_json_costs_no_message(stage: Stage, answer: str) -> None:
    stage.wechat.fault("webwxsync", FaultKind.GARBAGE, answer)
    assert (await receive(stage, kind="text", text="after"))["content"] == "after"


async def test_who_is_in_no_list_of_members_is_reported_all_the_same(stage: Stage) -> None:
    group = stage.account.world.groups[stage.group]
    inside = {member.wxid for member in group.members}
    outsider = next(
        p.wxid for p in stage.account.world.people.values() if p.wxid not in inside and p.kind is Relation.FRIEND
    )
    sent = stage.wechat.sandbox.deliver(stage.account, stage.group, outsider, "who am I?", "peer")
    report = await stage.report(str(sent.msg_id))
    assert (report["type"], report["content"]) == ("group_message", "who am I?")
    assert (report["sender_id"], report["sender"]) == (stage.username(outsider), "昵称未知")
    assert [report[f"sender_{name}"] for name in ("account", "name", "markname", "uid")] == [None, None, None, ""]


async def test_the_account_itself_missing_from_a_group(stage: Stage) -> None:
    group = next(g for g in stage.account.world.groups.values() if g.wxid != stage.group and g.saved)
    group.members = [member for member in group.members if member.wxid != stage.account.wxid]
    stage.wechat.sandbox.tell(stage.account, ContactChanged(group.wxid))
    sent = stage.wechat.sandbox.deliver(stage.account, group.wxid, group.members[0].wxid, "still here", "peer")
    assert (await stage.report(str(sent.msg_id)))["content"] == "still here"


async def test_empty_names(stage: Stage) -> None:
    person = next(
        p for p in stage.account.world.people.values() if p.kind is Relation.FRIEND and p.wxid != stage.friend
    )
    stage.wechat.sandbox.change(stage.account, person.wxid, "", "")
    sent = stage.wechat.sandbox.deliver(stage.account, person.wxid, person.wxid, "nobody", "peer")
    report = await stage.report(str(sent.msg_id))
    assert report["sender_id"] == stage.username(person.wxid)
    assert report["sender"]
    nameless = await stage.sandbox("receive", {"kind": "friend_request", "from": "", "text": ""})
    assert nameless["msg_id"]
    assert await stage.webhook.event("friend_request")
    named = await receive(stage, kind="file", name=" ")
    assert (named["format"], stored(named)[1]) == ("media", 0o600)


async def test_a_message_of_ten_megabytes(stage: Stage) -> None:
    words = "长 & <长>\n" * 900_000
    assert len(words.encode()) > 10_000_000
    asked = asyncio.create_task(receive(stage, kind="text", text=words))
    longest = 0.0
    while not asked.done():
        began = time.process_time()  # everything is in this process; others do not matter
        assert obj(await stage.call("get_client_info"))["code"] == 0
        longest = max(longest, time.process_time() - began)
    assert (await asked)["content"] == words
    assert longest < 5
    assert (await receive(stage, kind="text", text="after"))["content"] == "after"


@pytest.mark.parametrize(
    ("name", "shown", "suffix"),
    [
        ("../../../../etc/passwd", "passwd", ".dat"),
        ("..\\..\\windows\\evil.exe", "evil.exe", ".exe"),
        ("/etc/cron.d/x", "x", ".dat"),
        ("a\x00b\x1b[31m\n\u202egpj.exe", "ab[31mgpj.exe", ".exe"),
        ("长" * 300 + ".docx", "长" * 115 + ".docx", ".docx"),
        ("." * 300, "", ".dat"),
        ("x." + "y" * 300, "x." + "y" * 118, ".dat"),
        ("-rf.sh; rm $(x).pdf", "-rf.sh; rm $(x).pdf", ".pdf"),
    ],
)
async def test_names_of_files(stage: Stage, name: str, shown: str, suffix: str) -> None:
    report = await receive(stage, kind="file", name=name, content="aGVsbG8=")
    path = Path(text(report["media_path"]))
    assert report["media_name"] == shown
    assert (path.parent, path.suffix) == (stage.paths.media("alice"), suffix)
    assert path.name.startswith("mojo_weixin_media_")
    assert stored(report) == (b"hello", 0o600)
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_a_full_disk_costs_the_content_and_nothing_else(stage: Stage) -> None:
    """The kernel lets no file grow beyond a limit: what a full disk does, for this process alone."""
    item = ContentItem("file", stage.wechat.sandbox.contents.add(bytes(9_000_000)), 9_000_000, "big.bin")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6_000_000, hard))  # more than the write-ahead log ever has
    try:
        message = compose.file(compose.Draft(stage.wechat.sandbox.next_msg_id(), stage.friend, stage.friend), item)
        stage.account.hold(text(message.fields["MediaId"]), item)
        stage.wechat.sandbox.bring(stage.account, message, "peer", "")
        report = await stage.report(str(message.msg_id))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (report["media_path"], report["media_data"], report["media_name"]) == ("", "", "big.bin")
    assert "File too large" in text(report["media_error"])
    assert left(stage) == []
    answer = obj(await stage.call("send_friend_message", id="filehelper", media_id=text(report["media_id"])))
    assert answer["code"] == 0  # WeChat still has it
    assert (await receive(stage, kind="image"))["media_path"]


@pytest.mark.parametrize(("kind", "value"), [(FaultKind.TRUNCATE, 70_000), (FaultKind.SHORT, 70_000)])
async def test_a_download_that_breaks_off_is_whole_or_not_there(stage: Stage, kind: FaultKind, value: int) -> None:
    for _ in range(2):
        stage.wechat.fault("webwxgetmedia", kind, value)
    whole = await receive(stage, kind="file", name="a.bin", size=300_000)
    assert len(stored(whole)[0]) == 300_000
    take_back = stage.wechat.fault("webwxgetmedia", kind, 0 if kind is FaultKind.TRUNCATE else value, count=None)
    half = await receive(stage, kind="file", name="b.bin", size=300_000)
    take_back()
    assert (half["media_path"], half["media_data"], half["content"]) == ("", "", "[文件]")
    assert "webwxgetmedia" in text(half["media_error"])
    assert left(stage) == []


async def test_nothing_of_this_ended_the_session(stage: Stage) -> None:
    assert len([one for one in stage.webhook.events("state_change") if items(one)[1] == "running"]) == 1
    assert obj(await stage.call("get_client_info"))["code"] == 0
