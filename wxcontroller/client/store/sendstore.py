"""The sends of an account in its database: the queue with its content, keyed requests, and counts by day.

All SQL about sends is here. One fact is one transaction: the messages of a request with its key and
the reply they are; a send's end with its report and its request's outcome; a send that is handed to WeChat with the
day's count. Rows hold paths of content, never content.
"""

# ruff: noqa: S608 - only column names and conditions are interpolated, never values

import json
import sqlite3
import time
from asyncio import Future
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wxcontroller.client.sends.model.send import NEVER_AGAIN, Media, Part, Request, Send
from wxcontroller.client.store.eventlog import EventLog, Within
from wxcontroller.client.store.sendrows import Row, json_text, media_of, media_row, send_of, send_row
from wxcontroller.client.store.tables.drivertables import note_windows, windows
from wxcontroller.client.store.tables.eventtables import Moved, note_message, skip_lost
from wxcontroller.client.store.tables.lostsends import enter_requested
from wxcontroller.client.store.tables.values import as_bytes, as_float, as_int
from wxcontroller.core.condition.verdict import TAKEN, Verdict
from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.core.jsontypes import JsonObject, kept_json
from wxcontroller.openwx.contract.eventtypes import RESET

_DAYS_KEPT = 7
_SENDS = (
    "seq, time, tried, login, target, is_group, content, client_id, attempts_left, origin, sides, parcel, request, "
    "interim, hold_until, strikes, struck, route, urgent, quote, place, begun"
)
# Behind everything that waits.
_LAST = "(SELECT COALESCE(MAX(place), 0) + 1 FROM sends)"
# Of content: no send names it.
_UNUSED = "NOT EXISTS (SELECT 1 FROM sends WHERE sends.parcel = parcels.id)"


@dataclass(frozen=True, slots=True)
class StoredSends:
    """The stored rows: the sequences of the sends, in order, and the numbers of their media, 0 for none. If ``seqs``
    is empty, nothing was stored: the key has an ``earlier`` request, or the event was already replied to.
    """

    seqs: Sequence[int] = ()
    media: Sequence[int] = ()
    earlier: Request | None = None


@dataclass(frozen=True, slots=True)
class LeftoverSends:
    """The sends of an earlier process, in order; the counts of days; and when it last wrote (0: never)."""

    days: Mapping[str, int]
    alive: float
    windows: bytes = field(repr=False)
    _route: str
    _sends: Sequence[Row] = field(repr=False)
    _media: Sequence[Row] = field(repr=False)

    def sends(self) -> list[tuple[Send, Verdict | None]]:
        """Return the sends with their media, and the verdict on those that can no longer go out."""
        media = {as_int(row[0]): media_of(row) for row in self._media}
        return [send_of(row, media, self._route) for row in self._sends]


