"""Any message, person or state as the old contract has it: all fields, always. What is read is for the fuzzers."""

import json

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
    MessageMedia,
    Place,
    Sex,
)
from wxcontroller.openwx import objects, reports
from wxcontroller.openwx.formats import shape
from wxcontroller.openwx.replies import to_bytes

# With halves of characters, as they come out of JSON.
ODD = st.text(st.characters(exclude_categories=()))
NUMBERS = st.integers(-(2**63), 2**63)
CONTACTS = st.builds(
    Contact,
    *(ODD, ODD, NUMBERS, ODD, ODD, ODD, ODD, ODD, ODD),
    st.sampled_from(Sex),
    st.sampled_from(ContactKind),
)
MEMBERS = st.builds(Member, ODD, ODD, ODD, NUMBERS, ODD, ODD, ODD, ODD, st.sampled_from(Sex))
GROUPS = st.builds(Group, ODD, ODD, st.lists(MEMBERS, max_size=4).map(tuple), NUMBERS, NUMBERS)
MESSAGES = st.builds(
    Message,
    *(ODD, ODD, st.booleans(), ODD, st.sampled_from(Direction), st.sampled_from(MessageKind), ODD, NUMBERS, ODD),
    media=st.none()
    | st.builds(MessageMedia, st.sampled_from([kind for kind in MessageKind if kind.is_media]), ODD, ODD, NUMBERS),
    app=st.none() | st.builds(AppShare, ODD, ODD, ODD, ODD, ODD, NUMBERS),
    card=st.none() | st.builds(Card, ODD, ODD, ODD, ODD, ODD, st.sampled_from(Sex), ODD),
    place=st.none() | st.builds(Place, ODD, ODD, ODD, ODD),
    revoked=ODD,
)


@given(MESSAGES, CONTACTS, st.none() | CONTACTS, st.none() | GROUPS, st.none() | MEMBERS)
def test_any_message_is_a_report_with_its_fields(
    message: Message, me: Contact, friend: Contact | None, group: Group | None, member: Member | None
) -> None:
    body = reports.received(message, reports.Chat(me, friend, group, member))
    assert {"post_type", "id", "type", "class", "format", "time", "content"} <= set(body)
    assert isinstance(json.loads(to_bytes(body)), dict)
    assert shape(message).format == body["format"]
    assert not [
        key for key, value in body.items() if value == 0 and value is not False and not isinstance(value, str)
    ]


@given(CONTACTS, GROUPS, MEMBERS, ODD)
def test_people_always_have_all_their_fields(contact: Contact, group: Group, member: Member, greeting: str) -> None:
    assert set(objects.friend(contact)) == objects.FRIEND_ATTRIBUTES
    assert set(objects.user(contact)) == objects.FRIEND_ATTRIBUTES - {"category"}
    assert set(objects.member(member)) == objects.FRIEND_ATTRIBUTES - {"category"}
    assert set(objects.group(group, contact.id)) == objects.GROUP_ATTRIBUTES | {"member"}
    for thing in (objects.friend(contact), objects.member(member)):
        assert thing["sex"] in ("male", "female", "")
        assert thing["uid"] != 0
    to_bytes(objects.group(group, contact.id))
    to_bytes(reports.friend_request(FriendRequest(contact.id, contact.name, greeting, greeting)))
