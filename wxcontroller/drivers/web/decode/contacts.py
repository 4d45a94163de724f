"""Contact objects of the protocol as people and groups (weixin-web-protocol 6)."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from sys import intern
from typing import Any

from wxcontroller.core.jsontypes import JsonObject, integer, items, obj, text
from wxcontroller.core.model import Contact, ContactKind, Group, Member, Sex
from wxcontroller.drivers.web.decode.text import is_group, plain, plain_name, plain_signature

# 14.4. Most are in no list; `filehelper` is the one meant as a target.
_SPECIAL = (
    "weibo qqmail fmessage tmessage qmessage qqsync floatbottle lbsapp shakeapp medianote qqfriend readerapp "
    "blogapp facebookapp masssendapp meishiapp feedsapp voip blogappweixin weixin brandsessionholder "
    "weixinreminder wxid_novlwrv3lqwv11 gh_22b87fa7cb3c officialaccounts notification_messages newsapp "
    "filehelper wxitil userexperience_alarm notifymessage"
)
SPECIAL = frozenset(_SPECIAL.split())
_OFFICIAL = 8  # bit of VerifyFlag
_SEXES = {1: Sex.MALE, 2: Sex.FEMALE}
_SKEY = re.compile(r"&?skey=[^&]*")
_LONGEST_ID = 256
_HIDDEN = ("@lbsroom", "@talkroom")  # rooms that no page shows (6.1)
_PORTION = 500  # people
# What people have in groups, too.
_DETAILS = ("uid", "account", "province", "city", "signature", "sex")


def id_of(raw: JsonObject) -> str:
    """Return the UserName of a contact object, "" when it has no usable one."""
    name = text(raw.get("UserName"))
    return intern(name) if 0 < len(name) <= _LONGEST_ID else ""


def remark_of(raw: JsonObject) -> str:
    """Return the remark with emoji as characters, as WeChat expects it back (5.14)."""
    return plain(text(raw.get("RemarkName")), emoji_names=False)


def contact_of(raw: JsonObject, emoji_names: bool) -> Contact:
    """Return a person or account. Missing fields are empty."""
    name = id_of(raw)
    return Contact(
        id=name,
        name=plain_name(text(raw.get("NickName")), emoji_names),
        uid=number(raw, "Uin"),
        account=text(raw.get("Alias")),
        markname=plain_name(text(raw.get("RemarkName")), emoji_names),
        display=plain_name(text(raw.get("DisplayName")), emoji_names),
        province=intern(text(raw.get("Province"))),
        city=intern(text(raw.get("City"))),
        signature=plain_signature(text(raw.get("Signature")), emoji_names),
        sex=_SEXES.get(integer(raw.get("Sex")), Sex.UNKNOWN),
        kind=_kind(name, integer(raw.get("VerifyFlag"))),
        avatar=_avatar(raw),
    )


def _kind(name: str, verify: int) -> ContactKind:
    if name in SPECIAL:  # before the flag: `weixin` carries it too (6.2)
        return ContactKind.SYSTEM
    return ContactKind.OFFICIAL if verify & _OFFICIAL else ContactKind.FRIEND


def group_of(raw: JsonObject, me: str, emoji_names: bool) -> Group:
    """Return a group; ``me`` is the account's own UserName, for groups it owns."""
    owner = text(raw.get("ChatRoomOwner")) or (me if integer(raw.get("IsOwner")) == 1 else "")
    return Group(
        id=id_of(raw),
        name=plain_name(text(raw.get("NickName")), emoji_names),
        members=_members(raw, emoji_names),
        uid=number(raw, "Uin"),
        owner_uid=number(raw, "OwnerUin"),
        owner=intern(owner),
        key=text(raw.get("EncryChatRoomId")),
        avatar=_avatar(raw),
    )


def size_of(raw: JsonObject) -> int:
    """Return a group's member count."""
    return integer(raw.get("MemberCount"))


def _members(raw: JsonObject, emoji_names: bool) -> tuple[Member, ...]:
    return tuple(
        Member(
            id=name,
            nickname=plain_name(text(member.get("NickName")), emoji_names),
            display=plain_name(text(member.get("DisplayName")), emoji_names),
            uid=number(member, "Uin"),
            account=text(member.get("Alias")),
            province=intern(text(member.get("Province"))),
            city=intern(text(member.get("City"))),
            signature=plain_signature(text(member.get("Signature")), emoji_names),
            sex=_SEXES.get(integer(member.get("Sex")), Sex.UNKNOWN),
        )
        for entry in items(raw.get("MemberList"))
        if (name := id_of(member := obj(entry)))
    )


