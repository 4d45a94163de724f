"""The events of all accounts: one connection to each account with readers, shared by all of them.

While there are readers, the hub keeps a line to each account that is up: a connection to its /v1/events, which is
reopened after its last event. A reader's place in an account is the last event that it received. Each pair of reader
and account is in one of two states:

- Live: the line puts each event into the reader's queue.
- Behind: the reader came with an old place, or its queue was full. It gets its own connection, which reads the
  account's log from its place and waits while the queue is full, so that nothing is lost. When it has reached the
  line's place, the reader is live.

A subscription includes all events after it was made: the line starts in the account's log, which has those from
before the line was open.

Accounts are not trusted: an event is decoded and written again, in the account's own name. One that takes long to
decode does not hold up the controller, and all of this is within the account's budget (``core/budget.py``).
"""

import asyncio
import contextlib
import json
import logging
import math
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias
from urllib.parse import urlencode

from msgspec import UNSET

from wxcontroller.controller.account_port.portfailures import PortFailure
from wxcontroller.controller.account_port.ports import AccountPorts
from wxcontroller.controller.accounts.registry import Registry
from wxcontroller.controller.tasks import SharedWork
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.backoff import Backoff
from wxcontroller.core.names import AccountName
from wxcontroller.core.net.eventlines import SentEvent, events_in
from wxcontroller.core.net.mediatype import media_type
from wxcontroller.core.records.decoding import Undecodable, decode, decode_aside, encode
from wxcontroller.core.records.eventrecords import EventRecord, Opening
from wxcontroller.core.registry.account import Account
from wxcontroller.openwx.contract.eventtypes import RESET

log = logging.getLogger(__name__)
# Events that wait for one reader. A slower reader gets the accounts' logs at its own pace.
STREAM_WAITING_EVENTS = 100
# Accounts send something every 10 s.
STREAM_SILENCE_SECONDS = 30.0
# Enough for the largest events: all groups with their members. Parsing this many takes a second or two in a thread.
EVENT_VALUES = 1_000_000
# Pauses after an account that did not open its stream, as another program.
RETRY_FIRST, RETRY_LONGEST = 1.0, 30.0
# Interval of checks for accounts that have started and for connections that have ended.
_LOOK_SECONDS = 1.0
# For an account whose program does not know epochs.
FIRST_EPOCH = 1
_ID = re.compile(r"(?P<log>[0-9a-f]{8})-(?P<seq>[0-9]{1,18})")
_TYPE = re.compile(r"[a-z_]{1,64}")


@dataclass(frozen=True, slots=True)
class AccountEvent:
    """One event of an account: its id there, its type, and its JSON on one line. ``host`` is the event's host, "" for
    none; ``has_epoch``: the event has an epoch.
    """

    instance: str
    id: str
    type: str
    body: bytes
    host: str = ""
    has_epoch: bool = False

    def at(self, host: str) -> bytes:
        """Return the event in its form for a stream of several hosts: with the sending host, and an epoch."""
        epoch = b"" if self.has_epoch else b'"epoch":%d,' % FIRST_EPOCH
        return b'{"host":%b,%b%b' % (json.dumps(host).encode(), epoch, self.body[1:])


Begins: TypeAlias = Callable[[str], None]
Give: TypeAlias = "Callable[[AccountEvent], Awaitable[None]]"


