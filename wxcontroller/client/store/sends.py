"""The tables of sends: what is queued, the content that goes with it, and which requests were made; all their SQL."""

# ruff: noqa: S608 - what is put together here are columns and conditions, never values

import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from wxcontroller.client.store.values import real, whole
from wxcontroller.core.jsontypes import JsonObject, kept_json

SENDS = """
    CREATE TABLE sends (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        place INTEGER NOT NULL,
        time REAL NOT NULL,
        tried REAL NOT NULL DEFAULT 0,
        login TEXT NOT NULL,
        target TEXT NOT NULL,
        is_group INTEGER NOT NULL,
        content TEXT NOT NULL,
        client_id TEXT NOT NULL,
        attempts_left INTEGER NOT NULL,
        origin TEXT NOT NULL,
        sides TEXT NOT NULL,
        parcel INTEGER,
        request TEXT
    );
    CREATE INDEX sends_place ON sends (place);
    CREATE INDEX sends_parcel ON sends (parcel);
    CREATE INDEX sends_request ON sends (request);
    CREATE TABLE parcels (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        given TEXT NOT NULL,
        file TEXT NOT NULL,
        facts TEXT NOT NULL DEFAULT '',
        uploaded TEXT NOT NULL DEFAULT ''
    );
    CREATE TABLE requests (
        key TEXT PRIMARY KEY,
        time REAL NOT NULL,
        fingerprint TEXT NOT NULL,
        call TEXT NOT NULL,
        target TEXT NOT NULL,
        text TEXT,
        media TEXT,
        answer TEXT,
        event INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
    CREATE INDEX requests_time ON requests (time);
    ALTER TABLE events ADD COLUMN replied INTEGER NOT NULL DEFAULT 0
"""
# Without who they are between: that is read when it is needed, which is seldom.
_SENDS = "seq, time, tried, login, target, is_group, content, client_id, attempts_left, origin, parcel, request"
# Behind everything that waits.
_LAST = "(SELECT COALESCE(MAX(place), 0) + 1 FROM sends)"


class Part(StrEnum):
    """Which of a request's messages a send is; named as its column."""

    TEXT = "text"
    MEDIA = "media"


@dataclass(frozen=True, slots=True)
class SendRow:
    """One message that is to be sent.

    ``login`` is one's own id in the login whose ids ``target`` is one of. ``tried``: when it was handed to WeChat
    first, in seconds since 1970, while it is not known whether it arrived; 0 for never. ``sides`` is the part of its
    report, as JSON, that says who it is between; "" when it was not read. ``parcel``: 0 for a text.
    ``request``: "" for none.
    """

    login: str
    target: str
    is_group: bool
    content: str
    client_id: str
    attempts_left: int
    origin: str
    request: str
    sides: str = ""
    seq: int = 0
    time: float = 0.0
    tried: float = 0.0
    parcel: int = 0


@dataclass(frozen=True, slots=True)
class ParcelRow:
    """Content: ``given`` are the request's own words, ``file`` what is here of it, "" for nothing (yet).

    ``facts`` is empty until it is known what is to be sent; ``uploaded`` until WeChat has it.
    """

    given: JsonObject
    file: str
    facts: JsonObject
    uploaded: JsonObject
    id: int = 0


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A request that came with a key.

    ``parts`` are its messages: how each ended, empty while that is open. ``answer`` is None while it is to be made
    of them; ``event`` is the sequence of the report of its text.
    """

    key: str
    fingerprint: str
    call: str
    target: str
    parts: Mapping[Part, JsonObject]
    answer: JsonObject | None
    event: int = 0


@dataclass(frozen=True, slots=True)
class Added:
    """What was stored: the sequences of the sends, in order, and the id of their parcel."""

    seqs: Sequence[int]
    parcel: int


class Replied:
    """A reply to this event was stored before."""


@dataclass(frozen=True, slots=True)
class Left:
    """What an earlier process left, in order, and when it was last heard of (0: never)."""

    sends: Sequence[SendRow]
    parcels: Sequence[ParcelRow]
    alive: float


def add(
    db: sqlite3.Connection,
    sends: Sequence[SendRow],
    parcel: ParcelRow | None,
    request: RequestRow | None,
    reply_to: int,
) -> Added | RequestRow | Replied:
    """Store sends with all that belongs to them; of two requests with one key, and of two replies, only the first."""
    if reply_to:
        done = db.execute("UPDATE events SET replied = 1 WHERE seq = ? AND replied = 0", (reply_to,))
        if not done.rowcount:
            return Replied()
    if request is not None and (known := request_of(db, request.key)):
        return known
    if request is not None:
        keep(db, request)
    number = 0
    if parcel is not None:
        values = (json.dumps(parcel.given), parcel.file, _text(parcel.facts), _text(parcel.uploaded))
        done = db.execute("INSERT INTO parcels (given, file, facts, uploaded) VALUES (?, ?, ?, ?)", values)
        number = done.lastrowid or 0
    return Added([_insert(db, one, number) for one in sends], number)


def _insert(db: sqlite3.Connection, one: SendRow, parcel: int) -> int:
    """``parcel`` is what was stored just now; it is for every send that is not a text."""
    done = db.execute(
        "INSERT INTO sends (place, time, tried, login, target, is_group, content, client_id, attempts_left, origin, "
        f"sides, parcel, request) VALUES ({_LAST}, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(one.time, one.tried, one.login, one.target, one.is_group, one.content, one.client_id),
            *(one.attempts_left, one.origin, one.sides, parcel if one.parcel else None, one.request or None),
        ),
    )
    return done.lastrowid or 0


def handed(db: sqlite3.Connection, seq: int, attempts_left: int, now: float) -> None:
    """Note that a send is being handed to WeChat: from now on it may have arrived."""
    db.execute(
        "UPDATE sends SET tried = CASE WHEN tried = 0 THEN ? ELSE tried END, attempts_left = ? WHERE seq = ?",
        (now, attempts_left, seq),
    )


def put_back(db: sqlite3.Connection, seq: int, attempts_left: int) -> None:
    """Note that a send that did not arrive is to be tried again, behind all others."""
    db.execute(
        f"UPDATE sends SET tried = 0, attempts_left = ?, place = {_LAST} WHERE seq = ?",
        (attempts_left, seq),
    )


def sides_of(db: sqlite3.Connection, seq: int) -> str:
    """Return who a send is between, "" when it is not there."""
    found = db.execute("SELECT sides FROM sends WHERE seq = ?", (seq,)).fetchone()
    return str(found[0]) if found else ""


def end(db: sqlite3.Connection, seq: int, part: Part, outcome: JsonObject, report: Callable[[], int]) -> None:
    """Forget a send that has ended and store its report, and its outcome for who asks with its request's key."""
    found = db.execute("DELETE FROM sends WHERE seq = ? RETURNING parcel, request", (seq,)).fetchone()
    parcel, request = found or (None, None)  # not there: the file was damaged, and is another one now
    event = report()
    if request is not None:
        db.execute(
            f"UPDATE requests SET {part.value} = ?, event = CASE WHEN ? THEN ? ELSE event END WHERE key = ?",
            (json.dumps(outcome), part is Part.TEXT, event, request),
        )
    if parcel is not None:
        unused = "NOT EXISTS (SELECT 1 FROM sends WHERE sends.parcel = parcels.id)"
        db.execute(f"DELETE FROM parcels WHERE id = ? AND {unused}", (parcel,))


