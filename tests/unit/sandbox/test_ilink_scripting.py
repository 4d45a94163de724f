"""The scripting API of the iLink route, and digits of a login."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.unit.sandbox.agent import OTHER_UIN, UIN, Agent, ilink_sandbox
from wxcontroller.sandbox.ilink import phone
from wxcontroller.sandbox.sandbox import Sandbox


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Sandbox, Agent]]:
    async with ilink_sandbox() as both:
        yield both


async def test_a_login_and_a_conversation_by_script(pair: tuple[Sandbox, Agent]) -> None:
    _, agent = pair
    code = await agent.code()
    [login] = await agent.api("GET", "/logins?state=waiting")
    assert (login["route"], login["uuid"], login["status"]) == ("ilink", code, "")
    path = f"/logins/{code}"
    shown = await agent.api("POST", f"{path}/scan", {"uin": UIN, "verify": True, "redirect": "localhost:1"})
    assert len(shown["digits"]) == 6
    assert (await agent.status(code))["redirect_host"] == "localhost:1"
    await agent.api("POST", f"{path}/confirm", status=409)  # the digits first
    await agent.api("POST", f"{path}/expire")
    assert (await agent.status(code))["status"] == "expired"

    code = await agent.code()
    await agent.api("POST", f"/logins/{code}/status", {"status": "scaned_by_hand"})
    assert (await agent.status(code))["status"] == "scaned_by_hand"
    await agent.api("POST", f"/logins/{code}/status", {"status": ""})
    await agent.api("POST", f"/accounts/{UIN}/phone-send", {"to": "clawbot", "text": "too early"}, status=409)
    await agent.api("POST", f"/logins/{code}/confirm", {"uin": UIN, "baseurl": agent.url + "/other"})
    assert (await agent.status(code))["baseurl"] == agent.url + "/other"
    [account, other] = await agent.api("GET", "/accounts")
    assert (account["bot_id"], account["ilink_user_id"], other["bot_id"]) == (agent.bot_id, agent.user_id, "")

    given = {"to": "clawbot", "text": "hi", "fields": {"create_time_ms": 1, "group_id": None}}
    written = await agent.api("POST", f"/accounts/{UIN}/phone-send", given)
    [message] = (await agent.updates())["msgs"]
    assert (str(message["message_id"]), message["create_time_ms"]) == (written["msg_id"], 1)
    assert "group_id" not in message
    waiting = asyncio.create_task(agent.api("GET", f"/accounts/{UIN}/ilink/sent?wait=5"))
    await agent.send_text("ho")
    [sent] = await waiting
    assert (sent["text"], sent["shown"], sent["context_token"]) == ("ho", True, message["context_token"])
    assert await agent.api("GET", f"/accounts/{UIN}/ilink/sent?after={sent['seq']}") == []
    lines = await agent.api("GET", f"/accounts/{UIN}/chats?with=clawbot")
    assert [(line["origin"], line["text"]) for line in lines] == [("phone", "hi"), ("bot", "ho")]
    again = await agent.api("POST", f"/accounts/{UIN}/ilink/repeat", {"msg_id": written["msg_id"], "fresh": True})
    [message] = (await agent.updates())["msgs"]
    assert str(message["message_id"]) == again["msg_id"] != written["msg_id"]
    # Another account writes to the bot by its id.
    await agent.api("POST", f"/accounts/{OTHER_UIN}/phone-send", {"to": agent.bot_id, "text": "me too"})
    [message] = (await agent.updates())["msgs"]
    assert message["from_user_id"] == other["ilink_user_id"]
    requests = await agent.api("GET", f"/ilink/requests?endpoint=sendmessage&uin={UIN}")
    assert [one["answer"]["message_id"] for one in requests] == [int(sent["msg_id"])]


async def test_settings_and_states_by_script(pair: tuple[Sandbox, Agent]) -> None:
    sandbox, agent = pair
    await agent.log_in(sandbox)
    phone.write_text(sandbox, sandbox.accounts[UIN], "hello")
    await agent.updates()
    path = f"/accounts/{UIN}/ilink"
    changed = await agent.api("POST", path, {"answer": "no-id", "budget": 2, "edge": 16.5, "refusal_text": "later"})
    assert changed["settings"]["budget"] == 2
    assert await agent.send_text("one") == {"ret": 0}
    shown = await agent.api("POST", path, {"throttle": 60})
    assert shown["bot"]["throttled_until"] is not None
    assert await agent.send_text("two") == {"ret": -2, "errmsg": "later"}
    await agent.api("POST", path, {"throttle": 0, "window_open": False})
    assert (await agent.send_text("three"))["ret"] == -14
    phone.write_text(sandbox, sandbox.accounts[OTHER_UIN], "me too", sandbox.ilink.users[UIN].bot)
    other = (await agent.updates())["msgs"][0]["from_user_id"]
    await agent.api("POST", path, {"window_open": True})
    await agent.api("POST", path, {"window_open": False, "peer": agent.user_id})
    assert [(await agent.send_text("which?", to=to)).get("ret") for to in (agent.user_id, other)] == [-14, 0]
    await agent.api("POST", path, {"window_open": True, "session": "asleep"})
    assert (await agent.updates())["errcode"] == -14
    await agent.call("msg/notifystart")
    window, _ = (await agent.api("GET", path))["bot"]["windows"]
    assert (window["open"], window["sent"], window["peer"]) == (True, 1, agent.user_id)
    assert (await agent.api("POST", "/clock", {"forward": 90_000}))["offset"] == 90_000
    assert not (await agent.api("GET", path))["bot"]["windows"][0]["open"]
    for wrong in ({"answer": "perhaps"}, {"budget": -1}, {"session": "tired"}, {"unknown": 1}):
        await agent.api("POST", path, wrong, status=400)
    fault = {"endpoint": "getupdates", "kind": "status", "value": 524, "uin": UIN}
    await agent.api("POST", "/faults", fault, status=201)
    with pytest.raises(AssertionError, match="524"):
        await agent.updates()
