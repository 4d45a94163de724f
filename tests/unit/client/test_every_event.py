"""Every event as a webhook gets it, field by field (openwx-api 3.3), and the options that choose among them."""

import base64
from dataclasses import replace

import pytest

from tests.unit.client.conftest import POST_API, Start, Webhook
from tests.unit.client.scripted import BEN, HELPER, ME, TEAM, logged_in, message
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj
from wxcontroller.core.model import Contact, FriendRequest, Group, Member, Sex
from wxcontroller.drivers.base import (
    Accepted,
    FriendAsked,
    LoginRefused,
    LoginWay,
    Online,
    Profile,
    QrReady,
    RosterChanged,
    RosterLoaded,
    Scanned,
)

EVENTS = (
    "login stop state_change input_qrcode new_friend lose_friend new_group lose_group new_group_member "
    "lose_group_member friend_request friend_property_change group_property_change group_member_property_change "
    "user_property_change update_user update_friend update_group"
).split()
EVERYTHING = {"MOJO_WEIXIN_POST_EVENT_LIST": ",".join(EVENTS)}
BY_DEFAULT = set(EVENTS[:11])
FOR_CHECK_EVENT = set(EVENTS) - {
    *("login", "stop", "state_change", "input_qrcode", "update_user", "update_friend", "update_group")
}

CY = Contact("@cy", "Cy", 7, "cy_a", "", "", "广东", "深圳", "hi", Sex.FEMALE)
DI = Member("@d", "Di", "D", 0, "di_a", "广东", "深圳", "yo", Sex.MALE)
CLUB = Group("@@club", "", (Member("@me", "我"), DI), uid=9, owner_uid=7)


def shown(**fields: JsonValue) -> JsonObject:
    """Return somebody as the API shows them: all other fields are empty."""
    names = "account", "display", "markname", "province", "city", "signature", "sex", "uid", "name"
    return {**dict.fromkeys(names, ""), **fields}


HOME: dict[str, JsonValue] = {"province": "广东", "city": "深圳"}
CY_OBJECT = shown(id="@cy", uid=7, account="cy_a", name="Cy", displayname="Cy", signature="hi", sex="female", **HOME)
CY_OBJECT["category"] = "好友"
DI_OBJECT = shown(id="@d", account="di_a", display="D", markname="Di", displayname="D", signature="yo", **HOME)
DI_OBJECT["sex"] = "male"
ME_OBJECT = shown(id="@me", markname="我", displayname="我")
CLUB_OBJECT: JsonObject = {"id": "@@club", "uid": 9, "owner_uid": 7, "name": "", "displayname": "D"}
CLUB_OBJECT["member"] = [ME_OBJECT, DI_OBJECT]
USER_OBJECT = shown(id="@me", uid=4711, name="我", displayname="我")
HELPER_OBJECT = shown(id="filehelper", name="文件传输助手", displayname="文件传输助手", category="系统帐号")


def events(webhook: Webhook) -> list[tuple[JsonValue, JsonValue]]:
    for report in webhook.reports:
        assert set(report) == {"post_type", "event", "params"} or report["post_type"] != "event"
    return [(r["event"], r["params"]) for r in webhook.reports if r["post_type"] == "event"]


async def test_every_event_has_the_originals_body(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address}, **EVERYTHING)
    image = b"\xff\xd8" + bytes(range(200))
    cy, club = replace(CY, markname="小C"), replace(CLUB, name="Club")
    away = replace(club, members=club.members[:1])
    di = replace(club, members=(club.members[0], replace(DI, display="")))
    client.driver.play(
        [
            QrReady("https://login.weixin.qq.com/l/x==", image, 1, 10),
            Scanned(),
            LoginRefused(1203, "为了你的帐号安全", final=False),
            *(Accepted(LoginWay.SCAN), Profile(ME), RosterLoaded((CY, HELPER), (CLUB,)), Online()),
            RosterChanged((BEN,)),
            RosterChanged((cy,)),
            RosterChanged(gone=("@ben",)),
            RosterChanged(groups=(replace(CLUB, id="@@new"),)),
            RosterChanged(gone=("@@new",)),
            RosterChanged(groups=(club,)),
            RosterChanged(groups=(di,)),
            RosterChanged(groups=(away,)),
            RosterChanged(groups=(club,)),
            Profile(replace(ME, signature="new")),
            FriendAsked(FriendRequest("@new", "Nia", "你好", "v2_x@stranger")),
            message("last"),
        ]
    )
    await webhook.messages()
    polled = await client.get("check_event")
    await client.stop()
    await webhook.until(lambda got: got[-1].get("event") == "stop")

    ben_object = {**HELPER_OBJECT, "id": "@ben", "name": "Ben", "displayname": "Ben", "category": "好友"}
    cy_object = {**CY_OBJECT, "markname": "小C", "displayname": "小C"}
    club_object = {**CLUB_OBJECT, "name": "Club", "displayname": "Club"}
    di_object = {**DI_OBJECT, "display": "", "displayname": "Di"}
    expected: list[tuple[str, list[object]]] = [
        ("state_change", ["init", "loading"]),
        ("input_qrcode", [str(client.paths.qrcode_file("alice")), base64.encodebytes(image).decode()]),
        ("state_change", ["loading", "scaning"]),
        ("state_change", ["scaning", "confirming"]),
        ("login", [-1, "为了你的帐号安全"]),
        ("state_change", ["confirming", "updating"]),
        ("login", [1]),
        ("update_user", [USER_OBJECT]),
        ("update_friend", [CY_OBJECT, HELPER_OBJECT]),
        ("update_group", [CLUB_OBJECT]),
        ("state_change", ["updating", "running"]),
        ("new_friend", [ben_object]),
        ("friend_property_change", [cy_object, "markname", "", "小C"]),
        ("lose_friend", [ben_object]),
        ("new_group", [{**CLUB_OBJECT, "id": "@@new"}]),
        ("lose_group", [{**CLUB_OBJECT, "id": "@@new"}]),
        ("group_property_change", [club_object, "name", "", "Club"]),
        ("group_member_property_change", [di_object, "display", "D", ""]),
        ("lose_group_member", [di_object, {**club_object, "member": [ME_OBJECT]}]),
        ("new_group_member", [DI_OBJECT, club_object]),
        ("user_property_change", [{**USER_OBJECT, "signature": "new"}, "signature", "", "new"]),
        ("friend_request", ["@new", "Nia", "你好", "v2_x@stranger"]),
        ("state_change", ["running", "stop"]),
        ("stop", []),
    ]
    assert events(webhook) == expected
    assert {name for name, _ in expected} == set(EVENTS)
    # check_event has those about people only, with the same bodies.
    of_people = [one for one in expected if one[0] in FOR_CHECK_EVENT]
    assert [(obj(r).get("event"), obj(r).get("params")) for r in items(polled)][:-1] == of_people
    assert obj(items(polled)[-1])["content"] == "last"


