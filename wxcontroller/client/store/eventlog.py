"""The account's event log: all events, in order, with the state of their delivery.

An event is an entry from the moment it is known, and durable before it is acknowledged to WeChat. Messages whose
media are still being fetched are *held*: nothing after them is delivered or shown before they are filled.
"""

import asyncio
import itertools
import json
import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from wxcontroller.client.store import expiry
from wxcontroller.client.store.database.privatefiles import SEND_PREFIX, delete
from wxcontroller.client.store.database.recovery import KnownLog
from wxcontroller.client.store.database.schema import SCHEMA
from wxcontroller.client.store.database.writer import Database
from wxcontroller.client.store.expiry import RetentionLimits, Swept
from wxcontroller.client.store.runclock import RunClock
from wxcontroller.client.store.tables import eventtables as tables
from wxcontroller.client.store.tables import generations, history
from wxcontroller.client.store.tables.eventtables import Counts, Entry, EntryState, Moved, Selection
from wxcontroller.core.jsontypes import JsonObject, kept_json, text
from wxcontroller.core.process.faultpoints import Point
from wxcontroller.core.process.watchdog import Deadlines
from wxcontroller.core.text.templates import Text
from wxcontroller.openwx.contract.replies import to_bytes

log = logging.getLogger(__name__)
T = TypeVar("T")
# Results of deliveries are stored with the next change, or after LAZY_SECONDS or this many. After a crash, reports
# whose results were not stored are posted again. Otherwise each would cost a commit.
_NOTES = 32
# Called with the database and the function that adds the event.
Within = Callable[[sqlite3.Connection, Callable[[], int]], object]


@dataclass(frozen=True, slots=True)
class Held:
    """An entry that an earlier process left held: ``source`` describes the media to fetch for ``report``."""

    place: "ReservedEntry"
    report: JsonObject
    source: JsonObject


@dataclass(slots=True, eq=False)
class ReservedEntry:
    """An entry that is written now and filled later. ``kind``, ``key`` and ``body`` allow adding it again if its row
    is lost to damage.
    """

    seq: int = 0  # set by the writer; stays 0 when the same event is in the log already
    kind: str = ""
    key: str = ""
    body: bytes = b""
    indexed: history.Indexed | None = None


@dataclass(frozen=True, slots=True)
class _NextQuery:
    """A reader's next question, and the answer that the last commit has ``found``: None before one has looked."""

    where: Selection
    limit: int
    most_body: int
    found: list[Entry] | None = None

    def is_same(self, other: "_NextQuery") -> bool:
        return (self.where, self.limit, self.most_body) == (other.where, other.limit, other.most_body)


def type_of(report: JsonObject) -> str:
    """The type by which events are filtered: an event's name, or friend_message, group_message, group_notice."""
    return text(report.get("event")) if report.get("post_type") == "event" else text(report.get("type"))


def is_received(report: JsonObject) -> bool:
    return report.get("post_type") == "receive_message"


