"""The people an account knows: itself, its contacts and groups, updated by the driver's events."""

import asyncio
import html
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from wxcontroller.client.incoming import rosterchanges as changes
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.model import Contact, Group, Member
from wxcontroller.openwx.contract import objects
from wxcontroller.openwx.contract.reports import event

Thing = TypeVar("Thing")


@dataclass(slots=True)
class Roster:
    """The account's people. Lists keep WeChat's order."""

    me: Contact | None = None
    login: str = ""  # whose login it is (drivers.base.Profile)
    extra: Mapping[str, str] = field(default_factory=dict)
    contacts: dict[str, Contact] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    changes: int = 0  # counts changes of people and groups, so that viewers know when to query again
    _strangers: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def until_group(self, identifier: str) -> None:
        """Wait until a group is known. The caller sets the time limit."""
        while identifier not in self.groups:
            await self._news.wait()

    def meet(self, stranger: str) -> None:
        """Remember a person from a friend request or a card: they have a picture."""
        if stranger:
            self._strangers[stranger] = None
        while len(self._strangers) > 1000:  # older ones are never looked up
            self._strangers.popitem(last=False)

    def met(self, identifier: str) -> bool:
        return identifier in self._strangers

    def replace(self, contacts: Iterable[Contact], groups: Iterable[Group]) -> None:
        """Take over the whole list of a login."""
        own = self.own
        self.contacts = {contact.id: contact for contact in contacts if contact.id != own}
        self.groups = {group.id: group for group in groups}
        self._announce()

    def update(self, contacts: Iterable[Contact], groups: Iterable[Group], gone: Iterable[str]) -> list[JsonObject]:
        """Apply a change: new or changed objects and removed ids. Returns its event reports (openwx-api 3.3), none if
        nothing has changed.
        """
        own, reports = self.own, list[JsonObject]()
        for contact in contacts:
            if contact.id != own:
                reports += changes.of_friend(self.contacts.get(contact.id), contact)
                self.contacts[contact.id] = contact
        for group in groups:
            reports += changes.of_group(self.groups.get(group.id), group, own)
            self.groups[group.id] = group
        for identifier in gone:
            if contact_gone := self.contacts.pop(identifier, None):
                reports.append(event("lose_friend", objects.friend(contact_gone)))
            if group_gone := self.groups.pop(identifier, None):
                reports.append(event("lose_group", objects.group(group_gone, own)))
        self._announce()
        return reports

    def rename(self, me: Contact) -> list[JsonObject]:
        """Adopt the account's profile; return the event reports of the changes."""
        reports = list(changes.of_user(self.me, me)) if self.me and self.me.id == me.id else []
        self.me = me
        return reports

    @property
    def own(self) -> str:
        """One's own id, "" before it is known."""
        return self.me.id if self.me else ""

    def clear(self) -> None:
        """Forget all people: after a new login all ids are different."""
        self.me, self.login, self.extra = None, "", {}
        self.contacts.clear()
        self.groups.clear()
        self._strangers.clear()
        self.changes += 1

    def _announce(self) -> None:
        self.changes += 1
        self._news.set()  # wake the present waiters
        self._news = asyncio.Event()

    def friend_objects(self) -> Iterator[JsonObject]:
        """Render the current contacts, one at a time; changes meanwhile do not matter."""
        return map(objects.friend, list(self.contacts.values()))

    def group_objects(self, members: bool) -> Iterator[JsonObject]:
        """Render the groups likewise, with or without their members."""
        make = objects.group if members else objects.group_basic
        groups, own = list(self.groups.values()), self.own
        return (make(group, own) for group in groups)

    def find_contacts(self, wanted: Mapping[str, str]) -> list[Contact]:
        """Contacts whose attributes all equal the given ones (openwx-api 2.3); none without attributes."""
        return find(candidates(self.contacts, wanted), objects.friend, wanted)

    def find_groups(self, wanted: Mapping[str, str]) -> list[Group]:
        own = self.own
        return find(candidates(self.groups, wanted), lambda group: objects.group_basic(group, own), wanted)

    def member(self, group: str, person: str) -> Member | None:
        """A member of a group, or None when the group or the member is unknown."""
        found = self.groups.get(group)
        return next((member for member in found.members if member.id == person), None) if found else None


def candidates(things: Mapping[str, Thing], wanted: Mapping[str, str]) -> Iterable[Thing]:
    """Return the candidates of a search: most searches are by id, which selects one of thousands."""
    if "id" not in wanted:
        return things.values()
    found = things.get(wanted["id"])
    return () if found is None else (found,)


def find(things: Iterable[Thing], render: Callable[[Thing], JsonObject], wanted: Mapping[str, str]) -> list[Thing]:
    """Return the matching people. Names with entities (``A&amp;B``), as the original shows them, match, too."""
    if not wanted:
        return []
    found = equal(things, render, wanted)
    decoded = {key: html.unescape(value) for key, value in wanted.items()}
    return found if found or decoded == wanted else equal(things, render, decoded)


def equal(things: Iterable[Thing], render: Callable[[Thing], JsonObject], wanted: Mapping[str, str]) -> list[Thing]:
    found: list[Thing] = []
    for thing in things:
        rendered = render(thing)
        if all(text(rendered.get(key)) == value for key, value in wanted.items()):
            found.append(thing)
    return found


def text(value: JsonValue) -> str:
    return "" if value is None else str(value)