class SendStore:
    """A write is on disk when its future is done; callers need not wait for it. Reading raises Unavailable.

    ``route`` is the account's driver: ids of people on one route mean nothing on another.
    """

    def __init__(self, log: EventLog, route: str, most_requests: int = DEFAULTS.idempotency_keys) -> None:
        self._log = log
        self._route = route
        self._most_requests = most_requests
        self._adding: set[Path] = set()

    def left(self, adopted: int = 0) -> "Future[LeftoverSends]":
        """Return the sends that an earlier process left. Call this before sends are added.

        ``adopted`` is the epoch in which an account was adopted, 0 for others: sends that waited then may have been
        sent.
        """

        def work(db: sqlite3.Connection) -> LeftoverSends:
            if adopted:
                mark_unknown(db, adopted)
                skip_lost(db, adopted)
            enter_requested(db)
            # Damage can leave content whose sends no longer name it; its file would be kept for good.
            db.execute(f"DELETE FROM parcels WHERE {_UNUSED}")
            return left(db, self._route)

        return self._log.write(work)

    def days(self) -> "Future[dict[str, int]]":
        """Return how many sends were handed to WeChat, by day."""
        return self._log.write(days)

    def add(self, sends: Sequence[Send], request: Request | None, reply_to: int, day: str) -> "Future[StoredSends]":
        """Store sends, all or none, with all that belongs to them; see ``add``."""
        contents = list(dict.fromkeys(send.media for send in sends if send.media is not None))
        rows = [
            send_row(send, self._route, contents.index(send.media) if send.media is not None else None)
            for send in sends
        ]
        media = [media_row(content) for content in contents]
        stored = self._log.write(lambda db: add(db, rows, media, request, reply_to, day))
        if kept := {content.kept for content in contents if content.kept is not None}:
            # A sweep that runs before the row is committed would delete the file as unneeded.
            self._adding |= kept
            stored.add_done_callback(lambda _: self._adding.difference_update(kept))
        return stored

    def handed(self, send: Send, day: str, windows: bytes = b"") -> "Future[None]":
        """Note that a send is being handed to WeChat; to be waited for. ``windows``: the state of reply windows."""
        seq, attempts_left, tried = send.seq, send.attempts_left, send.tried
        return self._log.write(lambda db: handed(db, seq, attempts_left, tried, day, windows))

    def hold(self, send: Send, windows: bytes) -> None:
        """Note that a send that WeChat did not take waits in its place for a reply window."""
        row = send.attempts_left, send.strikes, send.struck, send.seq
        _ = self._log.write(lambda db: hold(db, row, windows))

    def note_windows(self, windows: bytes) -> None:
        """Store the state of the reply windows."""
        _ = self._log.write(lambda db: note_windows(db, windows))

    def put_back(self, send: Send, last: bool, day: str = "") -> None:
        """Record that a send that did not arrive is to be tried again: ``last``, with all parts of its message, or in
        its place. ``day``: it was counted then, without being handed to WeChat.
        """
        row = send.tried, send.attempts_left, send.seq
        _ = self._log.write(lambda db: put_back(db, row, last, day))

    def note_media(self, media: Media) -> None:
        """Note new facts about content."""
        number, row = media.id, media_row(media)
        _ = self._log.write(lambda db: note_media(db, number, row))

    def end(self, send: Send, answer: JsonObject, windows: bytes = b"") -> Within:
        """Return what ends a send within the transaction that adds its report."""
        seq, part, request, taken = send.seq, send.part, send.request or None, send.state in TAKEN
        return lambda db, report: end(db, seq, part, request, answer, report, windows, taken)

    async def files(self) -> frozenset[str]:
        """Return the files with content of sends that have not ended."""
        return await self._log.read(files) | {str(path) for path in self._adding}

    async def reported_files(self) -> frozenset[str]:
        """Return the files that only reports still need: of received media, and of sends that have ended."""
        return await self._log.media_in_use() - await self.files()

    async def request(self, key: str) -> Request | None:
        """Return the record of the request with a key."""
        return await self._log.read(lambda db: request_of(db, key))

    def keep(self, request: Request) -> "Future[None]":
        """Remember a request, or the answer of one that is remembered."""
        return self._log.write(lambda db: keep(db, request))

    async def sweep(self, seconds: float) -> int:
        """Forget requests that are older, and the oldest of too many; return how many."""
        limit = self._most_requests
        return await self._log.write(lambda db: forget(db, time.time() - seconds, limit))


def add(
    db: sqlite3.Connection,
    sends: Sequence[Row],
    media: Sequence[Row],
    request: Request | None,
    reply_to: int,
    day: str,
) -> StoredSends:
    """Store sends with all that belongs to them; of two requests with one key, and of two replies, only the first.

    The first column of a send is the same for all parts of a message, which stay together; the last one is the place
    of its content in ``media``, None for a text.
    With a ``day`` the first one is handed to WeChat as soon as it is stored, and counted.
    """
    # A report that is delivered twice, or replayed, must not be
    # answered twice: the mark and the sends are one commit.
    if reply_to:
        done = db.execute("UPDATE events SET replied = 1 WHERE seq = ? AND replied = 0", (reply_to,))
        if not done.rowcount:
            return StoredSends()
    if request is not None and (earlier := request_of(db, request.key)):
        return StoredSends(earlier=earlier)
    if request is not None:
        keep(db, request)
    # Sent at once without a second commit: the row itself says that it may have arrived.
    if day:
        count(db, day)
    stored = [
        db.execute("INSERT INTO parcels (given, file, facts, uploaded) VALUES (?, ?, ?, ?)", row).lastrowid or 0
        for row in media
    ]
    numbers = [None if row[-1] is None else stored[as_int(row[-1])] for row in sends]
    (last,) = db.execute(f"SELECT {_LAST}").fetchone()
    places = {bundle: as_int(last) + place for place, bundle in enumerate(dict.fromkeys(row[0] for row in sends))}
    seqs = [insert(db, row, places[row[0]], number) for row, number in zip(sends, numbers, strict=True)]
    return StoredSends(seqs, [number or 0 for number in numbers])


