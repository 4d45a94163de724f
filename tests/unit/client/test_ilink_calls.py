"""Each call of the single-account API on the iLink route (ilink-bot-protocol, section 14)."""

import pytest

from tests.unit.client.conftest import RunningClient, Start, Webhook
from tests.unit.client.test_ilink_account import entered
from tests.unit.drivers.ilink_kit import Bench
from wxcontroller.core.jsontypes import items, obj
from wxcontroller.sandbox.ilink import phone


@pytest.fixture
async def client(start: Start, wechat: Bench, webhook: Webhook) -> RunningClient:
    one = await entered(start, wechat, webhook)
    phone.write_text(wechat.sandbox, wechat.account, "hello")
    await webhook.messages()
    return one


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
