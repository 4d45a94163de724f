"""Texts that the web client sends."""

import asyncio
import json

from tests.unit.sandbox.conftest import UIN
from tests.unit.sandbox.wire import Browser, Json


def ret(answer: Json) -> int:
    code: int = answer["BaseResponse"]["Ret"]
    return code


async def sent(browser: Browser, after: int = 0, wait: float = 0) -> Json:
    return await browser.api("GET", f"/accounts/{UIN}/sent?after={after}&wait={wait}")


async def test_a_text_arrives_literally(online: Browser) -> None:
    text = 'a & <b> "c" 你好😄\nhttps://example.invalid/?a=1&b=2'
    answer = await online.send("filehelper", text)
    assert ret(answer) == 0
    assert answer["MsgID"].isdigit()
    [got] = await sent(online)
    assert (got["to"], got["text"], got["msg_id"]) == ("filehelper", text, answer["MsgID"])
    assert got["client_msg_id"] == answer["LocalID"]
    assert (await online.sync())["AddMsgList"] == [], "no echo"


async def test_wrong_escapes_are_kept_as_text(online: Browser) -> None:
    body = json.dumps(online.message("filehelper", "CONTENT"), ensure_ascii=False)
    raw = body.replace("CONTENT", r"a\/b \u4f60 c\\d \"e\"\n")
    assert ret(await online.post("webwxsendmsg", raw)) == 0
    [got] = await sent(online)
    assert got["text"] == "\\".join(("a", "/b ", "u4f60 c", 'd "e"\n'))


async def test_a_repeated_client_msg_id_is_answered_and_not_delivered(online: Browser) -> None:
    body = online.message("filehelper", "once")
    first = await online.post("webwxsendmsg", body)
    second = await online.post("webwxsendmsg", body)
    assert first == second
    assert len(await sent(online)) == 1


async def test_who_can_be_written_to(online: Browser) -> None:
    details = await online.api("GET", f"/accounts/{UIN}")
    friend = next(c for c in details["contacts"] if c["kind"] == "friend")
    group = details["groups"][0]
    stranger = next(m for m in group["members"] if m["kind"] == "stranger")
    assert ret(await online.send(friend["username"], "x")) == 0
    assert ret(await online.send(group["username"], "x")) == 0
    assert ret(await online.send(stranger["username"], "x")) == 1204
    assert ret(await online.send(online.me, "x")) == 1204
    assert ret(await online.send("fmessage", "x")) == 1204
    assert ret(await online.send("@nobody", "x")) == -2
    refused = await online.send("@nobody", "x")
    assert (refused["MsgID"], refused["LocalID"]) == ("", "")
    assert [m["to"] for m in await sent(online)] == [friend["name"], group["name"]]


async def test_sent_can_be_waited_for(online: Browser) -> None:
    waiting = asyncio.create_task(sent(online, wait=5))
    await online.send("filehelper", "now")
    [got] = await waiting
    assert got["text"] == "now"
    assert await sent(online, after=got["seq"], wait=0.05) == []


async def test_the_chat_shows_both_sides(online: Browser) -> None:
    await online.send("filehelper", "from web")
    await online.api("POST", f"/accounts/{UIN}/phone-send", {"to": "filehelper", "text": "from phone"})
    lines = await online.api("GET", f"/accounts/{UIN}/chats?with=filehelper")
    assert [(line["origin"], line["text"]) for line in lines] == [("web", "from web"), ("phone", "from phone")]
    assert await online.api("GET", f"/accounts/{UIN}/chats") == [{"wxid": "filehelper", "name": "filehelper"}]
