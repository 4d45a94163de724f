"""Identities across logins: numbers for people and groups that WeChat names differently every time (6.5).

WeChat gives no identifier that always works, but many that often do. Each is a *mark* of a person: exact ones, such
as the real id, which the phone sends for recent chats, and the account name that people choose; and weak ones, such
as a remark, the number of a picture, or the looks of a profile, which count only where one person has them. A number
is found by any of its marks and then gets all the marks of today; so it outlasts the change of some of them.

Kept between logins are hashes of marks only.
"""

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wxcontroller.core.model import Contact, ContactKind, Group
from wxcontroller.drivers.base import IDENTITY_MARKS, StateStore

_PORTION = 500  # people handled before the event loop runs again
_SEQ = re.compile(r"[?&]seq=([1-9]\d{0,18})(?:&|$)")
_LEAST_CREW = 3  # named members of a group that are a mark


def uid_of(real_id: str) -> int:
    """Return the number of a real id (``wxid_…``, ``7000000001@chatroom``): the same on every machine.

    A group's is its own; people's ids are words, so theirs are derived from them.
    """
    number = real_id.removesuffix("@chatroom")
    if number != real_id and number.isascii() and number.isdecimal() and 0 < len(number) <= 15:
        return int(number)
    return _hash(real_id) >> 16 or 1


def _hash(mark: str) -> int:
    return int.from_bytes(hashlib.sha256(mark.encode("utf-8", "replace")).digest()[:8])


@dataclass(frozen=True, slots=True)
class Marks:
    """Hashes: ``exact`` belong to one person only, ``weak`` may belong to several; more certain ones first."""

    exact: tuple[int, ...]
    weak: tuple[int, ...]
    look: int = 0  # the weak mark a number is based on without a better one; 0: none


def marks_of(entry: Contact | Group) -> Marks:
    """Return the marks of a person or group."""
    seq = _SEQ.search(entry.avatar)
    face = [_hash(f"face {seq[1]}")] if seq else []
    if isinstance(entry, Group):
        crew = sorted(member.nickname for member in entry.members if member.nickname)
        owner = next((member.nickname for member in entry.members if member.id == entry.owner), "")
        weak = [_hash("crew " + "\0".join(crew))] if len(crew) >= _LEAST_CREW else []
        if entry.name:
            weak.append(_hash(f"group {entry.name}\0{owner}"))
        return Marks((), (*face, *weak))
    exact = (_hash(f"alias {entry.account}"),) if entry.account else ()
    profile = (entry.name, entry.sex, entry.province, entry.city, entry.signature)
    look = _hash("look " + "\0".join((entry.kind, *profile))) if entry.name else 0
    # A bare name does not distinguish two people; official accounts have unique ones.
    telling = any(profile[1:]) or entry.kind is ContactKind.OFFICIAL
    remark = [_hash(f"remark {entry.markname}")] if entry.markname else []
    weak = [*remark, *face, *([look] if look and telling else [])]
    return Marks(exact, tuple(weak), look if telling else 0)


class Identities:
    """The marks of an account's people and groups, over all its logins; beyond IDENTITY_MARKS the oldest go first."""

    def __init__(self, store: StateStore | None) -> None:
        self._store = store
        self._numbers: dict[int, int] = {}  # mark → number
        self._changed: dict[int, int] = {}  # of these, those that are not stored

    async def load(self) -> None:
        """Load the stored identities. Raises WxError while they cannot be read."""
        if self._store is not None and not self._numbers:
            self._numbers.update(await self._store.identities())

    def save(self) -> None:
        """Store the changes."""
        changed, self._changed = self._changed, {}
        if self._store is not None and changed:
            self._store.learn(changed, IDENTITY_MARKS)

    def find(self, mark: int) -> int:
        """Return the number that a mark belongs to, 0 when it belongs to none."""
        return self._numbers.get(mark, 0)

    def learn(self, marks: Iterable[int], number: int) -> None:
        """Note that marks belong to a number."""
        for mark in marks:
            if self._numbers.get(mark) != number:
                self._changed[mark] = number
            # To the end: the marks that were not seen for longest go first.
            self._numbers.pop(mark, None)
            self._numbers[mark] = number
        while len(self._numbers) > IDENTITY_MARKS:
            del self._numbers[next(iter(self._numbers))]