class Subscription:
    """A reader's events: those that are ``wanted``, after ``places`` (ids by instance), or from ``since`` on.

    ``since`` is a time in microseconds since 1970; it counts for accounts without a place.
    """

    def __init__(
        self, wanted: Callable[[str], bool], types: frozenset[str], since: int, places: Mapping[str, str]
    ) -> None:
        self.wants = wanted
        self.types = types
        self.since = since
        # The reader's last id by instance; the most recent account is last.
        self.places = dict(places)
        # Also of events that still wait here or are of another type.
        self.queued = dict(places)
        self.catching_up: dict[str, asyncio.Task[None]] = {}
        self.ended = False
        # The beginnings of other hosts' streams, by host, in the time of each host's own clock.
        self.stamps: dict[str, int] = {}
        self._waiting: deque[AccountEvent] = deque()
        self._arrived, self._taken = asyncio.Event(), asyncio.Event()

    async def next(self) -> AccountEvent | None:
        """Return the next event, None at the end. Each account's events are in order. Cancelling the call loses
        nothing.
        """
        while not self._waiting:
            if self.ended:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        event = self._waiting.popleft()
        self._taken.set()
        self.places.pop(event.instance, None)
        self.places[event.instance] = event.id
        return event

    def begin_at(self, instance: str, event_id: str) -> None:
        """Note where an account begins that has no place: better than a time, as clocks go back."""
        if instance not in self.queued:
            self.places = {instance: event_id, **self.places}  # first: it has been silent for longest
            self.queued[instance] = event_id

    def offer(self, event: AccountEvent) -> bool:
        """Queue an event; return False if the queue is full."""
        if not self.types or event.type in self.types or event.type == RESET:
            # Later events of these types are not queued either: the reader's place stays before the first missing
            # one.
            if len(self._waiting) >= STREAM_WAITING_EVENTS:
                return False
            self._waiting.append(event)
            self._arrived.set()
        # Events of other types also advance the place: otherwise a reader without events would reconnect with an old
        # one.
        self.queued[event.instance] = event.id
        return True

    async def put(self, event: AccountEvent) -> None:
        """Add an event, waiting for space, unless the account's line has delivered it in the meantime."""
        while not is_at_or_after(self.queued.get(event.instance), event.id) and not self.offer(event):
            self._taken.clear()
            await self._taken.wait()

    def end(self) -> None:
        self.ended = True
        self._arrived.set()


@dataclass(slots=True, eq=False)
class _Line:
    """The connection to one account: opened to begin ``since`` then, or after ``place``, the last event it gave."""

    account: Account
    since: int
    place: str | None = None
    task: asyncio.Task[None] | None = None

    def serves(self, reader: Subscription) -> bool:
        """Return whether the reader has all events that the line has delivered, and can get the rest from it."""
        place = reader.queued.get(self.account.name.instance)
        if place is None:
            return self.place is None and self.since <= reader.since
        return self.place is not None and is_at_or_after(place, self.place)


@dataclass(slots=True)
class _Refusal:
    """The account does not open its event stream; retry at ``until``, by the loop's clock."""

    process: object
    backoff: Backoff
    until: float = 0.0