def number(raw: JsonObject, key: str) -> int:
    value = integer(raw.get(key))
    return value if 0 <= value < 1 << 63 else 0


def _avatar(raw: JsonObject) -> str:
    """Return the picture's path without the session's skey: it is added where the picture is fetched."""
    return _SKEY.sub("", text(raw.get("HeadImgUrl")))


def merge_contact(earlier: Contact | None, seen: Contact, complete: bool) -> Contact:
    """Return ``earlier`` with the non-empty fields of ``seen``.

    Objects of webwxsync are partial: an empty value means unknown (6.6). ``complete``: it came from the contact API,
    where an empty remark means none.
    """
    if earlier is None:
        return seen
    known = _known_of(seen, *_DETAILS, "name", "markname", "display", "avatar")
    if complete:
        known["markname"] = seen.markname
    if seen.kind is not ContactKind.FRIEND:  # a partial object without flags looks like a friend's
        known["kind"] = seen.kind
    return replace(earlier, **known)


def merge_group(earlier: Group | None, seen: Group) -> Group:
    """Return ``earlier`` with the non-empty fields of ``seen``; an empty member list keeps the known one."""
    if earlier is None:
        return seen
    known = _known_of(seen, "name", "uid", "owner_uid", "owner", "key", "avatar")
    return replace(earlier, members=merge_members(earlier.members, seen.members), **known)


def merge_members(earlier: tuple[Member, ...], seen: tuple[Member, ...]) -> tuple[Member, ...]:
    if not seen:
        return earlier
    old = {member.id: member for member in earlier}
    return tuple(merge_member(old[member.id], member) if member.id in old else member for member in seen)


def merge_member(old: Member, seen: Member) -> Member:
    """Return ``seen`` with its known details, which lists lack (5.4)."""
    return replace(old, display=seen.display, **_known_of(seen, *_DETAILS, "nickname"))


def with_details(group: Group, contacts: Mapping[str, Contact]) -> Group:
    """Return a group whose members have their details as contacts, which member lists lack (5.4)."""
    members = tuple(
        detailed(member, contacts[member.id]) if member.id in contacts else member for member in group.members
    )
    return group if members == group.members else replace(group, members=members)


def detailed(member: Member, seen: Contact) -> Member:
    """Return a member with the non-empty details of a contact object. Names stay the group's."""
    return replace(member, **_known_of(seen, *_DETAILS))


def _known_of(seen: Contact | Group | Member, *names: str) -> dict[str, Any]:
    """Return those of these fields that are not empty."""
    return {name: value for name in names if (value := getattr(seen, name))}


def with_names(group: Group) -> bool:
    """Return whether a group's members are known by name: lists from webwxinit come without (5.1)."""
    return bool(group.members) and any(member.nickname or member.display for member in group.members)


def split(entries: Iterable[JsonObject]) -> tuple[list[JsonObject], list[JsonObject]]:
    """Return the usable contact objects: people, groups."""
    people: list[JsonObject] = []
    groups: list[JsonObject] = []
    for entry in entries:
        name = id_of(entry)
        if name and not name.endswith(_HIDDEN):
            (groups if is_group(name) else people).append(entry)
    return people, groups


def portions(entries: Iterable[JsonObject]) -> Iterator[list[JsonObject]]:
    """Return contact objects in portions that take some milliseconds each: a group counts as its members."""
    portion: list[JsonObject] = []
    weight = 0
    for entry in entries:
        portion.append(entry)
        weight += 1 + len(items(entry.get("MemberList")))
        if weight >= _PORTION:
            yield portion
            portion, weight = [], 0
    if portion:
        yield portion


def profile_changes(raw: JsonObject, earlier: Contact, emoji_names: bool) -> Contact:
    """Return the account's data updated by the ``Profile`` of a sync, unchanged if it is empty (5.6)."""
    if not integer(raw.get("BitFlag")):
        return earlier
    return replace(
        earlier,
        name=plain_name(text(obj(raw.get("NickName")).get("Buff")), emoji_names) or earlier.name,
        account=text(raw.get("Alias")) or earlier.account,
        signature=plain_signature(text(raw.get("Signature")), emoji_names) or earlier.signature,
        sex=_SEXES.get(integer(raw.get("Sex")), earlier.sex),
        avatar=_avatar(raw) or earlier.avatar,
    )
