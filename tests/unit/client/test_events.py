"""Events about people and groups, as the webhook and check_event get them."""

from dataclasses import replace

from tests.unit.client.conftest import POST_API, Start, Webhook
from tests.unit.client.scripted import ANN, ME, TEAM, logged_in, message
from wxcontroller.core.jsontypes import items, obj
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