class Recognition:
    """The numbers of one login's ids."""

    def __init__(self, identities: Identities) -> None:
        self._known = identities
        self._numbers: dict[str, int] = {}  # id → number
        self._owners: dict[int, str] = {}  # number → id
        self._waiting: dict[str, tuple[int, ...]] = {}  # id without a number → marks
        self._groups: dict[str, tuple[int, ...]] = {}  # id → weak marks, the surer ones first
        self._bearers: Counter[int] = Counter()  # weak mark of groups → how many have it

    def number(self, name: str) -> int:
        """Return the number of an id, or 0."""
        return self._numbers.get(name, 0)

    async def recognise(self, everybody: Iterable[Contact | Group]) -> None:
        """Assign numbers to all people and groups that can be distinguished, without blocking the loop."""
        marked: list[tuple[Contact | Group, Marks]] = []
        for count, entry in enumerate(everybody):
            marked.append((entry, marks_of(entry)))
            self._note(entry, marked[-1][1])
            if count % _PORTION == _PORTION - 1:
                await asyncio.sleep(0)
        shared = Counter(mark for _, marks in marked for mark in marks.weak)
        alone = {id(marks): [mark for mark in marks.weak if shared[mark] == 1] for _, marks in marked}
        # People with a reliable mark get their numbers before others are matched by a weak one.
        for entry, marks in marked:
            self._take(entry, (entry.uid,) if entry.uid else map(self._known.find, marks.exact))
        await asyncio.sleep(0)
        for entry, marks in marked:
            self._take(entry, (self._known.find(mark) for mark in alone[id(marks)]))
        await asyncio.sleep(0)
        for count, (entry, marks) in enumerate(marked):
            own = alone[id(marks)]
            self._take(entry, made_of(marks, own))
            if number := self._numbers.get(entry.id):
                self._known.learn((*marks.exact, *own), number)
            else:
                self._waiting[entry.id] = (*marks.exact, *own)
            if count % _PORTION == _PORTION - 1:
                await asyncio.sleep(0)
        self.save()

    def meet(self, entry: Contact | Group) -> None:
        """Assign a number to a person who appears later, only by exact marks."""
        marks = marks_of(entry)
        self._take(entry, (entry.uid,) if entry.uid else map(self._known.find, marks.exact))
        self._take(entry, made_of(marks, []))
        if marks.exact and (number := self._numbers.get(entry.id)):
            self._known.learn(marks.exact, number)

    def settle(self, group: Group) -> None:
        """Give a group with a new message a number by its likeness: its real id may never become known.

        Not before, as most are named by the phone soon after the login, and a group's own number is the better one.
        """
        if group.id in self._numbers:
            return
        self._note(group, marks_of(group))
        own = [mark for mark in self._groups[group.id] if self._bearers[mark] == 1]
        self._take(group, (self._known.find(mark) for mark in own))
        self._take(group, (mark >> 16 for mark in reversed(own)))  # names change less often than members
        if number := self._numbers.get(group.id):
            self._waiting.pop(group.id, None)
            self._known.learn(own, number)

    def _note(self, entry: Contact | Group, marks: Marks) -> None:
        if isinstance(entry, Group):
            self._bearers.subtract(self._groups.get(entry.id, ()))
            self._bearers.update(marks.weak)
            self._groups[entry.id] = marks.weak

    def identify(self, name: str, real_id: str) -> tuple[str, ...]:
        """Adopt a person's real id, which is certain; return the ids whose number changed."""
        mark = _hash(f"real {real_id}")
        # A stored number takes precedence over the present one: reports of earlier logins contain it.
        number = self._known.find(mark) or self._numbers.get(name) or uid_of(real_id)
        self._known.learn((mark, *self._waiting.pop(name, ())), number)
        if self._numbers.get(name) == number:
            return ()
        mistaken = self._owners.get(number)  # a weak mark belonged to another person
        if mistaken is not None:
            del self._numbers[mistaken]
        self._owners.pop(self._numbers.get(name, 0), None)
        self._numbers[name] = number
        self._owners[number] = name
        return (name,) if mistaken is None else (name, mistaken)

    def save(self) -> None:
        """Store new marks."""
        self._known.save()

    def _take(self, entry: Contact | Group, numbers: Iterable[int]) -> None:
        if entry.id in self._numbers:
            return
        for number in numbers:
            if number and number not in self._owners:
                self._numbers[entry.id] = number
                self._owners[number] = entry.id
                return


def made_of(marks: Marks, alone: list[int]) -> Iterator[int]:
    """Return numbers for a new person: the same on every machine, so that they last without a store."""
    yield from (mark >> 16 for mark in marks.exact)
    if marks.look and marks.look in alone:
        yield marks.look >> 16
