"""Reports of every kind of message, and people, have all fields of the original."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wxcontroller.core.model import (
    AppShare,
    Card,
    Contact,
    ContactKind,
    Direction,
    FriendRequest,
    Group,
    Member,
    Message,
    MessageKind,
    Place,
    Sex,
)
from wxcontroller.openwx.contract import objects, reports
from wxcontroller.openwx.contract.media import kind_of, media_id, mime_of, sniff, split_id
from wxcontroller.openwx.contract.replies import to_bytes
from wxcontroller.openwx.contract.reports import Chat, received

ME = Contact("@me", "我", uid=7)
ANN = Contact("@ann", "Ann", markname="安", account="ann_a")
TEAM = Group("@@team", "Team", (Member("@me", "我"), Member("@ann", "Ann", display="A")))
TEXT = Message("5", "@ann", False, "@ann", Direction.RECEIVED, MessageKind.TEXT, "早", 1700000000)
COMMON = {"post_type", "id", "type", "class", "format", "time", "content"}
SENDER = {"sender_id", "sender", "sender_account", "sender_name", "sender_markname", "sender_uid"}
RECEIVER = {"receiver_id", "receiver", "receiver_account", "receiver_uid", "receiver_name", "receiver_markname"}
GROUP = {"group_id", "group", "group_name", "group_uid"}
OUTER = {"source", "code", "msg", "info"}
MEDIA = {f"media_{name}" for name in ("type", "code", "id", "path", "mime", "ext", "size", "mtime", "name", "data")}
EXTRA: dict[MessageKind, set[str]] = {
    **{kind: MEDIA for kind in MessageKind if kind.is_media},
    MessageKind.VOICE: {*MEDIA, "media_text"},  # with a transcript, as here
    MessageKind.TEXT: set(),
    MessageKind.NOTICE: set(),
    MessageKind.PAYMENT: set(),
    MessageKind.APP: {f"app_{name}" for name in ("id", "title", "url", "name", "desc", "type", "articles")},
    MessageKind.REVOKE: {"revoke_id"},
    MessageKind.CARD: {f"card_{name}" for name in ("id", "name", "account", "province", "city", "sex", "avatar")},
    MessageKind.LOCATION: {f"location_{name}" for name in ("latitude", "longitude", "label", "url")},
    MessageKind.OTHER: {"raw_kind"},
}


def of(kind: MessageKind, **changes: object) -> Message:
    return replace(TEXT, kind=kind, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", MessageKind)
def test_each_kind_has_all_fields_without_content(kind: MessageKind) -> None:
    friend = received(of(kind), Chat(ME, friend=ANN))
    assert set(friend) == COMMON | SENDER | {"sender_category"} | RECEIVER | EXTRA[kind]
    assert set(received(of(kind), Chat(ME))) == set(friend)  # from a stranger
    in_group = replace(of(kind), chat="@@team", is_group=True)
    group = received(in_group, Chat(ME, group=TEAM, member=TEAM.members[1]))
    sender = set() if kind is MessageKind.NOTICE else SENDER
    assert set(group) == COMMON | sender | RECEIVER | GROUP | EXTRA[kind]
    assert set(received(in_group, Chat(ME))) == set(group)
    outer = received(replace(of(kind), direction=Direction.SENT_ELSEWHERE, sender="@me"), Chat(ME, friend=ANN))
    assert set(outer) == COMMON | SENDER | RECEIVER | OUTER | EXTRA[kind]


@pytest.mark.parametrize(
    ("kind", "direction", "sender", "is_sent"),
    [
        (MessageKind.TEXT, Direction.RECEIVED, "@ann", False),
        (MessageKind.TEXT, Direction.SENT_ELSEWHERE, "@me", True),
        (MessageKind.REVOKE, Direction.RECEIVED, "@ann", False),
        # In a group one's own recall comes with oneself as the sender.
        (MessageKind.REVOKE, Direction.RECEIVED, "@me", True),
    ],
)
def test_what_another_device_did_is_reported_as_sent(
    kind: MessageKind, direction: Direction, sender: str, is_sent: bool
) -> None:
    got = received(replace(of(kind), direction=direction, sender=sender), Chat(ME, friend=ANN))
    assert (got["post_type"], got["class"]) == (("send_message", "send") if is_sent else ("receive_message", "recv"))
    assert (got["sender_id"], got.get("source")) == (sender, "outer" if is_sent else None)


def test_app_message_is_four_lines() -> None:
    got = received(of(MessageKind.APP, app=AppShare("T", "http://u", "D", "N", "wx1", 5)), Chat(ME, friend=ANN))
    assert got["content"] == "[应用分享]标题：T\n[应用分享]描述：D\n[应用分享]应用：N\n[应用分享]链接：http://u"
    assert (got["format"], got["app_id"], got["app_desc"]) == ("app", "wx1", "D")
    got = received(of(MessageKind.APP, app=AppShare("T", type=33)), Chat(ME, friend=ANN))
    assert got["content"] == "[应用分享]标题：T\n[应用分享]链接：未知"


def test_card_payment_and_location_are_formatted() -> None:
    card = Card("@c", "Cy", "cy", "广东", "深圳", Sex.FEMALE, "http://a")
    got = received(of(MessageKind.CARD, card=card), Chat(ME, friend=ANN))
    assert str(got["content"]).startswith("[名片]昵称：Cy\n[名片]")
    assert (got["format"], got["card_sex"], got["card_city"]) == ("card", "female", "深圳")
    got = received(of(MessageKind.PAYMENT, text="收到转账1.00元"), Chat(ME, friend=ANN))
    assert (got["format"], got["content"]) == ("payment", "[转账](收到转账1.00元)")
    place = Place("22.5", "114.0", "深圳湾", "http://map")
    got = received(of(MessageKind.LOCATION, text="[位置]深圳湾", place=place), Chat(ME, friend=ANN))
    assert (got["format"], got["location_latitude"], got["location_label"]) == ("location", "22.5", "深圳湾")


def test_media_ids_and_content_types_are_recognized() -> None:
    for key, kind in (("@a:b", MessageKind.IMAGE), ("7", MessageKind.FILE)):
        assert split_id(media_id(key, kind)) == (key, kind)
    assert split_id("a:b:99") == ("a:b:99", None)
    assert [kind_of(mime).value for mime in ("image/gif", "image/png", "video/mp4", "text/plain")] == [
        *("emoticon", "image", "video", "file")
    ]
    assert mime_of("a.pdf", MessageKind.FILE, "application/octet-stream") == "application/pdf"
    assert mime_of("", None, "IMAGE/PNG; q=1") == "image/png"
    assert mime_of("", None, "evil\r\nheader") == "application/octet-stream"
    assert [sniff(start) for start in (b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF1234WEBP", b"<svg")] == [
        *("image/jpeg", "image/gif", "image/webp", "")
    ]


# With halves of characters, as they come out of JSON.
ODD = st.text(st.characters(exclude_categories=()))
NUMBERS = st.integers(-(2**63), 2**63)
CONTACTS = st.builds(
    Contact, *(ODD, ODD, NUMBERS, ODD, ODD, ODD, ODD, ODD, ODD), st.sampled_from(Sex), st.sampled_from(ContactKind)
)
MEMBERS = st.builds(Member, ODD, ODD, ODD, NUMBERS, ODD, ODD, ODD, ODD, st.sampled_from(Sex))
GROUPS = st.builds(Group, ODD, ODD, st.lists(MEMBERS, max_size=4).map(tuple), NUMBERS, NUMBERS)


PERSON_FIELDS = {*"id uid account name display markname displayname province city sex signature".split()}
GROUP_FIELDS = {*"id uid owner_uid name displayname".split()}


@given(CONTACTS, GROUPS, MEMBERS, ODD)
def test_people_always_have_all_their_fields(contact: Contact, group: Group, member: Member, greeting: str) -> None:
    assert set(objects.friend(contact)) == objects.FRIEND_ATTRIBUTES == PERSON_FIELDS | {"category"}
    assert set(objects.user(contact)) == set(objects.member(member)) == PERSON_FIELDS
    assert objects.GROUP_ATTRIBUTES == GROUP_FIELDS
    assert set(objects.group(group, contact.id)) == GROUP_FIELDS | {"member"}
    for thing in (objects.friend(contact), objects.member(member)):
        assert thing["sex"] in ("male", "female", "")
        assert thing["uid"] != 0
    to_bytes(objects.group(group, contact.id))
    to_bytes(reports.friend_request(FriendRequest(contact.id, contact.name, greeting, greeting)))