class Hub:
    """All subscriptions and lines. Without readers there are none, and no work."""

    def __init__(self, registry: Registry, ports: AccountPorts, event_bytes: Callable[[], int]) -> None:
        self._registry = registry
        self._ports = ports
        self._event_bytes = event_bytes
        self._subscriptions: set[Subscription] = set()
        self._lines: dict[str, _Line] = {}
        self._refusals: dict[str, _Refusal] = {}
        self._work = SharedWork(self._run)
        self._news = asyncio.Event()
        self._complaint = ""

    @contextlib.asynccontextmanager
    async def subscribed(
        self,
        wanted: Callable[[str], bool],
        types: frozenset[str] = frozenset(),
        since: int | None = None,
        places: Mapping[str, str] = MappingProxyType({}),
    ) -> AsyncIterator[Subscription]:
        """Subscribe for a block, to what happens after ``since`` and ``places``; by default from now on."""
        made = Subscription(wanted, types, now() if since is None else since, places)
        if since is None:
            for instance, line in self._lines.items():
                if line.place is not None and wanted(instance):
                    made.begin_at(instance, line.place)
        self._subscriptions.add(made)
        try:
            async with self._work.needed():
                self._news.set()
                yield made
        finally:
            self._subscriptions.discard(made)
            for task in made.catching_up.values():
                task.cancel()

    async def _run(self) -> None:
        self._lines = {}  # those of the last run, if any, are being closed
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._news.clear()
                    self._look(group)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_SECONDS):
                            await self._news.wait()
        except Exception:
            log.exception("reading the accounts' events failed; readers are disconnected")
            for reader in self._subscriptions:
                reader.end()

    def _look(self, group: asyncio.TaskGroup) -> None:
        """Open lines to accounts that are up and wanted, and have readers catch up that are behind."""
        try:
            accounts = self._registry.all()
        except OSError as problem:
            # May pass, as when no descriptor is left. The lines that are open stay.
            if str(problem) != self._complaint:
                self._complaint = str(problem)
                log.error("cannot list the accounts for readers of events, retrying: %s", problem)
            return
        self._complaint = ""
        wanted = {
            instance
            for instance in accounts
            if any(subscription.wants(instance) for subscription in self._subscriptions)
        }
        for instance in self._lines.keys() - wanted:
            # No reader is left: an account without readers costs nothing.
            if task := self._lines.pop(instance).task:
                task.cancel()
        for instance in self._refusals.keys() - wanted:
            del self._refusals[instance]
        for instance in sorted(wanted):
            if self._registry.is_up(instance) and not self._refuses(instance):
                self._connect(group, accounts[instance])

    def _refuses(self, instance: str) -> bool:
        refusal = self._refusals.get(instance)
        if refusal is None or asyncio.get_running_loop().time() >= refusal.until:
            return False
        return refusal.process == self._registry.process(instance)

    def _note_refusal(self, instance: str, process: object) -> None:
        refusal = self._refusals.get(instance)
        if refusal is None or refusal.process != process:
            refusal = self._refusals[instance] = _Refusal(process, Backoff(RETRY_FIRST, RETRY_LONGEST))
        refusal.until = asyncio.get_running_loop().time() + refusal.backoff.next()

    def _connect(self, group: asyncio.TaskGroup, account: Account) -> None:
        instance = account.name.instance
        readers = [subscription for subscription in self._subscriptions if subscription.wants(instance)]
        line = self._lines.get(instance)
        if line is None or line.task is None or line.task.done():
            # From the earliest start of readers without a position; the others catch up separately.
            since = min((reader.since for reader in readers if instance not in reader.queued), default=now())
            self._lines[instance] = line = _Line(account, since, line.place if line else None)
            line.task = group.create_task(self._follow(line))
        for reader in readers:
            running = reader.catching_up.get(instance)
            if not line.serves(reader) and (running is None or running.done()):
                reader.catching_up[instance] = group.create_task(self._catch_up(reader, account))

    async def _follow(self, line: _Line) -> None:
        """Pass an account's events to all readers of its line, until its stream ends."""
        instance = line.account.name.instance

        def begins(place: str) -> None:
            if line.place is None:
                served = [
                    subscription
                    for subscription in self._subscriptions
                    if subscription.wants(instance) and line.serves(subscription)
                ]
                line.place = place
                for reader in served:
                    reader.begin_at(instance, place)
                self._news.set()

        async def give(event: AccountEvent) -> None:
            for reader in self._subscriptions:
                has_it = is_at_or_after(reader.queued.get(instance), event.id)
                if has_it or not reader.wants(instance) or not line.serves(reader):
                    continue
                if not reader.offer(event):
                    self._news.set()  # it is behind from now on
            # After all readers were offered it: ``serves`` compares their places with the one before.
            line.place = event.id

        await self._read(line.account, line.place, line.since, begins, give)

    async def _catch_up(self, reader: Subscription, account: Account) -> None:
        """Send a reader the events it has missed, until the account's line serves it."""
        instance = account.name.instance

        def check() -> None:
            line = self._lines.get(instance)
            if line is not None and line.place is not None and line.serves(reader):
                raise _CaughtUp

        def begins(place: str) -> None:
            reader.begin_at(instance, place)
            check()

        async def give(event: AccountEvent) -> None:
            await reader.put(event)
            check()

        with contextlib.suppress(_CaughtUp):
            await self._read(account, reader.queued.get(instance), reader.since, begins, give)

    async def _read(self, account: Account, place: str | None, since: int, begins: Begins, give: Give) -> None:
        """Read an account's stream, after ``place`` or from ``since`` on, until it ends."""
        begin = {"since": str(since)} if place is None else {"after": place}
        headers = {"Accept": "text/event-stream"}
        budget = self._ports.budget(account)
        process, opened = self._registry.process(account.name.instance), False

        def own(name: str) -> AccountName | None:
            return account.name if name == account.name.name else None

        try:
            async with await self._ports.open(
                account,
                f"/v1/events?{urlencode(begin)}",
                Scope.READ,
                headers=headers,
                seconds=math.inf,
                silence=STREAM_SILENCE_SECONDS,
            ) as response:
                if (
                    response.status != 200
                    or media_type(response.headers.get("Content-Type", "")) != "text/event-stream"
                ):
                    raise ValueError("it has no stream of events")
                async for sent in events_in(response.content, self._event_bytes(), budget):
                    event = None
                    # Without ``give``: waiting for readers costs the controller nothing.
                    with budget.working():
                        if sent.type == "open":
                            if place := opening_of(account, sent.data):
                                begins(place)
                        elif sent.omitted:
                            event = announced(account.name, sent.id, sent)
                        elif sent.type != "here":
                            event = await event_of(own, sent.type, sent.data)
                    if event is not None:
                        await give(event)
                    opened = True
        except (PortFailure, OSError, ValueError) as problem:
            log.debug("events of account %s: %s: %s", account.name, type(problem).__name__, problem)
        if opened:
            self._refusals.pop(account.name.instance, None)
        else:
            self._note_refusal(account.name.instance, process)


