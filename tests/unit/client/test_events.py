"""Events about people and groups, as the webhook and check_event get them."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.client.conftest import RunningClient, Webhook
from tests.unit.client.scripted import ANN, BEN, ME, TEAM, logged_in, message
from wxcontroller.client import contacts
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj
from wxcontroller.core.model import Contact, FriendRequest, Group, Member
from wxcontroller.drivers.base import FriendAsked, Profile, RosterChanged
from wxcontroller.openwx import objects

Start = Callable[..., RunningClient]
POST_API = "MOJO_WEIXIN_PLUGIN_OPENWX_POST_API"
ALL = (
    "new_friend,lose_friend,new_group,lose_group,new_group_member,lose_group_member,friend_request,login,"
    "friend_property_change,group_property_change,group_member_property_change,user_property_change,"
    "update_user,update_friend,update_group"
)


def named(value: JsonValue) -> list[tuple[JsonValue, list[JsonValue]]]:
    return [(obj(report)["event"], items(obj(report)["params"])) for report in items(value) if "event" in obj(report)]


async def test_people_and_groups_come_and_go(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    await client.login()
    cy, club = Contact(id="@cy", name="Cy"), Group("@@club", "Club", (Member("@me", "我"),))
    client.driver.play(
        [
            RosterChanged((cy,), (club,)),
            RosterChanged(groups=(replace(TEAM, members=(*TEAM.members[:2], Member("@d", "Di"))),)),
            RosterChanged(gone=("@cy", "@@club", "@never")),
            message("last"),
        ]
    )
    await webhook.messages()
    got = named(await client.get("check_event"))
    assert [name for name, _ in got] == [
        *("new_friend", "new_group", "new_group_member", "lose_group_member", "lose_friend", "lose_group")
    ]
    assert got[0][1] == [objects.friend(cy)]
    assert got[1][1] == [objects.group(club, "@me")]
    assert [obj(got[2][1][0])["markname"], obj(got[3][1][0])["id"]] == ["Di", "@c"]
    assert [obj(member)["id"] for member in items(obj(got[3][1][1])["member"])] == ["@me", "@ann", "@d"]
    assert [(r["event"], r["params"]) for r in webhook.reports if r.get("event") in dict(got)] == got


async def test_changes_are_told_property_by_property_to_who_asks(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address, "MOJO_WEIXIN_POST_EVENT_LIST": ALL})
    await client.login()
    ann = replace(ANN, markname="小安", city="北京")
    members = (TEAM.members[0], replace(TEAM.members[1], display="Annie"), TEAM.members[2])
    client.driver.play(
        [
            RosterChanged((ann, BEN), (replace(TEAM, name="队", members=members),)),
            Profile(replace(ME, name="新")),
            message("last"),
        ]
    )
    await webhook.messages()
    got = {
        (str(r["event"]), str(items(r["params"])[1])): items(r["params"])
        for r in webhook.reports
        if str(r.get("event")).endswith("_property_change")
    }
    assert set(got) == {
        ("friend_property_change", "markname"),
        ("friend_property_change", "city"),
        ("group_property_change", "name"),
        ("group_member_property_change", "display"),
        ("user_property_change", "name"),
    }
    assert got["friend_property_change", "city"] == [objects.friend(ann), "city", "深圳", "北京"]
    assert got["group_member_property_change", "display"][2:] == ["A", "Annie"]
    assert len(items(obj(got["group_property_change", "name"][0])["member"])) == 3
    assert obj(await client.get("get_user_info"))["name"] == "新"


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


async def test_the_lists_of_a_login_follow_the_login_for_who_asks(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address, "MOJO_WEIXIN_POST_EVENT_LIST": ALL})
    await client.login()
    await webhook.event("update_group")
    assert [r["event"] for r in webhook.reports] == ["login", "update_user", "update_friend", "update_group"]
    assert [obj(each)["id"] for each in items(webhook.events("update_friend")[0])] == ["@ann", "@ben", "filehelper"]
    assert obj(items(webhook.events("update_group")[0])[0])["member"]


async def test_by_default_changes_and_lists_are_not_told(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    client.driver.play([*logged_in(), RosterChanged((replace(ANN, city="北京"),)), message("last")])
    await webhook.messages()
    assert {r.get("event") for r in webhook.reports} == {"state_change", "login", None}


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


async def test_a_friend_request_is_told(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    client.driver.play([*logged_in(), FriendAsked(FriendRequest("@new", "Nia", "hi", "v2_x@stranger"))])
    assert await webhook.event("friend_request") == ["@new", "Nia", "hi", "v2_x@stranger"]
    assert named(await client.get("check_event")) == [("friend_request", ["@new", "Nia", "hi", "v2_x@stranger"])]


async def test_without_post_event_only_messages_are_told(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address, "MOJO_WEIXIN_PLUGIN_OPENWX_POST_EVENT": "0"})
    client.driver.play([*logged_in(), RosterChanged((Contact("@cy", "Cy"),)), message("last")])
    await webhook.messages()
    assert [r["post_type"] for r in webhook.reports] == ["receive_message"]
    assert [obj(r)["post_type"] for r in items(await client.get("check_event"))] == ["receive_message"]


async def test_the_filter_keeps_messages_back(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address, "MOJO_WEIXIN_POST_MESSAGE_FILTER": "sender=%E5%AE%89&group=Club"})
    client.driver.play([*logged_in(), message("no", sender="@ben", chat="@ben"), message("yes")])
    got: list[JsonObject] = await webhook.messages()
    # A property that a report lacks, as group here, keeps nothing back.
    assert [report["content"] for report in got] == ["yes"]
    assert [obj(r)["content"] for r in items(await client.get("check_event"))] == ["yes"]


async def test_events_are_switched_off_by_the_plain_name_too(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address, "MOJO_WEIXIN_POST_EVENT": "0"})
    client.driver.play([*logged_in(), message("last")])
    await webhook.messages()
    assert [r["post_type"] for r in webhook.reports] == ["receive_message"]


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