def pack(db: sqlite3.Connection, parcel: ParcelRow) -> None:
    """Note what has become known of content."""
    db.execute(
        "UPDATE parcels SET file = ?, facts = ?, uploaded = ? WHERE id = ?",
        (parcel.file, _text(parcel.facts), _text(parcel.uploaded), parcel.id),
    )


def left(db: sqlite3.Connection) -> Left:
    """Return everything that is stored of sends that have not ended."""
    parcels = [
        ParcelRow(kept_json(given), str(file), kept_json(facts), kept_json(uploaded), whole(number))
        for number, given, file, facts, uploaded in db.execute("SELECT id, given, file, facts, uploaded FROM parcels")
    ]
    sends = [_send(row) for row in db.execute(f"SELECT {_SENDS} FROM sends ORDER BY place, seq")]
    (alive,) = db.execute("SELECT time FROM events ORDER BY seq DESC LIMIT 1").fetchone() or (0.0,)
    return Left(sends, parcels, max([real(alive), *(one.time for one in sends)]))


# -- requests with keys


def request_of(db: sqlite3.Connection, key: str) -> RequestRow | None:
    """Return the request that came with a key."""
    found = db.execute(
        "SELECT fingerprint, call, target, text, media, answer, event FROM requests WHERE key = ?", (key,)
    ).fetchone()
    if found is None:
        return None
    fingerprint, call, target, text, media, answer, event = found
    ended = {Part.TEXT: text, Part.MEDIA: media}
    return RequestRow(
        key=key,
        fingerprint=str(fingerprint),
        call=str(call),
        target=str(target),
        parts={part: _outcome(outcome) for part, outcome in ended.items() if outcome is not None},
        answer=_outcome(answer) or None,
        event=whole(event),
    )


def keep(db: sqlite3.Connection, request: RequestRow) -> None:
    """Remember a request; one that is remembered gets its answer."""
    parts = [_text(request.parts[part]) if part in request.parts else None for part in (Part.TEXT, Part.MEDIA)]
    answer = None if request.answer is None else json.dumps(request.answer)
    db.execute(
        "INSERT INTO requests (key, time, fingerprint, call, target, text, media, answer) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET answer = excluded.answer",
        (request.key, time.time(), request.fingerprint, request.call, request.target, *parts, answer),
    )


def forget(db: sqlite3.Connection, before: float, most: int) -> int:
    """Forget requests that are older than ``before``, and the oldest beyond ``most``; none that is under way.

    Return how many.
    """
    over = "key NOT IN (SELECT request FROM sends WHERE request IS NOT NULL)"
    gone = db.execute(f"DELETE FROM requests WHERE time < ? AND {over}", (before,)).rowcount
    (number,) = db.execute("SELECT COUNT(*) FROM requests").fetchone()
    if number > most:
        oldest = f"SELECT key FROM requests WHERE {over} ORDER BY time LIMIT ?"
        gone += db.execute(f"DELETE FROM requests WHERE key IN ({oldest})", (number - most,)).rowcount
    return gone


# -- inside


def _text(value: JsonObject) -> str:
    return json.dumps(value) if value else ""


def _outcome(kept: object) -> JsonObject:
    """Return how a message ended; empty, as of one that has not, when that can't be read."""
    found = kept_json(kept)
    return found if isinstance(found.get("code"), int) else {}


def _send(row: tuple[object, ...]) -> SendRow:
    seq, when, tried, login, target, is_group, content, client_id, attempts_left, origin, parcel, request = row
    return SendRow(
        seq=whole(seq),
        time=real(when),
        tried=real(tried),
        login=str(login),
        target=str(target),
        is_group=bool(is_group),
        content=str(content),
        client_id=str(client_id),
        attempts_left=whole(attempts_left),
        origin=str(origin),
        parcel=whole(parcel),
        request=str(request) if request else "",
    )
