"""USER, FRIEND, MEMBER and GROUP of the HTTP contract (openwx-api 2.7), always with all their fields."""

from typing import TypeAlias

from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import Contact, ContactKind, Group, Member

UNKNOWN_PERSON = "昵称未知"
UNKNOWN_GROUP = "群名未知"
CATEGORIES = {
    ContactKind.FRIEND: "好友",
    ContactKind.OFFICIAL: "公众号",
    ContactKind.SYSTEM: "系统帐号",
}
# WeChat's team is a system account, but the original's list lacks it (weixin-web-protocol 6.2, 14.4).
_TEAM = "weixin"

Uid: TypeAlias = int | str


def lasting_id(identifier: str, uid: object) -> str:
    """Return the lasting id of a person or group.

    Ids that begin with @ belong to one login of the web route; their lasting id is the number, if known.
    """
    return str(uid) if uid and identifier.startswith("@") else identifier


def uid_of(uid: int) -> Uid:
    """The contract's form of an unknown uid is the empty string."""
    return uid or ""


def friend_displayname(contact: Contact) -> str:
    return contact.display or contact.markname or contact.name or UNKNOWN_PERSON


def user_displayname(me: Contact) -> str:
    return me.display or me.markname or me.name


def member_displayname(member: Member) -> str:
    return member.display or member.nickname or UNKNOWN_PERSON


def group_displayname(group: Group, me: str) -> str:
    """The group's name, else the names of its first three members without oneself (``me`` is one's own id)."""
    if group.name:
        return group.name
    others = [member_displayname(member) for member in group.members if member.id != me]
    return "、".join(others[:3]) or UNKNOWN_GROUP


def user(me: Contact) -> JsonObject:
    return {**person(me), "displayname": user_displayname(me)}


def friend(contact: Contact) -> JsonObject:
    return {
        **person(contact),
        "displayname": friend_displayname(contact),
        "category": category(contact),
    }


def category(contact: Contact) -> str:
    """The contract's word for what kind of contact this is."""
    return CATEGORIES[ContactKind.OFFICIAL if contact.id == _TEAM else contact.kind]


def member(person: Member) -> JsonObject:
    """WeChat's nickname of a member is in ``markname``, as in the original."""
    return {
        "id": person.id,
        "uid": uid_of(person.uid),
        "account": person.account,
        "name": "",
        "display": person.display,
        "markname": person.nickname,
        "displayname": member_displayname(person),
        "province": person.province,
        "city": person.city,
        "signature": person.signature,
        "sex": str(person.sex),
    }


def group_basic(room: Group, me: str) -> JsonObject:
    """A GROUP without ``member``; ``me`` is one's own id."""
    return {
        "id": room.id,
        "uid": uid_of(room.uid),
        "owner_uid": room.owner_uid,
        "name": room.name,
        "displayname": group_displayname(room, me),
    }


def group(room: Group, me: str) -> JsonObject:
    return {**group_basic(room, me), "member": [member(each) for each in room.members]}


def person(contact: Contact) -> JsonObject:
    return {
        "id": contact.id,
        "uid": uid_of(contact.uid),
        "account": contact.account,
        "name": contact.name,
        "display": contact.display,
        "markname": contact.markname,
        "province": contact.province,
        "city": contact.city,
        "signature": contact.signature,
        "sex": str(contact.sex),
    }


# By these, people and groups can be searched for.
FRIEND_ATTRIBUTES = frozenset(friend(Contact(id="", name="")))
GROUP_ATTRIBUTES = frozenset(group_basic(Group(id="", name=""), ""))