def insert(db: sqlite3.Connection, row: Row, place: int, media: int | None) -> int:
    done = db.execute(
        "INSERT INTO sends (place, time, tried, login, target, is_group, content, client_id, attempts_left, origin, "
        "sides, request, interim, hold_until, route, urgent, quote, parcel) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (place, *row[1:-1], media),
    )
    return done.lastrowid or 0


def handed(db: sqlite3.Connection, seq: int, attempts_left: int, now: float, day: str, windows: bytes = b"") -> None:
    """Note that a send is being handed to WeChat: from now on it may have arrived."""
    # Counted before WeChat gets it, like ``tried``: a crash in between counts one too many, never one too few.
    count(db, day)
    note_windows(db, windows)
    db.execute(
        "UPDATE sends SET tried = CASE WHEN tried = 0 THEN ? ELSE tried END, attempts_left = ? WHERE seq = ?",
        (now, attempts_left, seq),
    )


def count(db: sqlite3.Connection, day: str, number: int = 1) -> None:
    db.execute(
        "INSERT INTO send_days VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET number = number + excluded.number",
        (day, number),
    )
    # Days of a wrong clock count, too.
    db.execute(
        "DELETE FROM send_days WHERE rowid <= (SELECT rowid FROM send_days ORDER BY rowid DESC LIMIT 1 OFFSET ?)",
        (_DAYS_KEPT,),
    )


def days(db: sqlite3.Connection) -> dict[str, int]:
    """Return how many sends were handed to WeChat, by day."""
    return {str(day): as_int(number) for day, number in db.execute("SELECT day, number FROM send_days")}


def put_back(db: sqlite3.Connection, row: Row, last: bool, day: str) -> None:
    """Note that a send that did not arrive is to be tried again."""
    db.execute("UPDATE sends SET tried = ?, attempts_left = ? WHERE seq = ?", row)
    if last:
        # The parts of a message have one place.
        parts = "place = (SELECT place FROM sends WHERE seq = ?)"
        db.execute(f"UPDATE sends SET place = {_LAST} WHERE {parts}", row[-1:])
    if day:
        count(db, day, -1)


def hold(db: sqlite3.Connection, row: Row, windows: bytes) -> None:
    """Note that a send that did not arrive keeps its place and waits for a reply window."""
    db.execute("UPDATE sends SET tried = 0, attempts_left = ?, strikes = ?, struck = ? WHERE seq = ?", row)
    note_windows(db, windows)


def end(
    db: sqlite3.Connection,
    seq: int,
    part: Part,
    request: str | None,
    answer: JsonObject,
    report: Callable[[], int],
    windows: bytes = b"",
    taken: bool = False,
) -> None:
    """Forget a send that has ended and store its report, and its answer for repetitions of its request's key.

    If WeChat has ``taken`` it, or may have, its message has begun: the other parts go before what else waits.

    Of the pieces of one text, a failure stays the answer.
    """
    note_windows(db, windows)
    found = db.execute("DELETE FROM sends WHERE seq = ? RETURNING parcel, place", (seq,)).fetchone()
    media, place = found or (None, None)  # missing: the file was damaged and replaced
    if taken:
        db.execute("UPDATE sends SET begun = 1 WHERE place = ?", (place,))
    # In this transaction: a deleted row without a report would lose the result of the send.
    event = report()
    if answer.get("code") == 0:
        note_message(db, Moved.SENT)
    if request is not None:
        failed = f"{part.value} != '' AND json_extract({part.value}, '$.code') != 0"
        db.execute(
            f"UPDATE requests SET {part.value} = CASE WHEN {failed} THEN {part.value} ELSE ? END, "
            "event = CASE WHEN ? THEN ? ELSE event END WHERE key = ?",
            (json.dumps(answer), part is Part.TEXT, event, request),
        )
    if media is not None:
        # Sends to ``@all`` share their content.
        db.execute(f"DELETE FROM parcels WHERE id = ? AND {_UNUSED}", (media,))


