"""A client as its users see it: HTTP API, state file, reports."""

import asyncio

from tests.patience import until
from tests.unit.client.conftest import POST_API, RunningClient, Start, Webhook, running
from tests.unit.client.scripted import ANN, logged_in, message
from wxcontroller.client.checkevent import EventRing
from wxcontroller.core.jsontypes import items, obj
from wxcontroller.core.messages import Text
from wxcontroller.drivers import base


async def test_people_and_groups_are_listed_and_searched(client: RunningClient) -> None:
    assert obj(await client.get("get_user_info"))["displayname"] == "我"
    friends = await client.get("get_friend_info")
    assert isinstance(friends, list)
    assert [obj(f)["id"] for f in friends] == ["@ann", "@ben", "filehelper"]
    assert obj(friends[0])["displayname"] == "安"
    assert obj(friends[-1])["category"] == "系统帐号"
    found = await client.post("search_friend", displayname="安", city="深圳")
    assert isinstance(found, list)
    assert obj(found[0])["id"] == ANN.id
    assert await client.get("search_friend", displayname="安", city="") == {"code": 100, "status": "object not found"}
    assert await client.get("search_friend") == {"code": 100, "status": "object not found"}
    for method in ("set_markname", "send", "stick", "__class__"):  # the original calls what is named
        for call in ("search_friend", "search_group"):
            assert obj(await client.get(call, **{method: "x"}))["code"] == 102
    assert client.driver.commands == []
    groups = await client.get("search_group", displayname="A、Cy")
    assert isinstance(groups, list)
    assert len(obj(groups[0])["member"]) == 3  # type: ignore[arg-type]
    basic = await client.get("get_group_basic_info")
    assert isinstance(basic, list)
    assert "member" not in obj(basic[0])


async def test_sends_return_wechats_id_and_are_reported(start: Start, webhook: Webhook) -> None:
    client = await running(start, **{POST_API: webhook.address})
    answer = await client.get("send_friend_message", markname="安", content="你好")
    assert answer == {"id": "771000:@ann", "code": 0, "status": "success"}
    answer = await client.post("send_group_message", id="@@team", content="all")
    assert answer == {"id": "771001:@@team", "code": 0, "status": "success"}
    friend, group = await webhook.until_sends(2)
    assert (friend["type"], friend["receiver"], friend["from"], friend["code"], friend["content"]) == (
        ("friend_message", "安", "api", "", "你好")
    )
    assert (group["type"], group["group"], group["receiver_id"]) == ("group_message", "A、Cy", "")


async def test_cancelled_check_event_consumes_no_event(
    start: Start, webhook: Webhook, waiting: list[EventRing]
) -> None:
    client = await running(start, **{POST_API: webhook.address})
    gone = asyncio.create_task(client.get("check_event"))
    await until(lambda: waiting)
    gone.cancel()
    await asyncio.wait([gone])
    await client.get("get_client_info")  # once this is answered, the hang-up has been noticed
    client.driver.play([message("kept")])
    await webhook.messages()
    assert [obj(one)["content"] for one in items(await client.get("check_event"))] == ["kept"]


async def test_state_is_running_only_after_wechat_responded(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    *before, answered = logged_in()
    client.driver.play(before)
    await webhook.event("login")  # contacts and groups are there
    assert client.state()["state"] == "updating"
    client.driver.play([answered])
    await client.until_state("running")


async def test_lost_session_and_outage_are_not_running(start: Start) -> None:
    client = start()
    client.driver.play([*logged_in(), base.Offline(Text("no answer for 60 s"))])
    state = await client.until_state("updating")
    assert (state["login_state"], state["reason"]) == ("offline", "no answer for 60 s")
    client.driver.play([base.Online()])
    assert (await client.until_state("running"))["reason"] == ""
    client.driver.play([base.SessionLost(base.LossReason.LOGGED_OUT, 1100)])
    await client.until_state("loading")