class EventLog:
    """The log in ``path``. Writing never waits; ``settled`` does. Reading sees committed entries. ``epoch`` is stored
    with each new event.
    """

    def __init__(
        self,
        path: Path,
        deadlines: Deadlines | None = None,
        epoch: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.epoch = epoch
        self._run_clock = RunClock(clock)
        self._earlier: asyncio.Future[int] | None = None
        self._database = Database(
            path, SCHEMA, self._look, deadlines, self._known_log, self._recognize, failed=self.nudge
        )
        # Of the delivery ids of entries without a key: random, as a restored log does not know the last ones.
        self._start = secrets.token_hex(6)
        self._marks = itertools.count(1)
        self._news = asyncio.Event()
        self._notes: list[tuple[Entry, int]] = []  # of deliveries, for one transaction
        self._notes_of = -1
        self._ahead: _NextQuery | None = None
        self.counts = Counts()
        # Messages on disk since Minutes counted them last.
        self.uncounted = 0
        self.ended = False

    def open(self) -> None:
        self._database.open()
        self._earlier = self.write(tables.latest_epoch)  # also set when the log is open and its counts are known

    async def close(self, seconds: float) -> None:
        """Write the rest; see Database.close. Ends the streams of readers."""
        await self._database.close(seconds)
        self.ended = True
        # ``ended`` first: a reader that wakes must not wait again.
        self._news.set()

    @property
    def trouble(self) -> Text:
        """Why nothing can be stored at present, "" while all is well."""
        return self._database.trouble

    @property
    def blocked(self) -> Text:
        """Why incoming messages cannot be stored although other changes are, "" while all is well."""
        return self._database.blocked

    @property
    def tries(self) -> int:
        """Number of attempts to write: it grows while something waits, unless the writer hangs."""
        return self._database.tries

    @property
    def writing(self) -> bool:
        """Whether writes are pending that are not on disk yet."""
        return self._database.writing

    # -- writing

    def append(
        self, report: JsonObject, deliver: bool, key: str = "", media: str = "", is_notice: bool = False
    ) -> None:
        """Add an event. ``key`` identifies one that may arrive twice, like a message's id; the second is ignored.

        ``media`` is the file whose content belongs into the report. ``is_notice``: not a person's message.
        """
        source = tables.NOTICE if is_notice else ""
        state = EntryState.PENDING if deliver else EntryState.KEPT
        kind, body, received = type_of(report), to_bytes(report), is_received(report)
        indexed = history.indexed(report)

        def work(db: sqlite3.Connection) -> int:
            seq = tables.insert(db, kind, key, body, state, media, source, self.epoch, self._mark())
            history.add(db, seq, indexed)
            if seq and received:
                tables.note_message(db, Moved.RECEIVED)
            return seq

        _ = self._store(kind, work, Point.EVENT_STORED, required=True)

    def append_within(
        self, report: JsonObject, deliver: bool, within: Within, media: str = "", verdict: str = ""
    ) -> "asyncio.Future[object]":
        """Add an event together with other changes, in one transaction; done when it is on disk. ``media`` as in
        ``append``. ``within`` adds the event by calling its argument, which returns the sequence, or does not.
        ``verdict``: the outcome of an own send, as in ``history.Indexed``.
        """
        state = EntryState.PENDING if deliver else EntryState.KEPT
        kind, body, indexed = type_of(report), to_bytes(report), history.indexed(report, verdict)
        seq = 0

        def insert(db: sqlite3.Connection) -> int:
            nonlocal seq
            seq = tables.insert(db, kind, "", body, state, media, "", self.epoch, self._mark())
            history.add(db, seq, indexed)
            return seq

        def work(db: sqlite3.Connection) -> int:
            within(db, lambda: insert(db))
            return seq

        return self._store(kind, work, Point.RESULT_STORED)

    def _store(
        self, kind: str, work: Callable[[sqlite3.Connection], object], point: Point, required: bool = False
    ) -> "asyncio.Future[object]":
        """Write an event without waiting. ``work`` returns its sequence, 0 for one that is stored already."""
        stored = self._database.write(work, point, required=required)
        if kind in tables.MESSAGES:
            stored.add_done_callback(self._count)
        return stored

    def _count(self, stored: "asyncio.Future[object]") -> None:
        """Count a message after its commit: work whose commit failed is repeated."""
        if not stored.cancelled() and stored.exception() is None and stored.result():
            self.uncounted += 1

    def hold(self, report: JsonObject, key: str, source: JsonObject) -> ReservedEntry:
        """Add a message whose media are still being fetched; ``report`` is posted if they never arrive."""
        place = ReservedEntry(0, type_of(report), key, to_bytes(report), history.indexed(report))
        wanted = json.dumps(source)
        received = is_received(report)

        def work(db: sqlite3.Connection) -> int:
            place.seq = tables.insert(
                db, place.kind, key, place.body, EntryState.HELD, source=wanted, epoch=self.epoch
            )
            history.add(db, place.seq, place.indexed)
            if place.seq and received:
                tables.note_message(db, Moved.RECEIVED)
            return place.seq

        _ = self._store(place.kind, work, Point.EVENT_STORED, required=True)
        return place

    def fill(self, place: ReservedEntry, report: JsonObject | None, deliver: bool, media: str = "") -> None:
        """Set the report of a held entry (None: keep the original one)."""
        state = EntryState.PENDING if deliver else EntryState.KEPT
        # In the caller's thread, which may change the report as soon as this returns.
        body = None if report is None else to_bytes(report)

        def work(db: sqlite3.Connection) -> None:
            # Its row was lost to damage, but the message is acknowledged to
            # WeChat already: it is stored under a new sequence.
            if place.seq and not tables.fill(db, place.seq, body, state, media) and place.body:
                seq = tables.insert(db, place.kind, place.key, body or place.body, state, media, epoch=self.epoch)
                history.add(db, seq, place.indexed)

        _ = self._database.write(work, required=True)

    def delivered(self, entry: Entry, status: int) -> None:
        """Record a delivery, together with others. A file with an own send's content is deleted with the last report
        that needs it.
        """
        # Since the last hand-over the writer owns the former list: a
        # note that is added to it now might never be written.
        if self._notes_of != self._database.handed_over:
            self._notes, self._notes_of = [], self._database.handed_over
            work = partial(settle_all, notes=self._notes)
            # Files go after the commit: a crash in between leaves a file
            # that the next scan deletes, never a row without one.
            self._database.write(work, lazy=True).add_done_callback(delete_files)
        self._notes.append((entry, status))
        if len(self._notes) >= _NOTES:
            self._database.submit()

    def died(self, entry: Entry, error: str, status: int) -> None:
        """Record that it is no longer retried."""
        clock = self._run_clock
        self._leave(lambda db: tables.settle(db, entry, EntryState.DEAD, error, status, ran=clock.now(db)))

    def failed(self, entry: Entry, error: str, status: int, next_at: float) -> None:
        """Record a failed attempt; the report stays pending and keeps its place."""
        clock = self._run_clock
        self._leave(lambda db: tables.fail(db, entry, error, status, next_at, clock.now(db)))

    def moved_aside(self, entry: Entry, kind: str, error: str, status: int, next_at: float) -> None:
        """Note an attempt that failed; it is pending in the retry lane."""
        clock = self._run_clock
        self._leave(lambda db: tables.move_aside(db, entry, kind, error, status, next_at, clock.now(db)))

    def aim(self, receiver: str, strict: bool) -> "asyncio.Future[None]":
        """Note the receiver of the reports; see events.aim."""
        return self.write(lambda db: tables.aim(db, receiver, strict))

    def replay(self, where: Selection) -> "asyncio.Future[int]":
        """Make entries pending again; return their number."""
        return self.write(lambda db: tables.replay(db, where))

    def purge(self, where: Selection) -> "asyncio.Future[int]":
        """Remove pending or dead entries from the delivery; they stay in the log. Returns their number."""
        return self.write(lambda db: tables.purge(db, where))

    def acknowledge(self, where: Selection) -> "asyncio.Future[int]":
        """Acknowledge dead letters. Returns how many were not acknowledged before."""
        return self.write(lambda db: tables.acknowledge(db, where))

    async def is_first_of_epoch(self) -> bool:
        """Return whether earlier processes ran the account, and none of them in its present epoch."""
        return self._earlier is not None and 0 < await asyncio.shield(self._earlier) < self.epoch

    def held(self) -> "asyncio.Future[list[Held]]":
        """Return entries that an earlier process left held. Call it before this one holds any."""
        return self.write(
            lambda db: [
                Held(ReservedEntry(seq, body=body), kept_json(body), kept_json(source))
                for seq, body, source in tables.held(db)
            ]
        )

    async def sweep(self, limits: RetentionLimits) -> Swept:
        """Apply age and size once; see RetentionLimits."""
        total = Swept()
        while True:
            # Portion by portion, so that messages are stored in between.
            part = await self.write(
                lambda db: expiry.sweep(db, limits, time.time(), self._run_clock.now(db)),
            )
            total += part
            if part == Swept():
                return total

    async def tried_for(self) -> float:
        """Return for how many seconds processes have tried to deliver the pending report that failed first."""
        return await self.write(lambda db: expiry.tried_for(db, self._run_clock.now(db)))

    async def settled(self, seconds: float) -> bool:
        """Wait until everything written so far is on disk; False when that takes longer."""
        return await self._database.settled(seconds)

    # -- reading; raises Unavailable

    async def shown(self, where: Selection, limit: int, most_body: int = tables.ANY_SIZE) -> list[Entry]:
        """Return entries in order, up to the first that is held, at most ``limit``.

        They come with bodies of at most ``most_body`` bytes, and with none in place of larger ones.
        """
        return await self._database.read(lambda db: tables.shown(db, where, limit, most_body))

    async def upcoming(self, where: Selection, limit: int, most_body: int) -> list[Entry]:
        """Return the same as ``shown``, for readers that follow the end of the log.

        A reader at the end gets the entries of a commit together with its notification: the writer, which has just
        had these pages in its cache, reads them. A separate read would cost two more thread switches.
        """
        asked, ahead = _NextQuery(where, limit, most_body), self._ahead
        if ahead is not None and ahead.found is not None and ahead.is_same(asked):
            found = ahead.found
        else:
            self._ahead = asked  # a commit during the read finds the same
            found = await self._database.read(lambda db: tables.shown(db, where, limit, most_body), noted=False)
            if self._ahead is not asked:
                return found  # it did
        if len(found) == limit:
            self._ahead = None  # there is more: reading ahead after each commit would be useless
        elif found:
            rest = replace(where, after=found[-1].seq, log=found[-1].log)
            self._ahead = _NextQuery(rest, limit, most_body, [])
        else:
            self._ahead = replace(asked, found=found)
        return found

    async def select(self, where: Selection, limit: int, most_body: int = tables.ANY_SIZE) -> list[Entry]:
        """Return entries in order, also those that are held; ``most_body`` as in ``shown``."""
        return await self._database.read(lambda db: tables.select(db, where, limit, most_body))

    async def first_aside(self, most_body: int, latest: float) -> Entry | None:
        """Return the report of the retry lane that is due first, None for none; see events.first_aside."""
        return await self._database.read(lambda db: tables.first_aside(db, most_body, latest))

    async def kinds_aside(self) -> frozenset[str]:
        """Return the kinds of the reports in the retry lane."""
        return await self._database.read(tables.kinds_aside)

    async def body(self, entry: Entry) -> bytes | None:
        """Return the body of an entry read without it, None if it is no longer in the log."""
        return await self._database.read(lambda db: tables.body_of(db, entry), noted=False)

    async def get(self, entry_id: str) -> Entry | None:
        """Return one entry by any of its ids."""
        [seq] = await self.seqs([entry_id])
        found = await self.select(Selection(seqs=(seq,)), 1) if seq else []
        return found[0] if found else None

    async def seqs(self, entry_ids: Sequence[str]) -> list[int]:
        """Return the sequences of the entries with these ids, 0 for any other text."""
        return await self._database.read(lambda db: [history.seq_of(db, entry_id) for entry_id in entry_ids])

    async def position(self, entry_id: str) -> int:
        """Return the sequence after which a reader of this id continues; see events.position_of."""
        return await self._database.read(lambda db: tables.position_of(db, entry_id))

    async def last(self) -> int:
        """Return the sequence of the last visible entry, 0 without one."""
        return await self._database.read(tables.last_shown)

    async def before(self, stamp: int) -> int:
        """Return the sequence before the first entry of ``stamp`` or later."""
        return await self._database.read(lambda db: tables.before(db, stamp))

    async def first(self) -> int:
        """Return the sequence of the oldest remaining entry, 0 without one."""
        return await self._database.read(tables.first)

    async def media_in_use(self) -> frozenset[str]:
        """Return the files whose content is still to be delivered."""
        return await self._database.read(tables.media_in_use)

    @property
    def news(self) -> asyncio.Event:
        """Set when something has changed: get the event, read, then wait for it."""
        return self._news

    def nudge(self) -> None:
        """Set ``news`` although nothing has changed, to wake waiting readers."""
        # Replaced, not cleared: a reader gets the event before it reads, and finds it set if this happened meanwhile.
        news, self._news = self._news, asyncio.Event()
        news.set()

    # -- other data in the same file

    def write(
        self,
        work: Callable[[sqlite3.Connection], T],
        point: Point | None = None,
        *,
        required: bool = False,
    ) -> "asyncio.Future[T]":
        """Change something, after everything that was written before; see Database.write."""
        return self._database.write(work, point, required=required)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return the result of ``work`` on committed data. Raises Unavailable."""
        return await self._database.read(work)

    # -- inside

    def _leave(self, work: Callable[[sqlite3.Connection], object], point: Point | None = None) -> None:
        """Write without waiting: the writer does it, however long that takes."""
        _ = self._database.write(work, point)

    def _mark(self) -> str:
        return f"r{self._start}-{next(self._marks)}"

    def _recognize(self, db: sqlite3.Connection, file: str) -> None:
        if generations.recognize(db, file, self.epoch):
            log.warning(
                "the event log was restored from a backup: readers get the event reset, and numbers continue at %d",
                tables.last(db),
            )

    def _known_log(self) -> KnownLog:
        return KnownLog(self.counts.name, self.counts.last, self.counts.waiting)

    def _look(self, db: sqlite3.Connection) -> Callable[[], None]:
        ahead, counts = self._ahead, tables.counts(db)
        if ahead is not None:
            ahead = replace(ahead, found=tables.shown(db, ahead.where, ahead.limit, ahead.most_body))
        return partial(self._seen, counts, ahead)

    def _seen(self, counts: Counts, ahead: "_NextQuery | None") -> None:
        self.counts = counts
        if self._ahead is not None:
            if ahead is not None and ahead.is_same(self._ahead):
                self._ahead = ahead
            else:  # the writer had read before this request
                self._ahead = replace(self._ahead, found=None)
        self.nudge()


def settle_all(db: sqlite3.Connection, notes: Sequence[tuple[Entry, int]]) -> list[str]:
    """Record deliveries, with their statuses; return the files that are no longer needed."""
    for entry, status in notes:
        tables.settle(db, entry, EntryState.DELIVERED, "", status)
    own = {entry.media for entry, _ in notes if entry.media and Path(entry.media).name.startswith(SEND_PREFIX)}
    return [path for path in own if not tables.needs_file(db, path)]


def delete_files(written: "asyncio.Future[list[str]]") -> None:
    """Delete the files that nothing needs since a change was written, in a thread."""
    if not written.cancelled() and written.exception() is None:
        for path in written.result():
            _ = asyncio.get_running_loop().run_in_executor(None, delete, Path(path))
