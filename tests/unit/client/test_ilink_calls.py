"""Each call of the single-account API on the iLink route (ilink-bot-protocol, section 14)."""

import time

import pytest

from tests.unit.client.conftest import RunningClient, Start, Webhook
from tests.unit.client.test_ilink_account import begin, enter
from tests.unit.drivers.ilink_kit import Bench
from tests.unit.durability.routes import ILINK
from wxcontroller.core.jsontypes import JsonValue, items, obj, text
from wxcontroller.sandbox.ilink import phone

PEER = "PEER"  # stands for the person's id
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
# What is answered with an error that names the route, and nothing is sent to WeChat.
UNSUPPORTED: dict[str, dict[str, str]] = {
    "create_group": {"friends": PEER, "displayname": "team"},
    "send_group_message": {"id": "@@team", "content": "hello"},
    "invite_friend": {"id": "@@team", "friends": PEER},
    "kick_group_member": {"id": "@@team", "members": PEER},
    "set_group_displayname": {"id": "@@team", "new_displayname": "x"},
    "make_friend": {"id": "o9cq8Bob@im.wechat", "verify": "hello"},
    "accept_friend_request": {"id": PEER, "ticket": "t"},
    "stick": {"id": PEER, "op": "1"},
    "revoke_message": {"id": f"1:{PEER}"},
}
NOT_FOUND: dict[str, dict[str, str]] = {
    "search_friend": {"id": "nobody"},
    "search_group": {"displayname": "team"},
    "send_friend_message": {"id": "nobody@im.wechat", "content": "hello"},
}


@pytest.fixture
async def client(start: Start, wechat: Bench, webhook: Webhook) -> RunningClient:
    one = begin(start, wechat, webhook)
    await enter(one, wechat)
    phone.write_text(wechat.sandbox, wechat.account, "hello")
    await webhook.messages()
    return one


async def call(client: RunningClient, wechat: Bench, name: str, given: dict[str, str]) -> JsonValue:
    return await client.post(name, **{key: value.replace(PEER, wechat.peer) for key, value in given.items()})


async def test_calls_that_the_route_does_not_have(client: RunningClient, wechat: Bench) -> None:
    assert UNSUPPORTED.keys() == ILINK.unsupported
    before = len(wechat.sandbox.ilink.exchanges) - wechat.requests("getupdates")
    for name, given in UNSUPPORTED.items():
        answer = obj(await call(client, wechat, name, given))
        assert (answer["code"], "ilink" in text(answer["status"])) == (-10, True), (name, answer)
    async with client.http.get(client.address("get_avatar"), params={"id": wechat.peer}) as avatar:
        assert not (await avatar.read()).startswith(b"\xff\xd8")
    for name, given in NOT_FOUND.items():
        answer = obj(await call(client, wechat, name, given))
        assert answer["code"] == 100, (name, answer)
    assert len(wechat.sandbox.ilink.exchanges) - wechat.requests("getupdates") == before


async def test_people_are_those_known_from_traffic(client: RunningClient, wechat: Bench) -> None:
    me = obj(await client.get("get_user_info"))
    assert (me["id"], me["account"], me["displayname"]) == (wechat.bot.bot_id, "", wechat.bot.bot_id)
    [friend] = items(await client.get("get_friend_info"))
    assert (obj(friend)["id"], obj(friend)["name"], obj(friend)["category"]) == (wechat.peer, "", "好友")
    assert obj(friend)["displayname"] == wechat.peer
    for name in ("get_group_info", "get_group_basic_info"):
        assert await client.get(name) == []
    renamed = obj(await client.post("set_markname", id=wechat.peer, new_markname="Ann"))
    assert renamed["code"] == 0
    [found] = items(await client.get("search_friend", markname="Ann"))
    assert (obj(found)["id"], obj(found)["displayname"]) == (wechat.peer, "Ann")
    assert wechat.requests("sendmessage") == 0


async def test_typing_is_shown_and_silent_while_wechat_throttles(
    client: RunningClient, wechat: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wxcontroller.client.v1.typing._REPEAT_SECONDS", 3600.0)

    async def typing(on: bool, peer: str = "") -> bool:
        return (await client.v1("POST", "typing", {"peer": peer or wechat.peer, "on": on}))[1]["shown"] is True

    def seen() -> bool:
        return wechat.bot.windows[wechat.peer].typing

    assert await typing(True) and seen()
    assert await typing(True)  # shown already, nothing more is asked for
    assert (wechat.requests("getconfig"), wechat.requests("sendtyping")) == (1, 1)
    assert await typing(False) and not seen()
    assert not await typing(True, "o9cq8Nobody@im.wechat")
    wechat.bot.throttle(time.time())
    assert obj(await client.post("send_friend_message", id=wechat.peer, content="held"))["reason"] == "throttled"
    assert not await typing(True)
    assert (wechat.requests("getconfig"), wechat.requests("sendtyping")) == (2, 2)