def note_media(db: sqlite3.Connection, number: int, row: Row) -> None:
    """Note new facts about content."""
    db.execute("UPDATE parcels SET given = ?, file = ?, facts = ?, uploaded = ? WHERE id = ?", (*row, number))


def files(db: sqlite3.Connection) -> frozenset[str]:
    """Return the files with content of sends that have not ended."""
    return frozenset(str(file) for (file,) in db.execute("SELECT file FROM parcels WHERE file != ''"))


def mark_unknown(db: sqlite3.Connection, adopted: int) -> None:
    """Record, once in this epoch, that each send may have arrived and must not be retried.

    The lost host ran the account after the bundle was made, and may have sent what the bundle shows as waiting.
    """
    # Once per epoch: sends that are queued after the adoption are as certain as any others.
    found = db.execute("SELECT value FROM driver WHERE name = 'adopted'").fetchone()
    if found is None or as_bytes(found[0]) != b"%d" % adopted:
        db.execute("INSERT OR REPLACE INTO driver VALUES ('adopted', ?)", (b"%d" % adopted,))
        db.execute("UPDATE sends SET tried = MAX(tried, time, 1), attempts_left = ?", (NEVER_AGAIN,))


def left(db: sqlite3.Connection, route: str) -> LeftoverSends:
    """Return the stored sends that have not ended, in order."""
    media = db.execute("SELECT id, given, file, facts, uploaded FROM parcels").fetchall()
    sends = db.execute(f"SELECT {_SENDS} FROM sends ORDER BY place, seq").fetchall()
    # The event of a restore is of this start, and says nothing about when the account ran.
    last = "SELECT time FROM events WHERE type != ? ORDER BY seq DESC LIMIT 1"
    (alive,) = db.execute(last, (RESET,)).fetchone() or (0.0,)
    return LeftoverSends(
        days(db), max([as_float(alive), *(as_float(row[1]) for row in sends)]), windows(db), route, sends, media
    )


# -- requests with keys


def request_of(db: sqlite3.Connection, key: str) -> Request | None:
    """Return the request with a key."""
    found = db.execute(
        "SELECT fingerprint, call, target, text, media, answer, event FROM requests WHERE key = ?", (key,)
    ).fetchone()
    if found is None:
        return None
    fingerprint, call, target, text_ended, media_ended, answer, event = found
    ended = {Part.TEXT: text_ended, Part.MEDIA: media_ended}
    return Request(
        key=key,
        fingerprint=str(fingerprint),
        call=str(call),
        answer=kept_json(answer) or None,
        target=str(target),
        parts={part: _ended(answer) for part, answer in ended.items() if answer is not None},
        event=as_int(event),
    )


def keep(db: sqlite3.Connection, request: Request) -> None:
    """Remember a request; one that is remembered gets its answer."""
    parts = [json_text(request.parts[part]) if part in request.parts else None for part in (Part.TEXT, Part.MEDIA)]
    answer = None if request.answer is None else json.dumps(request.answer)
    db.execute(
        "INSERT INTO requests (key, time, fingerprint, call, target, text, media, answer) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET answer = excluded.answer",
        (request.key, time.time(), request.fingerprint, request.call, request.target, *parts, answer),
    )


def forget(db: sqlite3.Connection, before: float, limit: int) -> int:
    """Forget requests that are older than ``before``, and the oldest beyond ``limit``; none that is under way.

    Return how many.
    """
    # A queued send has no result yet, and its caller may request it with the key.
    over = "key NOT IN (SELECT request FROM sends WHERE request IS NOT NULL)"
    gone = db.execute(f"DELETE FROM requests WHERE time < ? AND {over}", (before,)).rowcount
    (number,) = db.execute("SELECT COUNT(*) FROM requests").fetchone()
    if number > limit:
        oldest = f"SELECT key FROM requests WHERE {over} ORDER BY time LIMIT ?"
        gone += db.execute(f"DELETE FROM requests WHERE key IN ({oldest})", (number - limit,)).rowcount
    return gone


# -- rows


def _ended(kept: object) -> JsonObject:
    """Return the outcome of a message; empty if it is open or unreadable."""
    found = kept_json(kept)
    return found if isinstance(found.get("code"), int) else {}
