"""People and groups of the account: the address book, groups with members, and strangers as they turn up.

See weixin-web-protocol 5.3, 5.4 and 6.6. ``inquiries`` asks for missing details.
"""

import asyncio
import logging
import time
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from wxcontroller.core.backoff import Backoff
from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject, text
from wxcontroller.core.model import Contact, ContactKind, Group
from wxcontroller.drivers.base import LoginStalled, Profile, RosterChanged, RosterLoaded
from wxcontroller.drivers.connection.pulse import Pulse
from wxcontroller.drivers.web.decode import contacts as people
from wxcontroller.drivers.web.decode.answers import Init
from wxcontroller.drivers.web.decode.failures import SESSION_OVER, TOO_FREQUENT
from wxcontroller.drivers.web.decode.listing import contact_page_of
from wxcontroller.drivers.web.decode.text import is_group
from wxcontroller.drivers.web.session.identity import Identities, Recognition
from wxcontroller.drivers.web.session.inquiries import Inquiries
from wxcontroller.drivers.web.wire.calls import WebCalls, WebSession
from wxcontroller.drivers.web.wire.timing import WebTiming

log = logging.getLogger(__name__)
# People outside the address book that are remembered, the latest: senders in groups that were never listed.
STRANGERS = 1000
_One = TypeVar("_One", Contact, Group)


@dataclass(frozen=True, slots=True)
class RosterOptions:
    """``all_pages`` of the address book; details of members of groups known ``at_login``, of those seen ``later``."""

    all_pages: bool = True
    at_login: bool = False
    later: bool = True


# The chat with oneself, on all devices (6.2).
FILE_HELPER = Contact("filehelper", "文件传输助手", kind=ContactKind.SYSTEM)


