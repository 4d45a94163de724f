"""Differences between two views of the roster, as the contract's events (openwx-api 3.3)."""

from collections.abc import Iterator

from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import Contact, Group, Member
from wxcontroller.openwx.contract import objects
from wxcontroller.openwx.contract.reports import event

# Reported property by property, except the id, which identifies the person, and displayname, which is derived.
_FRIEND = ("account", "name", "display", "markname", "province", "city", "sex", "signature", "uid")
_MEMBER = ("account", "display", "markname", "province", "city", "sex", "signature", "uid")
_GROUP = ("name", "owner_uid", "uid")
# WeChat sends these one by one after the login: learning one is not a change.
_NUMBERS = frozenset({"uid", "owner_uid"})


def of_friend(before: Contact | None, after: Contact) -> Iterator[JsonObject]:
    """Yield new_friend, or a friend_property_change for each property that is different."""
    now = objects.friend(after)
    if before is None:
        yield event("new_friend", now)
    elif before != after:
        yield from _properties("friend_property_change", objects.friend(before), now, _FRIEND)


def of_user(before: Contact | None, after: Contact) -> Iterator[JsonObject]:
    """Yield a user_property_change for each property of oneself that is different."""
    if before is not None and before != after:
        now = objects.user(after)
        yield from _properties("user_property_change", objects.user(before), now, _FRIEND)


def of_group(before: Group | None, after: Group, me: str) -> Iterator[JsonObject]:
    """Yield what happened to a group and its members; ``me`` is one's own id.

    Members that were not loaded before, or are not now, are not reported.
    """
    now = objects.group(after, me)
    if before is None:
        yield event("new_group", now)
        return
    if before == after:
        return
    yield from _properties("group_property_change", objects.group_basic(before, me), now, _GROUP)
    if not before.members or not after.members or before.members == after.members:
        return
    earlier, here = ({member.id: member for member in group.members} for group in (before, after))
    for member in after.members:
        if member.id not in earlier:
            yield event("new_group_member", objects.member(member), now)
    for member in before.members:
        if member.id not in here:
            yield event("lose_group_member", objects.member(member), now)
    for member in after.members:
        old = earlier.get(member.id)
        if old is not None and old != member:
            yield from _member(old, member)


def _member(before: Member, after: Member) -> Iterator[JsonObject]:
    now = objects.member(after)
    yield from _properties("group_member_property_change", objects.member(before), now, _MEMBER)


def _properties(
    name: str, before: JsonObject, after: JsonObject, properties: tuple[str, ...]
) -> Iterator[JsonObject]:
    for each in properties:
        old, new = before.get(each), after.get(each)
        learned = not old and each in _NUMBERS
        if old != new and not learned:
            yield event(name, after, each, old, new)