ALL_HAPPENS = [
    *logged_in(),
    RosterChanged((CY,), (CLUB,)),
    RosterChanged((replace(CY, city="北京"),), (replace(CLUB, name="Club", members=CLUB.members[:1]),)),
    RosterChanged(gone=("@cy", "@@club")),
    FriendAsked(FriendRequest("@new", "Nia", "hi", "t")),
    message("last"),
]


async def test_the_default_list_is_the_originals(start: Start, webhook: Webhook) -> None:
    client = start(**{POST_API: webhook.address})
    client.driver.play(
        [QrReady("https://x/l/y", b"\xff\xd8", 1, 10), *ALL_HAPPENS[:-1], RosterChanged(groups=(TEAM,))]
    )
    joined = replace(TEAM, members=(*TEAM.members, DI))
    client.driver.play([RosterChanged(groups=(joined,)), message("last")])
    await webhook.messages()
    await client.stop()
    await webhook.until(lambda got: got[-1].get("event") == "stop")
    assert {name for name, _ in events(webhook)} == BY_DEFAULT


EVENT_LIST = "MOJO_WEIXIN_POST_EVENT_LIST"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({EVENT_LIST: " new_friend , friend_property_change,,"}, {"new_friend", "friend_property_change"}),
        ({EVENT_LIST: "no_such_event"}, set()),
        ({EVENT_LIST: ""}, BY_DEFAULT - {"stop", "input_qrcode", "new_group_member"}),
        ({"MOJO_WEIXIN_POST_EVENT": "0", **EVERYTHING}, set()),
    ],
)
async def test_event_list_replaces_the_default(
    start: Start, webhook: Webhook, environ: dict[str, str], expected: set[str]
) -> None:
    client = start(**{POST_API: webhook.address}, **environ)
    client.driver.play(ALL_HAPPENS)
    await webhook.messages()
    assert {name for name, _ in events(webhook)} == expected
    found = {obj(r)["event"] for r in items(await client.get("check_event")) if "event" in obj(r)}
    assert found == expected & FOR_CHECK_EVENT


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ("", {"ann", "ben", "group", "mine"}),
        ("sender_id=%40ann", {"ann", "group"}),
        ("group=Club", {"ann", "ben", "mine"}),  # of other groups, and of what has none
        ("class=recv&sender_markname=%E5%AE%89", {"ann"}),
        ("sender_markname=", {"ben", "mine"}),
        ("code=0", {"ann", "ben", "group"}),  # a code of 0 is ""
    ],
)
async def test_filter_drops_contradictions(
    start: Start, webhook: Webhook, conditions: str, expected: set[str]
) -> None:
    client = start(**{POST_API: webhook.address, "MOJO_WEIXIN_POST_MESSAGE_FILTER": conditions})
    client.driver.play([*logged_in(), message("ann"), message("ben", sender="@ben", chat="@ben")])
    client.driver.play([message("group", chat="@@team", is_group=True)])
    await client.until_state("running")
    await client.get("send_friend_message", id="@ben", content="mine")
    client.driver.play([RosterChanged((CY,))])  # events are no messages
    await webhook.event("new_friend")
    kept = [obj(r) for r in items(await client.get("check_event"))]
    assert {r.get("content") for r in webhook.reports if r["post_type"] != "event"} == expected
    assert {r.get("content") for r in kept if r["post_type"] != "event"} == expected


@pytest.mark.parametrize(("environ", "limit"), [({}, 20), ({"MOJO_WEIXIN_CHECK_EVENT_LIST_MAX_SIZE": "2"}, 2)])
async def test_ring_keeps_the_newest_and_counts_dropped_events(
    start: Start, environ: dict[str, str], limit: int
) -> None:
    client = start(**environ)
    client.driver.play([*logged_in(), *(message(str(number)) for number in range(25))])
    await client.until_state("running")
    while obj(await client.get("get_client_info"))["events_dropped"] != 25 - limit:
        pass
    kept = [obj(r)["content"] for r in items(await client.get("check_event"))]
    assert kept == [str(number) for number in range(25 - limit, 25)]