class WebRoster:
    """The people and groups of one session: ids are valid for that only."""

    def __init__(
        self,
        calls: WebCalls,
        session: WebSession,
        pulse: Pulse,
        timing: WebTiming,
        emoji_names: bool,
        options: RosterOptions,
        identities: Identities,
        contact_pages: int = DEFAULTS.contact_pages,
    ) -> None:
        self._contact_pages = contact_pages
        self._calls = calls
        self._session = session
        self._pulse = pulse
        self._timing = timing
        self._emoji_names = emoji_names
        self._options = options
        self._contacts: dict[str, Contact] = {}
        self._groups: dict[str, Group] = {}
        self._remarks: dict[str, str] = {}  # where they are not just a contact's markname
        # In a cycle of references each login would leave its contacts until the next full garbage collection, which
        # comes when a quarter of all objects is garbage: after some thirty logins with few contacts.
        self._inquiries = Inquiries(calls, session, timing, weakref.proxy(self))
        self._asked: set[str] = set()  # requested members
        self._numbers = Recognition(identities)
        self._outside: set[str] = set()  # groups that WeChat keeps sending although the account has left
        self._listed: dict[str, float] = {}  # group → monotonic time of its last list of members
        self._looked: dict[str, float] = {}  # group → ... of the last update due to an unknown member
        self._announced = False  # RosterLoaded was emitted: from now on changes are
        self._again = 0.0  # monotonic time of the next request for the address book; 0: complete
        self._later = Backoff(timing.roster_again, timing.roster_longest, jitter=0.0)
        self._strangers: OrderedDict[str, str] = OrderedDict()  # id → a message that mentions them
        self._chats: tuple[str, ...] = ()
        self._book: dict[str, None] = {}  # who is in the address book, in its order
        self.me = Contact(session.me, "")

    # -- the beginning

    def begin(self, init: Init) -> None:
        """Adopt webwxinit's data; request the groups and people it names."""
        self.me = people.contact_of(init.user, self._emoji_names)
        # Parts: webwxinit has the latest chats only, and fewer fields of each.
        self._merge(init.contacts, complete=False)
        self._chats = init.chats  # most are in the address book: requested after it
        self.want(name for name in (*self._groups, *init.chats) if is_group(name))

    def profile(self) -> Profile:
        """Return oneself."""
        return Profile(self.me)

    async def load(self) -> None:
        """Load the address book and the groups, then emit RosterLoaded. Never fails: missing parts are loaded
        later."""
        before = self.me
        await self._address_book()
        if self.me != before:
            await self._pulse.emit(Profile(self.me))
        self.want(self._chats)
        asked, end = self._inquiries, time.monotonic() + self._timing.roster_patience
        while asked.pending and not asked.doubted and (left := end - time.monotonic()) > 0:
            patience = min(left, self._timing.progress_every)
            await asked.settled(lambda: asked.doubted or not asked.pending, patience)
            await self._pulse.progress()
        await self._emit_all()

    async def _number_all(self) -> None:
        """Assign stable numbers to all people, including members who are friends."""
        everybody: list[Contact | Group] = [*self._groups.values()]
        everybody += [contact for contact in self._contacts.values() if contact.kind is not ContactKind.SYSTEM]
        await self._numbers.recognise(everybody)
        for name, contact in list(self._contacts.items()):
            self._contacts[name] = self._numbered(contact)
        for name in list(self._groups):
            # An address book may have 10,000 people: the account's API answers in between.
            await asyncio.sleep(0)
            if name in self._groups:
                group = self._numbered(self._groups[name])
                self._groups[name] = people.with_details(group, self._contacts)

    async def _emit_all(self) -> None:
        await self._number_all()
        self._announced = True
        if self._again:
            self._inquiries.errand = self._again, self._read_on
            self._inquiries.remind()
        # WeChat's order, as in the original, followed by other known people.
        contacts = {name: self._contacts[name] for name in self._book if name in self._contacts} | self._contacts
        contacts.pop(self._session.me, None)
        # The file helper exists even if no page lists it; scripts expect it after all friends (openwx-api 2.3).
        contacts[FILE_HELPER.id] = contacts.pop(FILE_HELPER.id, FILE_HELPER)
        await self._pulse.emit(RosterLoaded(tuple(contacts.values()), tuple(self._groups.values())))

    async def _address_book(self) -> bool:
        """Read all pages; False if some are missing, which are requested again later."""
        seq, read = 0, {0}
        for _ in range(self._contact_pages if self._options.all_pages else 1):
            following = await self._page(seq)
            if following is None:
                self._again = max(self._again, time.monotonic() + self._later.next())
                return False
            seq = following
            if seq in read:  # 0 after the last page; some servers repeat themselves
                break
            read.add(seq)
        return True

    async def _read_on(self) -> None:
        """Request the address book again if the last response was incomplete."""
        self._again = 0.0
        if await self._address_book():
            await self._emit_all()
        else:
            self._inquiries.errand = self._again, self._read_on

    async def _page(self, seq: int) -> int | None:
        """Read a page; return the next one's number, 0 after the last, None if this one cannot be read."""
        backoff = Backoff(self._timing.retry_first, self._timing.retry_longest)
        began = time.monotonic()
        for _ in range(self._timing.retries + 1):
            try:
                page = contact_page_of(await self._pulse.wait(self._calls.contacts(self._session, seq)))
                await self._merge_slowly(self._noted(page), tell=False)
            except WeChatError as problem:
                log.info("contacts are not loaded yet: %s", problem.message)
                if problem.ret == TOO_FREQUENT:
                    self._again = time.monotonic() + self._timing.batch_pause
                    return None
                if problem.ret in SESSION_OVER:
                    self._inquiries.doubted = True
                    return None
                if not self._announced:
                    await self._pulse.emit(LoginStalled(problem.full_text))
                if time.monotonic() - began > self._timing.contacts:
                    return None  # messages must not wait without limit
            else:
                await self._pulse.progress()
                if page.count or seq:  # an empty list is in fact a refusal (5.3)
                    return page.seq
                log.info("WeChat has not returned contacts yet")
            await self._pulse.pause(backoff.next())
        return None

    def _noted(self, page: Iterable[JsonObject]) -> Iterator[JsonObject]:
        for entry in page:
            self._book[people.id_of(entry)] = None
            yield entry

    async def _merge_slowly(self, entries: Iterable[JsonObject], complete: bool = True, tell: bool = True) -> bool:
        """Merge contact objects a portion at a time: the API answers in between. Returns whether any was new."""
        fresh = False
        for portion in people.portions(entries):
            news = self._merge(portion, complete)
            fresh = fresh or bool(news.contacts or news.groups or news.gone)
            if tell:
                await self._emit_changes(news)
            await asyncio.sleep(0)
        return fresh

    def _merge(self, entries: Iterable[JsonObject], complete: bool) -> RosterChanged:
        """Merge contact objects; return the new or changed ones."""
        persons, groups = people.split(entries)
        for entry in (*persons, *groups):
            self._note_remark(entry, complete)
        contacts: dict[str, Contact] = {}
        for entry in persons:
            seen = people.contact_of(entry, self._emoji_names)
            if seen.id == self._session.me:
                self.me = people.merge_contact(self.me, seen, complete=False)
                continue
            merged = self._met(people.merge_contact(self._contacts.get(seen.id), seen, complete))
            if merged != self._contacts.get(seen.id):
                self._contacts[seen.id] = contacts[seen.id] = merged
        changed: dict[str, Group] = {}
        left: list[str] = []
        for entry in groups:
            group = people.group_of(entry, self._session.me, self._emoji_names)
            if not people.with_names(group):  # a list of bare ids has less than the known one
                group = replace(group, members=())
            earlier = self._groups.get(group.id)
            if self._is_outside(earlier, group, entry):
                if self._groups.pop(group.id, None):
                    left.append(group.id)
                continue
            if group.members:
                self._listed[group.id] = time.monotonic()
            merged_group = self._met(people.merge_group(earlier, group))
            merged_group = people.with_details(merged_group, self._contacts)
            self._want_details(earlier, merged_group)
            if not group.members:
                self.want((group.id,), again=earlier is not None)
            if merged_group != earlier:
                self._groups[group.id] = changed[group.id] = merged_group
        return RosterChanged(tuple(contacts.values()), tuple(changed.values()), tuple(left))

    def _is_outside(self, earlier: Group | None, group: Group, entry: JsonObject) -> bool:
        """Return whether the account is no longer in a group: its whole list comes without it (6.6).

        A list may be truncated, so only an account that was in it before can have left.
        """
        me, is_complete = self._session.me, bool(group.members) and len(group.members) >= people.size_of(entry)
        if any(member.id == me for member in group.members):
            self._outside.discard(group.id)
        elif is_complete and earlier is not None and any(member.id == me for member in earlier.members):
            self._outside.add(group.id)
        return group.id in self._outside

    def _met(self, entry: _One) -> _One:
        """Return a person with their number, if any; those of the address book get it at the end."""
        if self._announced and not self._numbers.number(entry.id) and entry.id not in people.SPECIAL:
            self._numbers.meet(entry)
        return self._numbered(entry)

    def _numbered(self, entry: _One) -> _One:
        number = self._numbers.number(entry.id)
        return replace(entry, uid=number) if number != entry.uid and (number or self._announced) else entry

    async def identify(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Adopt real ids: they identify people after the next login (6.5)."""
        contacts: dict[str, Contact] = {}
        groups: dict[str, Group] = {}
        for pair in pairs:
            for name in self._numbers.identify(*pair):
                if name in self._contacts:
                    self._contacts[name] = contacts[name] = self._numbered(self._contacts[name])
                if name in self._groups:
                    self._groups[name] = groups[name] = self._numbered(self._groups[name])
        await self._emit_changes(RosterChanged(tuple(contacts.values()), tuple(groups.values())))
        self._numbers.save()

    def _want_details(self, earlier: Group | None, group: Group) -> None:
        """Request new members. Friends are known, and each person is requested once."""
        if not (self._options.later if self._announced else self._options.at_login):
            return
        nobody_new = {member.id for member in earlier.members} if earlier else set()
        nobody_new.add(self._session.me)
        new = (member.id for member in group.members if member.id not in nobody_new)
        self._inquiries.want_details(
            {person: group.id for person in new if person not in self._contacts and person not in self._asked}
        )

    def _note_remark(self, entry: JsonObject, complete: bool) -> None:
        """Keep a remark that the model has no place for: a group's, or one with emoji that are shown as names."""
        name, remark = people.id_of(entry), people.remark_of(entry)
        if remark and (is_group(name) or "<span" in text(entry.get("RemarkName"))):
            self._remarks[name] = remark
        elif remark or complete:
            self._remarks.pop(name, None)

    # -- questions

    def group_key(self, group: str) -> str:
        """Return the handle for queries of a group's members, "" if unknown."""
        found = self._groups.get(group)
        return found.key if found else ""

    def group_size(self, group: str) -> int:
        """Return how many members a group has, 0 when it is not known."""
        found = self._groups.get(group)
        return len(found.members) if found else 0

    def avatar(self, name: str) -> str:
        """Return path and query of a person's picture, without skey, or ""."""
        if name == self._session.me:
            return self.me.avatar
        found = self._groups.get(name) or self._contacts.get(name)
        return found.avatar if found else ""

    def meet(self, stranger: str, message_id: str) -> None:
        """Remember which message introduced a person: WeChat returns their picture for its id (5.13)."""
        if stranger:
            self._strangers[stranger] = message_id
        while len(self._strangers) > STRANGERS:
            self._strangers.popitem(last=False)

    def met_in(self, stranger: str) -> str:
        """Return the message that introduced a person, "" if there is none or if the person is known."""
        return "" if stranger in self._contacts else self._strangers.get(stranger, "")

    def remark(self, name: str) -> str | None:
        """Return the remark of a person or group in WeChat's request format, None if unknown."""
        if name in self._remarks:
            return self._remarks[name]
        if name in self._groups or name in people.SPECIAL:
            return ""
        contact = self._contacts.get(name)
        return contact.markname if contact else None

    # -- while listening

    async def apply(self, changed: Iterable[JsonObject], gone: Iterable[str], profile: JsonObject) -> bool:
        """Merge webwxsync's contacts and report them. Returns whether they were new."""
        first = before = self.me
        self.me = people.profile_changes(profile, self.me, self._emoji_names)
        if self.me != before:
            await self._pulse.emit(Profile(self.me))
        before = self.me
        fresh = await self._merge_slowly(changed, complete=False)
        left = tuple(name for name in gone if name in self._contacts or name in self._groups)
        for name in left:
            self._contacts.pop(name, None)
            self._groups.pop(name, None)
            self._inquiries.forget(name)
        if self.me != before:
            await self._pulse.emit(Profile(self.me))
        await self._emit_changes(RosterChanged(gone=left))
        self._numbers.save()
        return fresh or bool(left) or self.me != first

    async def _emit_changes(self, news: RosterChanged) -> None:
        if self._announced and (news.contacts or news.groups or news.gone):
            await self._pulse.emit(news)

    def want(self, names: Iterable[str], again: bool = False) -> None:
        """Schedule a query for unknown people and groups (or, with ``again``, for known ones)."""
        self._inquiries.want(names, again)

    # -- callbacks of the inquiries

    def knows(self, name: str) -> bool:
        """See Asker.knows."""
        if is_group(name):
            group = self._groups.get(name)
            return group is not None and bool(group.members)
        return name in self._contacts or name in people.SPECIAL

    async def found(self, entries: Iterable[JsonObject]) -> None:
        """See Asker.found."""
        await self._merge_slowly(entries)

    async def detailed(self, members: Iterable[str], groups: Iterable[str], entries: tuple[JsonObject, ...]) -> None:
        """See Asker.detailed."""
        self._asked.update(members)
        contacts = {entry.id: entry for entry in (people.contact_of(raw, self._emoji_names) for raw in entries)}
        changed: dict[str, Group] = {}
        for group_id in groups:
            group = self._groups.get(group_id)
            if group and (better := people.with_details(group, contacts)) != group:
                self._groups[group_id] = changed[group_id] = better
        await self._emit_changes(RosterChanged(groups=tuple(changed.values())))

    async def introduce(self, names: Iterable[tuple[str, str]]) -> None:
        """Make chats and senders known before their messages are emitted, within a time limit.

        ``names`` are (chat, sender), in groups without a sender for messages of WeChat itself. People not found
        in time are reported later, as changes.
        """
        missing: list[str] = []
        pairs = list(dict.fromkeys(names))
        for chat, sender in pairs:
            group, now = self._groups.get(chat), time.monotonic()
            if not self.knows(chat):
                missing.append(chat)
            elif group is not None and sender and all(member.id != sender for member in group.members):
                if now - self._looked.get(chat, -1e9) > self._timing.member_refresh:
                    self._looked[chat] = now
                    missing.append(chat)
            elif group is not None:
                # Names in a group change without notice, and lists arrive late after joins and leaves (6.6).
                limit = self._timing.group_refresh if sender else self._timing.notice_refresh
                if now - self._listed.get(chat, now) > limit:
                    self._listed[chat] = now
                    self.want((chat,), again=True)
        if not await self._inquiries.answered(missing, self._timing.stranger_patience):
            log.debug("%d chats are not known yet", len(missing))
        await self._settle(chat for chat, _ in pairs)

    async def _settle(self, chats: Iterable[str]) -> None:
        changed: dict[str, Group] = {}
        for chat in dict.fromkeys(chats):
            group = self._groups.get(chat)
            if group is not None and not group.uid and group.members:
                self._numbers.settle(group)
                if self._numbers.number(chat):
                    self._groups[chat] = changed[chat] = self._numbered(group)
        await self._emit_changes(RosterChanged(groups=tuple(changed.values())))

    async def work(self) -> None:
        """Make the requests, one at a time, until cancelled."""
        try:
            await self._inquiries.work()
        finally:
            self._inquiries.errand = None  # it is ours
