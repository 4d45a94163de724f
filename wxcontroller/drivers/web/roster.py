"""Who the account knows: the address book, groups with members, and strangers as they turn up.

The contact API refuses who asks too much, so everything goes through one queue with one request in flight
(weixin-web-protocol 5.3, 5.4, 6.6).
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from wxcontroller.core.backoff import Backoff
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject, text
from wxcontroller.core.model import FILE_HELPER, Contact, ContactKind, Group
from wxcontroller.drivers.base import Hindered, Profile, RosterChanged, RosterLoaded
from wxcontroller.drivers.web import contacts as people
from wxcontroller.drivers.web.calls import Calls, Session
from wxcontroller.drivers.web.decode import Init
from wxcontroller.drivers.web.failures import SESSION_OVER, TOO_FREQUENT, NoAnswer
from wxcontroller.drivers.web.identity import Identities, Recognition
from wxcontroller.drivers.web.listing import batch_of, contact_page_of
from wxcontroller.drivers.web.pulse import Pulse
from wxcontroller.drivers.web.text import is_group
from wxcontroller.drivers.web.timing import Timing

log = logging.getLogger(__name__)
_PAGES = 16  # of the address book, as the page allows itself
_BATCH = 50
_One = TypeVar("_One", Contact, Group)
_STRANGERS = 1000  # remembered
# A batch that was refused is asked for again in ever smaller pieces; an id refused alone never again.
_SMALLER = {50: 10, 10: 5, 5: 1}


@dataclass(frozen=True, slots=True)
class RosterOptions:
    """``all_pages`` of the address book; details of members of groups known ``at_login``, of those seen ``later``."""

    all_pages: bool = True
    at_login: bool = False
    later: bool = True


class Roster:
    """The people and groups of one session: ids are valid for that only."""

    def __init__(
        self,
        calls: Calls,
        session: Session,
        pulse: Pulse,
        timing: Timing,
        emoji_names: bool,
        options: RosterOptions,
        identities: Identities,
    ) -> None:
        self._calls = calls
        self._session = session
        self._pulse = pulse
        self._timing = timing
        self._emoji_names = emoji_names
        self._options = options
        self._contacts: dict[str, Contact] = {}
        self._groups: dict[str, Group] = {}
        self._remarks: dict[str, str] = {}  # where they are not just a contact's markname
        self._wanted: dict[str, None] = {}
        self._details: dict[str, str] = {}  # member → group: whom to ask about, when nothing else is to be done
        self._asked: set[str] = set()  # members that were asked about
        self._numbers = Recognition(identities)
        self._refused: list[tuple[int, list[str]]] = []  # (piece size, ids)
        self._hopeless: set[str] = set()
        self._looked: dict[str, float] = {}  # group → monotonic time of the last look at its members
        self._tokens = float(timing.batch_burst)
        self._filled = time.monotonic()
        self._news = asyncio.Event()
        self._settled = asyncio.Condition()
        self._told = False  # RosterLoaded was emitted: from now on changes are
        self._complete = False  # the whole address book was read
        self._again = 0.0
        self._later = Backoff(timing.roster_again, timing.roster_longest, jitter=0.0)
        self._doubted = False  # the contact API says that the session is over: who listens knows better
        self._strangers: OrderedDict[str, str] = OrderedDict()  # id → a message that tells of them
        self._chats: tuple[str, ...] = ()
        self.me = Contact(session.me, "")

    # -- the beginning

    def begin(self, init: Init) -> None:
        """Take over what webwxinit tells; ask for the groups and people it names."""
        self.me = people.contact_of(init.user, self._emoji_names)
        self._take(init.contacts, whole=False)
        self._chats = init.chats  # most are in the address book: asked for after it
        self.want(name for name in (*self._groups, *init.chats) if is_group(name))

    async def load(self) -> None:
        """Read the address book and the groups, then tell RosterLoaded. Never fails: the rest comes later."""
        before = self.me
        await self._address_book()
        if self.me != before:
            await self._pulse.emit(Profile(self.me))
        self.want(self._chats)
        end = time.monotonic() + self._timing.roster_patience
        while self._pending() and not self._doubted and (left := end - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(min(left, self._timing.progress_every)), self._settled:
                    await self._settled.wait_for(lambda: self._doubted or not self._pending())
            except TimeoutError:
                pass
            await self._pulse.progress()
        await self._tell_all()

    async def _number_all(self) -> None:
        """Give everybody the number that outlasts the login, members who are friends included."""
        everybody: list[Contact | Group] = [*self._groups.values()]
        everybody += [contact for contact in self._contacts.values() if contact.kind is not ContactKind.SYSTEM]
        await self._numbers.recognise(everybody)
        for name, contact in list(self._contacts.items()):
            self._contacts[name] = self._numbered(contact)
        for name in list(self._groups):
            await asyncio.sleep(0)
            if name in self._groups:
                group = self._numbered(self._groups[name])
                self._groups[name] = people.with_details(group, self._contacts)

    async def _tell_all(self) -> None:
        await self._number_all()
        self._told = True
        self._news.set()  # the worker may have the address book to look after
        contacts = {FILE_HELPER.id: FILE_HELPER} | self._contacts
        contacts.pop(self._session.me, None)
        await self._pulse.emit(RosterLoaded(tuple(contacts.values()), tuple(self._groups.values())))

    async def _address_book(self) -> bool:
        """Read all pages; False when some are missing, to be asked for again."""
        seq, read = 0, {0}
        for _ in range(_PAGES if self._options.all_pages else 1):
            following = await self._page(seq)
            if following is None:
                self._again = max(self._again, time.monotonic() + self._later.next())
                return False
            seq = following
            if seq in read:  # 0 after the last page; some servers repeat themselves
                break
            read.add(seq)
        self._complete = True
        return True

    async def _page(self, seq: int) -> int | None:
        """Read a page; return what asks for the next one, 0 after the last, None when this one can't be had."""
        backoff = Backoff(self._timing.retry_first, self._timing.retry_longest)
        began = time.monotonic()
        for _ in range(self._timing.retries + 1):
            try:
                page = contact_page_of(await self._pulse.wait(self._calls.contacts(self._session, seq)))
                await self._take_slowly(page, tell=False)
            except WeChatError as problem:
                log.info("contacts are not loaded yet: %s", problem.message)
                if problem.ret == TOO_FREQUENT:
                    self._again = time.monotonic() + self._timing.batch_pause
                    return None
                if problem.ret in SESSION_OVER:
                    self._doubted = True
                    return None
                if not self._told:
                    await self._pulse.emit(Hindered(str(problem)))
                if time.monotonic() - began > self._timing.contacts:
                    return None  # messages are not to wait for ever
            else:
                await self._pulse.progress()
                if page.count or seq:  # an empty list is a refusal in disguise (5.3)
                    return page.seq
                log.info("WeChat gives no contacts yet")
            await self._pulse.pause(backoff.next())
        return None

    async def _take_slowly(self, entries: Iterable[JsonObject], whole: bool = True, tell: bool = True) -> bool:
        """Merge contact objects a portion at a time: the API answers in between. Returns whether any was new."""
        fresh = False
        for portion in people.portions(entries):
            news = self._take(portion, whole)
            fresh = fresh or bool(news.contacts or news.groups)
            if tell:
                await self._tell(news)
            await asyncio.sleep(0)
        return fresh

    def _take(self, entries: Iterable[JsonObject], whole: bool) -> RosterChanged:
        """Merge contact objects; return what is new or different."""
        persons, groups = people.split(entries)
        for entry in (*persons, *groups):
            self._note_remark(entry, whole)
        contacts: dict[str, Contact] = {}
        for entry in persons:
            seen = people.contact_of(entry, self._emoji_names)
            if seen.id == self._session.me:
                self.me = people.merge_contact(self.me, seen, whole=False)
                continue
            merged = self._met(people.merge_contact(self._contacts.get(seen.id), seen, whole))
            if merged != self._contacts.get(seen.id):
                self._contacts[seen.id] = contacts[seen.id] = merged
        changed: dict[str, Group] = {}
        for entry in groups:
            group = people.group_of(entry, self._session.me, self._emoji_names)
            if not people.with_names(group):  # a list of bare ids says less than what is known
                group = replace(group, members=())
            known = self._groups.get(group.id)
            merged_group = self._met(people.merge_group(known, group))
            merged_group = people.with_details(merged_group, self._contacts)
            self._want_details(known, merged_group)
            if not group.members:
                self.want((group.id,), again=known is not None)
            if merged_group != known:
                self._groups[group.id] = changed[group.id] = merged_group
        return RosterChanged(tuple(contacts.values()), tuple(changed.values()))

    def _met(self, one: _One) -> _One:
        """Return somebody with a number, if there is one; those who come with the address book get it in the end."""
        if self._told and not self._numbers.number(one.id) and one.id not in people.SPECIAL:
            self._numbers.meet(one)
        return self._numbered(one)

    def _numbered(self, one: _One) -> _One:
        number = self._numbers.number(one.id)
        return replace(one, uid=number) if number != one.uid and (number or self._told) else one

    async def identify(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Take over real ids: they tell who is who after the next login (6.5)."""
        contacts: dict[str, Contact] = {}
        groups: dict[str, Group] = {}
        for pair in pairs:
            for name in self._numbers.identify(*pair):
                if name in self._contacts:
                    self._contacts[name] = contacts[name] = self._numbered(self._contacts[name])
                if name in self._groups:
                    self._groups[name] = groups[name] = self._numbered(self._groups[name])
        await self._tell(RosterChanged(tuple(contacts.values()), tuple(groups.values())))
        await self._numbers.save()

    def _want_details(self, known: Group | None, group: Group) -> None:
        """Ask about members that are new. Friends are known, and everybody is asked about once."""
        if not (self._options.later if self._told else self._options.at_login):
            return
        before = {member.id for member in known.members} if known else set()
        for member in group.members:
            if member.id not in before and member.id not in self._contacts and member.id not in self._asked:
                self._details[member.id] = group.id
        self._details.pop(self._session.me, None)
        if self._details:
            self._news.set()

    def _note_remark(self, entry: JsonObject, whole: bool) -> None:
        """Keep a remark that the model has no place for: a group's, or one with emoji that are shown as names."""
        name, remark = people.id_of(entry), people.remark_of(entry)
        if remark and (is_group(name) or "<span" in text(entry.get("RemarkName"))):
            self._remarks[name] = remark
        elif remark or whole:
            self._remarks.pop(name, None)

    # -- questions

    def group_key(self, group: str) -> str:
        """Return the handle that WeChat wants for a group's members, "" when it is not known."""
        known = self._groups.get(group)
        return known.key if known else ""

    def group_size(self, group: str) -> int:
        """Return how many members a group has, 0 when it is not known."""
        known = self._groups.get(group)
        return len(known.members) if known else 0

    def avatar(self, name: str) -> str:
        """Return path and query of somebody's picture, without skey, "" when it is not known."""
        if name == self._session.me:
            return self.me.avatar
        known = self._groups.get(name) or self._contacts.get(name)
        return known.avatar if known else ""

    def meet(self, stranger: str, message_id: str) -> None:
        """Remember which message told of somebody: their picture is shown to who names it (5.13)."""
        if stranger:
            self._strangers[stranger] = message_id
        while len(self._strangers) > _STRANGERS:
            self._strangers.popitem(last=False)

    def met_in(self, stranger: str) -> str:
        """Return the message that told of somebody, "" when there is none or they are known anyhow."""
        return "" if stranger in self._contacts else self._strangers.get(stranger, "")

    def remark(self, name: str) -> str | None:
        """Return the remark of a person or group as WeChat wants to get it, None when it is not known."""
        if name in self._remarks:
            return self._remarks[name]
        if name in self._groups or name in people.SPECIAL:
            return ""
        known = self._contacts.get(name)
        return known.markname if known else None

    # -- while listening

    async def apply(self, changed: Iterable[JsonObject], gone: Iterable[str], profile: JsonObject) -> bool:
        """Merge what webwxsync tells and pass it on. Returns whether it was new."""
        first = before = self.me
        self.me = people.profile_changes(profile, self.me, self._emoji_names)
        if self.me != before:
            await self._pulse.emit(Profile(self.me))
        before = self.me
        fresh = await self._take_slowly(changed, whole=False)
        left = tuple(name for name in gone if name in self._contacts or name in self._groups)
        for name in left:
            self._contacts.pop(name, None)
            self._groups.pop(name, None)
            self._wanted.pop(name, None)
        if self.me != before:
            await self._pulse.emit(Profile(self.me))
        await self._tell(RosterChanged(gone=left))
        await self._numbers.save()
        return fresh or bool(left) or self.me != first

    async def _tell(self, news: RosterChanged) -> None:
        if self._told and (news.contacts or news.groups or news.gone):
            await self._pulse.emit(news)

    def want(self, names: Iterable[str], again: bool = False) -> None:
        """Ask for people and groups that are not known yet (or, ``again``, for known ones), soon."""
        for name in names:
            if name in self._hopeless or name in self._wanted or name == self._session.me:
                continue
            if again or not self._known(name):
                self._wanted[name] = None
        if self._wanted:
            self._news.set()

    def _known(self, name: str) -> bool:
        if is_group(name):
            group = self._groups.get(name)
            return group is not None and bool(group.members)
        return name in self._contacts or name in people.SPECIAL

    async def introduce(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Make chats and senders known before their messages are told, with bounded patience.

        ``pairs`` are (chat, sender). What can't be found out in time comes later as a change.
        """
        missing: list[str] = []
        for chat, sender in dict.fromkeys(pairs):
            group = self._groups.get(chat)
            if not self._known(chat):
                missing.append(chat)
            elif group is not None and sender and all(member.id != sender for member in group.members):
                now = time.monotonic()
                if now - self._looked.get(chat, -1e9) > self._timing.member_refresh:
                    self._looked[chat] = now
                    missing.append(chat)
        # What is being asked for already has had its patience.
        missing = [name for name in missing if name not in self._hopeless and not self._open(name)]
        if not missing:
            return
        self._wanted = dict.fromkeys(missing) | self._wanted  # before everything else: somebody waits
        self._news.set()
        try:
            async with asyncio.timeout(self._timing.stranger_patience), self._settled:
                await self._settled.wait_for(lambda: not any(self._open(name) for name in missing))
        except TimeoutError:
            log.debug("%d chats are not known yet", len(missing))

    def _open(self, name: str) -> bool:
        return name in self._wanted or any(name in ids for _, ids in self._refused)

    def _pending(self) -> bool:
        return bool(self._wanted or self._refused)

    # -- the queue

    async def work(self) -> None:
        """Fetch what is wanted, one request at a time, until cancelled."""
        backoff = Backoff(self._timing.retry_first, self._timing.retry_longest)
        while True:
            if self._pending():
                await self._ask(backoff)
            elif self._details:
                if await self._quiet(self._timing.detail_every):
                    await self._ask_details(backoff)
            else:
                await self._idle()
                await asyncio.sleep(self._timing.batch_collect)

    async def _quiet(self, seconds: float) -> bool:
        """Return whether nothing new was wanted for so long."""
        self._news.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return True
        return False

    async def _ask(self, backoff: Backoff) -> None:
        size, ids = self._next()
        await self._take_token()
        ids = [name for name in ids if name not in self._hopeless]
        try:
            found = batch_of(await self._calls.batch_contacts(self._session, [(name, "") for name in ids]))
            await self._take_slowly(found)
        except NoAnswer as problem:
            log.debug("%s", problem.message)
            self._put_back(ids)
            await asyncio.sleep(backoff.next())
        except WeChatError as problem:
            await self._refuse(size, ids, problem)
        else:
            backoff.reset()
            # An id the answer leaves out, or a group that comes without members, is not asked for again.
            self._hopeless.update(name for name in ids if not self._known(name))
            for name in ids:
                self._wanted.pop(name, None)
        async with self._settled:
            self._settled.notify_all()

    async def _ask_details(self, backoff: Backoff) -> None:
        """Ask about some members. What is refused is not asked again: it is not needed for anything."""
        await self._take_token()
        some = list(self._details.items())[:_BATCH]
        try:
            asked = [(name, self.group_key(group) or group) for name, group in some]
            found = tuple(batch_of(await self._calls.batch_contacts(self._session, asked)))
        except NoAnswer as problem:
            log.debug("%s", problem.message)
            await asyncio.sleep(backoff.next())
            return
        except WeChatError as problem:
            log.debug("%s", problem.message)
            found = ()
            if problem.ret == TOO_FREQUENT or problem.ret in SESSION_OVER:
                self._details.clear()
                await asyncio.sleep(self._timing.batch_pause if problem.ret == TOO_FREQUENT else 0)
        backoff.reset()
        for name, _ in some:
            self._details.pop(name, None)
            self._asked.add(name)
        known = {entry.id: entry for entry in (people.contact_of(raw, self._emoji_names) for raw in found)}
        changed: dict[str, Group] = {}
        for group_id in {group for _, group in some}:
            group = self._groups.get(group_id)
            if group and (better := people.with_details(group, known)) != group:
                self._groups[group_id] = changed[group_id] = better
        await self._tell(RosterChanged(groups=tuple(changed.values())))

    async def _idle(self) -> None:
        """Wait for something to do: new ids, or the time to ask for the address book again."""
        self._news.clear()
        if self._complete or not self._told:
            await self._news.wait()
            return
        try:
            await asyncio.wait_for(self._news.wait(), max(0.0, self._again - time.monotonic()))
        except TimeoutError:
            if await self._address_book():
                await self._tell_all()

    def _next(self) -> tuple[int, list[str]]:
        if self._wanted:
            ordered = sorted(self._wanted, key=lambda name: not is_group(name))  # groups first
            return _BATCH, ordered[:_BATCH]
        return self._refused.pop(0)

    def _put_back(self, ids: list[str]) -> None:
        for name in ids:
            self._wanted.setdefault(name)

    async def _refuse(self, size: int, ids: list[str], problem: WeChatError) -> None:
        log.debug("%s", problem.message)
        for name in ids:
            self._wanted.pop(name, None)
        if problem.ret == TOO_FREQUENT or problem.ret in SESSION_OVER:
            self._put_back(ids)
            self._doubted = problem.ret != TOO_FREQUENT
            if problem.ret == TOO_FREQUENT:
                log.warning("WeChat says that contacts are asked for too often; they come later")
            async with self._settled:
                self._settled.notify_all()
            await asyncio.sleep(self._timing.batch_pause)
            return
        smaller = _SMALLER.get(size)
        if smaller is None:
            self._hopeless.update(ids)
            return
        self._refused += [(smaller, ids[start : start + smaller]) for start in range(0, len(ids), smaller)]

    async def _take_token(self) -> None:
        now = time.monotonic()
        self._tokens = min(
            float(self._timing.batch_burst), self._tokens + (now - self._filled) / self._timing.batch_every
        )
        self._filled = now
        if self._tokens < 1:
            await asyncio.sleep((1 - self._tokens) * self._timing.batch_every)
            self._filled = time.monotonic()
            self._tokens = 1.0
        self._tokens -= 1
