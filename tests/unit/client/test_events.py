"""Events about people and groups, as the webhook and check_event get them."""

from dataclasses import replace

import pytest

from tests.unit.client.conftest import POST_API, Start, Webhook
from tests.unit.client.scripted import ANN, ME, TEAM, logged_in, message
from wxcontroller.client import contacts
from wxcontroller.core.jsontypes import items, obj
from wxcontroller.core.model import Group
from wxcontroller.drivers.base import Profile, RosterChanged

ALL = (
    "new_friend,lose_friend,new_group,lose_group,new_group_member,lose_group_member,friend_request,login,"
    "friend_property_change,group_property_change,group_member_property_change,user_property_change,"
    "update_user,update_friend,update_group"
)


async def test_what_a_login_tells_of_oneself_bit_by_bit_is_no_change(start: Start, webhook: Webhook) -> None:
    """WeChat says where somebody lives only in the list of contacts."""
    client = start(**{POST_API: webhook.address, "MOJO_WEIXIN_POST_EVENT_LIST": ALL})
    accepted, _, *rest = logged_in()
    whole = replace(ME, city="杭州")
    client.driver.play([accepted, Profile(ME), Profile(whole), *rest, Profile(replace(whole, city="北京"))])
    client.driver.play([message("last")])
    await webhook.messages()
    assert obj(items(webhook.events("update_user")[0])[0])["city"] == "杭州"
    assert [items(params)[1:] for params in webhook.events("user_property_change")] == [["city", "杭州", "北京"]]


async def test_a_number_that_is_learned_is_no_change_and_another_one_is(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address, "MOJO_WEIXIN_POST_EVENT_LIST": ALL})
    known = replace(ANN, uid=5)
    client.driver.play(
        [*logged_in(), RosterChanged((known,)), RosterChanged((replace(ANN, uid=6),)), message("last")]
    )
    await webhook.messages()
    assert [items(params)[1:] for params in webhook.events("friend_property_change")] == [["uid", 5, 6]]


async def test_members_that_are_loaded_later_are_no_news(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    bare = replace(TEAM, members=())
    client.driver.play([*logged_in(), RosterChanged(groups=(bare,)), RosterChanged(groups=(TEAM,)), message("last")])
    await webhook.messages()
    assert not webhook.events("new_group_member")
    assert not webhook.events("lose_group_member")


async def test_a_group_of_ones_own_is_known_when_the_call_is_answered(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    await client.login()
    made = obj(await client.get("create_group", friends="@ann,@ben", displayname="Club"))
    assert made["group_id"] == "@@new"
    assert obj(await client.get("send_group_message", id="@@new", content="hello"))["code"] == 0
    new = await webhook.event("new_group")
    assert [obj(member)["id"] for member in items(obj(items(new)[0])["member"])] == ["@me", "@ann", "@ben"]
    await webhook.messages()
    assert len(webhook.events("new_group")) == 1


async def test_a_group_that_wechat_says_nothing_of_is_known_all_the_same(
    start: Start, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contacts, "KNOWN_SECONDS", 0.1)
    client = start(**{POST_API: webhook.address})
    await client.login()

    async def silent(*_: object) -> str:
        return "@@mute"

    monkeypatch.setattr(client.driver, "create_group", silent)
    assert obj(await client.get("create_group", friends="@ann", displayname="Club"))["group_id"] == "@@mute"
    assert obj(await client.get("send_group_message", displayname="Club", content="hello"))["code"] == 0
    # What comes later tells who is in it, and nothing twice.
    client.driver.play([RosterChanged(groups=(Group("@@mute", "Club", TEAM.members),)), message("last")])
    await webhook.messages(2)
    assert len(webhook.events("new_group")) == 1
    assert not webhook.events("new_group_member")