class _CaughtUp(Exception):
    """A reader has reached the account's line."""


def now() -> int:
    return int(time.time() * 1e6)


def is_at_or_after(place: str | None, other: str) -> bool:
    """Whether a place is in the same log as another and not before it."""
    if place is None:
        return False
    (log_name, _, seq), (other_log, _, other_seq) = place.partition("-"), other.partition("-")
    return log_name == other_log and int(seq) >= int(other_seq)


def opening_of(account: Account, data: bytes) -> str:
    """Return the id after which an account's stream begins, "" if it is not known yet: the log has no name then.

    Raises ValueError for another program's stream.
    """
    found = decode(data, Opening)
    if found.account != account.name.name:
        raise ValueError("another program answers")
    return found.after if _ID.fullmatch(found.after) else ""


def announced(name: AccountName, event_id: str, sent: SentEvent, host: str = "") -> AccountEvent | None:
    """Return an event that is too long for the stream without its report, None if its id or type is invalid."""
    if not _ID.fullmatch(event_id) or not _TYPE.fullmatch(sent.type):
        return None
    seq = int(event_id.rpartition("-")[2])
    event = EventRecord(id=event_id, account=name.name, type=sent.type, seq=seq, report={}, omitted=sent.omitted)
    # Its epoch is among the content.
    return _sent_on(event, name, host, has_epoch=True)


async def event_of(
    find: Callable[[str], AccountName | None], kind: str, data: bytes, host: str = ""
) -> AccountEvent | None:
    """Return an event, written again from its decoded form; None for one that its sender may not send.

    ``find`` returns the event's account if the sender is authorized for it. ``host`` is the required host of the
    event; accounts name none.
    """
    try:
        event = await decode_aside(data, EventRecord, EVENT_VALUES)
    except Undecodable:
        return None
    name = find(event.account)
    if name is None or event.type != kind or (event.host or "") != host:
        return None
    return _sent_on(event, name, host, event.epoch is not UNSET)


def _sent_on(event: EventRecord, name: AccountName, host: str, has_epoch: bool) -> AccountEvent:
    event.locate(name.name)
    event.host = host or UNSET
    return AccountEvent(name.instance, event.id, event.type, encode(event), host, has_epoch)
