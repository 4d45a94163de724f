"""The tables of the event log, and all SQL on them."""

# ruff: noqa: S608 - only column names and placeholders are interpolated, never values

import hashlib
import sqlite3
import time
from dataclasses import dataclass
from enum import StrEnum

from wxcontroller.client.store.tables.values import as_bytes, as_float, as_int
from wxcontroller.core.jsontypes import integer
from wxcontroller.openwx.contract.replies import to_bytes

SCHEMA = (
    """
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        stamp INTEGER NOT NULL,
        time REAL NOT NULL,
        type TEXT NOT NULL,
        key TEXT UNIQUE,
        body BLOB NOT NULL,
        size INTEGER NOT NULL,
        media TEXT NOT NULL DEFAULT '',
        source TEXT NOT NULL DEFAULT '',
        state TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        next_at REAL NOT NULL DEFAULT 0,
        error TEXT NOT NULL DEFAULT '',
        status INTEGER NOT NULL DEFAULT 0,
        settled_at REAL NOT NULL DEFAULT 0
    );
    CREATE INDEX events_state ON events (state, seq);
    CREATE INDEX events_stamp ON events (stamp);
    CREATE TABLE tally (state TEXT PRIMARY KEY, number INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO tally
        VALUES ('held', 0, 0), ('pending', 0, 0), ('delivered', 0, 0), ('dead', 0, 0), ('kept', 0, 0),
            ('purged', 0, 0);
    CREATE TRIGGER events_in AFTER INSERT ON events BEGIN
        UPDATE tally SET number = number + 1, bytes = bytes + new.size WHERE state = new.state;
    END;
    CREATE TRIGGER events_out AFTER DELETE ON events BEGIN
        UPDATE tally SET number = number - 1, bytes = bytes - old.size WHERE state = old.state;
    END;
    CREATE TRIGGER events_move AFTER UPDATE OF state, size ON events BEGIN
        UPDATE tally SET number = number - 1, bytes = bytes - old.size WHERE state = old.state;
        UPDATE tally SET number = number + 1, bytes = bytes + new.size WHERE state = new.state;
    END;
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    INSERT INTO meta VALUES ('name', lower(hex(randomblob(4)))), ('dropped', '0')
    """,
)
# Attempts before it was replayed or moved aside last: pauses begin again then, the count does not.
REPLAYED = "ALTER TABLE events ADD COLUMN replayed INTEGER NOT NULL DEFAULT 0"
# The kind of a report that is in the retry lane, "" for one in the queue. Few reports are pending, and they are
# counted after each commit: the index covers only these.
ASIDE = """
    ALTER TABLE events ADD COLUMN aside TEXT NOT NULL DEFAULT '';
    CREATE INDEX events_aside ON events (next_at, seq) WHERE state = 'pending' AND aside != ''
    """
# Unacknowledged dead letters. Indexed by time of death: queries select the latest.
ACKNOWLEDGED = """
    ALTER TABLE events ADD COLUMN acknowledged INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX events_unacknowledged ON events (settled_at) WHERE state = 'dead' AND acknowledged = 0
    """
# The account's epoch when the event was stored: it keeps it when it moves to another host undelivered.
EPOCHS = "ALTER TABLE events ADD COLUMN epoch INTEGER NOT NULL DEFAULT 1"
# The id of a report for receivers: see ``insert``. Entries without one are known by ``Entry.id``.
DELIVERIES = """
    ALTER TABLE events ADD COLUMN delivery TEXT NOT NULL DEFAULT '';
    CREATE INDEX events_delivery ON events (delivery) WHERE delivery != ''
    """
# The reading of the run clock at the first failed attempt of a pending report, or when a dead letter became one; 0
# for others.
SINCE = """
    ALTER TABLE events ADD COLUMN since REAL NOT NULL DEFAULT 0;
    UPDATE events SET since = 1 WHERE state = 'dead';
    CREATE INDEX events_since ON events (state, since) WHERE since > 0
    """
_UNACKNOWLEDGED = "state = 'dead' AND acknowledged = 0"  # as in the index
# They are counted after each commit: more than these are as many as there are dead letters.
_COUNTED = 1000
_RETRYING = "state = 'pending' AND aside != ''"  # as in the index, which is not used for other words
# Without it SQLite takes the index of states, and reads all that is pending after each commit.
_BY_ASIDE = "INDEXED BY events_aside"
_TRYING = "since = CASE WHEN state = 'pending' AND since = 0 THEN ? ELSE since END"
_COLUMNS = (
    "seq, stamp, time, type, state, attempts, replayed, aside, next_at, error, status, settled_at, size, media, "
    # The length of a blob is known without reading it.
    "epoch, delivery, CASE WHEN length(body) <= ? THEN body ELSE x'' END"
)
ANY_SIZE = 1 << 40
# The source of WeChat's notices: joined, removed, red packet. In a private chat the report does not show it.
NOTICE = "notice"
# Readers see the entries before the first held one: otherwise their position would pass it, and they would never get
# the message that is still to be filled.
_SHOWN = "seq < COALESCE((SELECT MIN(seq) FROM events WHERE state = 'held'), 9223372036854775807)"
# An entry of this log: sequences start again in the one that replaces a damaged log.
# The types of messages, not notices.
MESSAGES = ("friend_message", "group_message")
# Readers that begin now ask at most this many seconds later.
_RECENT = 10.0
_THIS = "seq = ? AND (SELECT value FROM meta WHERE name = 'name') = ?"
# Events that did not come from WeChat: reports of own sends and of the account's states. People's messages have keys.
OURS = "key IS NULL"
_LATEST = 1 << 40  # a later value means a damaged file


class EntryState(StrEnum):
    """The delivery state of an entry."""

    HELD = "held"  # its media are being fetched
    PENDING = "pending"  # to be delivered
    DELIVERED = "delivered"
    DEAD = "dead"  # dead letter: refused permanently, or retried for too long
    KEPT = "kept"  # not for the webhook: none is set, or its filter excludes this one
    PURGED = "purged"  # removed from the delivery by a person


class Moved(StrEnum):
    """A message's direction; the name under which its time is stored."""

    RECEIVED = "received_at"
    SENT = "sent_at"


_STATES = {state.value: state for state in EntryState}


@dataclass(frozen=True, slots=True)
class Entry:
    """One event. ``id`` is its place in the log; ``body`` is its report as JSON, without the content of ``media``.

    ``delivery`` is the id by which receivers recognize its report, which never changes: see ``insert``.

    ``media`` is the file whose content belongs into the report as ``media_data``, "" for none. Times are seconds
    since 1970, 0 for never; ``stamp`` is ``time`` in microseconds, but always increases, also when the clock is set
    back.
    ``status`` is the receiver's last HTTP status, 0 for none. Of all ``attempts`` so many as ``replayed`` were made
    before it was replayed or moved aside last. ``aside`` is its kind when it is in the retry lane, else "".
    ``epoch`` is the account's when it was stored. ``body`` is empty if it is larger than requested.
    """

    id: str
    delivery: str
    seq: int
    stamp: int
    time: float
    type: str
    state: EntryState
    attempts: int
    replayed: int
    aside: str
    next_at: float
    error: str
    status: int
    settled_at: float
    size: int
    media: str
    epoch: int
    body: bytes

    @property
    def log(self) -> str:
        """Name of the log that the sequence counts in."""
        return self.id.rpartition("-")[0]


@dataclass(frozen=True, slots=True)
class Counts:
    """The size of the log. ``oldest`` is the time of the first that is open, 0 for none; ``bytes`` of all bodies.

    Of the ``pending`` ones, ``retrying`` are in the retry lane. Of the ``dead`` ones,
    ``unacknowledged`` are not acknowledged, the latest died at ``dead_at`` of ``dead_error``, with the
    receiver's ``dead_status`` or 0.
    ``dropped`` were lost since this log was created, the last of them at ``dropped_at``, 0 if unknown.
    ``received`` and ``sent`` are the times of the last message of each kind, 0 for none in this log.
    ``damaged_at`` is when this log last replaced a damaged file, 0 for never; ``last`` is the last sequence.
    """

    name: str = ""  # random, part of every id: sequences start again with a new log
    held: int = 0
    pending: int = 0
    retrying: int = 0
    dead: int = 0
    unacknowledged: int = 0
    dead_at: float = 0.0
    dead_error: str = ""
    dead_status: int = 0
    dropped: int = 0
    dropped_at: float = 0.0
    oldest: float = 0.0
    bytes: int = 0
    pending_bytes: int = 0
    received: int = 0
    sent: int = 0
    damaged_at: float = 0.0
    last: int = 0

    @property
    def waiting(self) -> int:
        """The number of reports that are still to be delivered."""
        return self.held + self.pending


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries: those of ``states``, of these only ``seqs`` when there are any, after ``after``.

    A cursor is a log's name and a sequence: with ``log``, ``after`` applies only to this log. In any other
    log, such as the one that replaces a damaged file, all entries come after it. ``queue``: without entries in
    the retry lane. ``spoken``: without WeChat's own notices in a chat.
    """

    states: tuple[EntryState, ...] = ()
    seqs: tuple[int, ...] = ()
    after: int = 0
    types: tuple[str, ...] = ()
    log: str = ""
    queue: bool = False
    spoken: bool = False

    def where(self) -> tuple[str, list[object]]:
        """Return a condition in SQL and its values."""
        clauses, values = ["seq > ?"], list[object]([self.after])
        if self.log:
            clauses = ["seq > CASE WHEN ? = (SELECT value FROM meta WHERE name = 'name') THEN ? ELSE 0 END"]
            values = [self.log, self.after]
        for column, wanted in (("state", self.states), ("seq", self.seqs), ("type", self.types)):
            if wanted:
                clauses.append(f"{column} IN ({', '.join('?' * len(wanted))})")
                values.extend(str(value) if isinstance(value, EntryState) else value for value in wanted)
        if self.queue:
            clauses.append("aside = ''")
        if self.spoken:
            clauses.append(f"source != '{NOTICE}'")
        return " AND ".join(clauses), values


def delivery_id(db: sqlite3.Connection, key: str) -> str:
    """Return the id of an event's report for receivers, "" for one without a key.

    An event with a key came from WeChat, which may send it to two hosts: a lost host had stored it before it was
    acknowledged, and the host that adopts the account from an older bundle gets it again. So may an account whose
    log was restored from a backup. All have a copy of the same log, so the id is made of its first name and the key.
    """
    if not key:
        return ""
    found = db.execute("SELECT value FROM meta WHERE name = 'origin'").fetchone()
    log = str(found[0]) if found else name_of(db)
    return f"{log}-m{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:20]}"


def insert(
    db: sqlite3.Connection,
    kind: str,
    key: str,
    body: bytes,
    state: EntryState,
    media: str = "",
    source: str = "",
    epoch: int = 1,
    mark: str = "",
) -> int:
    """Add an entry and return its sequence; 0 if one with this ``key`` exists.

    ``mark`` makes the delivery id of an entry without a key unique, also after a restore of an older log.
    """
    # A stamp always increases, so that ``before`` can look for the first one at or after a moment, and each is of one
    # event.
    now = time.time()
    done = db.execute(
        "INSERT INTO events (stamp, time, type, key, body, size, media, source, state, epoch, delivery) "
        "VALUES (MAX(?, COALESCE((SELECT MAX(stamp) + 1 FROM events), 0)), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (key) DO NOTHING",
        (
            *(int(now * 1e6), now, kind, key or None, body, len(body), media, source, state, epoch),
            delivery_id(db, key) or (f"{name_of(db)}-{mark}" if mark else ""),
        ),
    )
    return done.lastrowid or 0 if done.rowcount > 0 else 0


def latest_epoch(db: sqlite3.Connection) -> int:
    """Return the epoch of the last event, 0 without one."""
    found = db.execute("SELECT epoch FROM events ORDER BY seq DESC LIMIT 1").fetchone()
    return as_int(found[0]) if found else 0


def skip_lost(db: sqlite3.Connection, adopted: int) -> None:
    """From now on, number entries differently from other copies of the account; ``adopted`` is the epoch of its
    adoption. The lost host may have continued after the bundle was made, and delivers its reports when it is back. A
    receiver that knows an id already, or continues from a number of that host, must not miss entries of this one.
    """
    first = adopted << 32  # more than an account has in one epoch, and exact as a number of JSON
    if not db.execute("UPDATE sqlite_sequence SET seq = MAX(seq, ?) WHERE name = 'events'", (first,)).rowcount:
        db.execute("INSERT INTO sqlite_sequence VALUES ('events', ?)", (first,))


def message(db: sqlite3.Connection, identifier: str) -> bytes:
    """Return the report of a message by WeChat's id of it, received or sent by the account; b"" for none."""
    found = db.execute("SELECT body FROM events WHERE key = ?", (identifier,)).fetchone()
    if found is None:
        # Own sends have no key, and are quoted seldom: not worth an index.
        handle = b'"id":' + to_bytes(f"{identifier}:")[:-1]
        found = db.execute(
            f"SELECT body FROM events WHERE {OURS} AND type IN ('friend_message', 'group_message') "
            "AND instr(body, ?) ORDER BY seq DESC LIMIT 1",
            (handle,),
        ).fetchone()
    return as_bytes(found[0]) if found else b""


def note_message(db: sqlite3.Connection, what: Moved) -> None:
    """Note that a message was received or sent just now; the note outlives the entry and the process."""
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (what, str(int(time.time()))))


def fill(db: sqlite3.Connection, seq: int, body: bytes | None, state: EntryState, media: str) -> bool:
    """Give a held entry its body (None: unchanged) and state; return whether it exists."""
    done = db.execute(
        "UPDATE events SET body = COALESCE(?, body), size = COALESCE(?, size), media = ?, source = '', state = ? "
        "WHERE seq = ? AND state = 'held'",
        (body, None if body is None else len(body), media, state, seq),
    )
    return done.rowcount > 0


def settle(
    db: sqlite3.Connection,
    entry: Entry,
    state: EntryState,
    error: str,
    status: int,
    ran: float = 0.0,
) -> None:
    """Record the result of a delivery. An entry that was purged meanwhile stays purged, unless it was delivered.

    ``ran``: the run clock, for a dead letter.
    """
    db.execute(
        "UPDATE events SET state = ?, attempts = attempts + 1, error = ?, status = ?, settled_at = ?, next_at = 0, "
        f"acknowledged = 0, since = ? WHERE {_THIS} AND (state = 'pending' OR ? = 'delivered')",
        (state, error, status, time.time(), ran, entry.seq, entry.log, state),
    )


def fail(db: sqlite3.Connection, entry: Entry, error: str, status: int, next_at: float, ran: float) -> None:
    """Record a failed attempt; the report keeps its place. ``ran``: the run clock."""
    db.execute(
        f"UPDATE events SET attempts = attempts + 1, {_TRYING}, error = ?, status = ?, next_at = ? WHERE {_THIS}",
        (ran, error, status, next_at, entry.seq, entry.log),
    )


def move_aside(
    db: sqlite3.Connection, entry: Entry, kind: str, error: str, status: int, next_at: float, ran: float
) -> None:
    """Note an attempt that failed, and that the report of this kind waits in the retry lane (already)."""
    db.execute(
        f"UPDATE events SET attempts = attempts + 1, {_TRYING}, "
        "replayed = CASE aside WHEN '' THEN attempts + 1 ELSE replayed END, "
        f"aside = ?, error = ?, status = ?, next_at = ? WHERE {_THIS} AND state = 'pending'",
        (ran, kind, error, status, next_at, entry.seq, entry.log),
    )


def first_aside(db: sqlite3.Connection, most_body: int, latest: float) -> Entry | None:
    """Return the report of the retry lane that is due first, with a body of at most this many bytes.

    ``latest``: no pause ends later. A report that is due after it comes first: the clock was set back meanwhile.
    """
    for bound in (latest, 0.0):
        found = db.execute(
            f"SELECT {_COLUMNS} FROM events WHERE {_RETRYING} AND next_at >= ? ORDER BY next_at, seq LIMIT 1",
            [most_body, bound],
        ).fetchone()
        if found is not None:
            return _entry(name_of(db), found)
    return None


def kinds_aside(db: sqlite3.Connection) -> frozenset[str]:
    """Return the kinds of the reports in the retry lane."""
    return frozenset(
        str(kind) for (kind,) in db.execute(f"SELECT DISTINCT aside FROM events {_BY_ASIDE} WHERE {_RETRYING}")
    )


def body_of(db: sqlite3.Connection, entry: Entry) -> bytes | None:
    """Return the body of an entry, None if it no longer exists."""
    found = db.execute(f"SELECT body FROM events WHERE {_THIS}", (entry.seq, entry.log)).fetchone()
    return None if found is None else as_bytes(found[0])


def aim(db: sqlite3.Connection, receiver: str, strict: bool) -> None:
    """Note the receiver of the reports. For a new one, or in ``strict`` order, all begin again in the queue."""
    found = db.execute("SELECT value FROM meta WHERE name = 'receiver'").fetchone()
    if found is not None and str(found[0]) == receiver and not strict:
        return
    # Failures of the former receiver do not apply to this one: pauses, quick retries and the time for which a report
    # is tried start again.
    db.execute("UPDATE events SET since = 0 WHERE state = 'pending' AND since > 0")
    db.execute(f"UPDATE events SET aside = '', replayed = attempts, next_at = 0 WHERE {_RETRYING}")
    db.execute("INSERT OR REPLACE INTO meta VALUES ('receiver', ?)", (receiver,))


def replay(db: sqlite3.Connection, where: Selection) -> int:
    """Make entries pending again that are not; return how many."""
    condition, values = where.where()
    return db.execute(
        "UPDATE events SET state = 'pending', replayed = attempts, aside = '', next_at = 0, error = '', status = 0, "
        f"settled_at = 0, since = 0 WHERE state IN ('dead', 'delivered', 'purged', 'kept') AND {condition}",
        values,
    ).rowcount


def purge(db: sqlite3.Connection, where: Selection) -> int:
    """Take entries out of the delivery; return how many."""
    # ``attempts`` is not reset, because X-Wx-Attempt counts all of them; pauses are counted from ``replayed``.
    condition, values = where.where()
    return db.execute(
        "UPDATE events SET state = 'purged', settled_at = ?, since = 0 "
        f"WHERE state IN ('pending', 'dead') AND {condition}",
        [time.time(), *values],
    ).rowcount


def acknowledge(db: sqlite3.Connection, where: Selection) -> int:
    """Acknowledge dead letters; return how many were not acknowledged before."""
    condition, values = where.where()
    return db.execute(f"UPDATE events SET acknowledged = 1 WHERE {_UNACKNOWLEDGED} AND {condition}", values).rowcount


def select(db: sqlite3.Connection, where: Selection, limit: int, most_body: int = ANY_SIZE) -> list[Entry]:
    """Return entries in order, including held ones, with bodies of at most this many bytes."""
    return selected(db, "1", where, limit, most_body)


def shown(db: sqlite3.Connection, where: Selection, limit: int, most_body: int = ANY_SIZE) -> list[Entry]:
    """Return entries in order, up to the first held one, with bodies of at most this many bytes."""
    return selected(db, _SHOWN, where, limit, most_body)


def selected(db: sqlite3.Connection, which: str, where: Selection, limit: int, most_body: int) -> list[Entry]:
    condition, values = where.where()
    found = db.execute(
        f"SELECT {_COLUMNS} FROM events WHERE {which} AND {condition} ORDER BY seq LIMIT ?",
        [most_body, *values, limit],
    )
    name = name_of(db)
    return [_entry(name, row) for row in found]


def name_of(db: sqlite3.Connection) -> str:
    """Return the log's name, the first part of its entries' ids."""
    (name,) = db.execute("SELECT value FROM meta WHERE name = 'name'").fetchone()
    return str(name)


def seq_of(db: sqlite3.Connection, entry_id: str) -> int:
    """Return the sequence in an ``id`` of this log, or of the entry with this ``delivery``; 0 for any other text."""
    # The second condition is the index's.
    found = db.execute("SELECT seq FROM events WHERE delivery = ? AND delivery != ''", (entry_id,)).fetchone()
    if found is not None:
        return as_int(found[0])
    name, _, seq = entry_id.partition("-")
    return int(seq) if name == name_of(db) and seq.isascii() and seq.isdecimal() and len(seq) < 19 else 0


def position_of(db: sqlite3.Connection, entry_id: str) -> int:
    """Return the sequence after which a reader of this ``id`` continues; as ``seq_of``, or of an earlier generation.

    Of that, the log has the entries up to a restore.
    """
    name, _, seq = entry_id.partition("-")
    found = db.execute("SELECT value FROM meta WHERE name = 'generation ' || ?", (name,)).fetchone()
    if found is None or not (seq.isascii() and seq.isdecimal() and len(seq) < 19):
        return seq_of(db, entry_id)
    return min(int(seq), integer(found[0]))


def last_shown(db: sqlite3.Connection) -> int:
    """Return the sequence of the last entry before the first held one, 0 without one."""
    newest = last(db)  # first: see ``before``
    (held,) = db.execute("SELECT MIN(seq) FROM events WHERE state = 'held'").fetchone()
    return newest if held is None else int(held) - 1


def last(db: sqlite3.Connection) -> int:
    """Return the last issued sequence, 0 for none."""
    found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return as_int(found[0]) if found else 0


def before(db: sqlite3.Connection, stamp: int) -> int:
    """Return the sequence before the first entry at ``stamp`` or later, or that of the last entry."""
    newest = last(db)  # first: an entry that is written in between is after it, too
    now, moment = time.time(), stamp / 1e6
    if 0 <= now - moment < _RECENT:
        # When the clock was set back, earlier entries have later stamps. These are not of the last seconds: their
        # times are ahead of the clock.
        found = db.execute(
            "SELECT seq FROM events WHERE time < ? OR time > ? ORDER BY seq DESC LIMIT 1", (moment, now)
        ).fetchone()
        return as_int(found[0]) if found else 0
    (found,) = db.execute("SELECT MIN(seq) FROM events WHERE stamp >= ?", (stamp,)).fetchone()
    return newest if found is None else int(found) - 1


def first(db: sqlite3.Connection) -> int:
    """Return the sequence of the oldest remaining entry, 0 without one."""
    (found,) = db.execute("SELECT MIN(seq) FROM events").fetchone()
    return int(found or 0)


def held(db: sqlite3.Connection) -> list[tuple[int, bytes, str]]:
    """Return sequence, body and source of held entries."""
    return [
        (as_int(seq), as_bytes(body), str(source))
        for seq, body, source in db.execute("SELECT seq, body, source FROM events WHERE state = 'held' ORDER BY seq")
    ]


def media_in_use(db: sqlite3.Connection) -> frozenset[str]:
    """Return the files whose content is still to be delivered."""
    rows = db.execute("SELECT media FROM events WHERE state IN ('pending', 'dead') AND media != ''")
    return frozenset(str(media) for (media,) in rows)


def needs_file(db: sqlite3.Connection, path: str) -> bool:
    """Whether a send or a report that is still to be delivered needs a file's content."""
    (found,) = db.execute(
        "SELECT EXISTS (SELECT 1 FROM events WHERE media = ? AND media != '' AND state IN ('pending', 'dead')) OR "
        " EXISTS (SELECT 1 FROM parcels WHERE file = ?)",
        (path, path),
    ).fetchone()
    return bool(found)


def counts(db: sqlite3.Connection) -> Counts:
    """Read the counts of the log."""
    tally: dict[str, tuple[int, int]] = dict.fromkeys(EntryState, (0, 0))
    for state, number, size in db.execute("SELECT state, number, bytes FROM tally"):
        tally[state] = as_int(number), as_int(size)
    meta = dict(db.execute("SELECT name, value FROM meta").fetchall())
    unacknowledged, dead_at, dead_error, dead_status = _unacknowledged(db, tally[EntryState.DEAD][0])
    # The tally has no times. At most two look-ups in the index of states, whatever the number of entries.
    oldest = [
        as_float(found[0])
        for state in ("held", "pending")
        if tally[state][0]
        and (found := db.execute("SELECT time FROM events WHERE state = ? ORDER BY seq LIMIT 1", (state,)).fetchone())
    ]
    return Counts(
        name=str(meta.get("name", "")),
        held=tally["held"][0],
        pending=tally["pending"][0],
        retrying=as_int(db.execute(f"SELECT COUNT(*) FROM events {_BY_ASIDE} WHERE {_RETRYING}").fetchone()[0]),
        dead=tally["dead"][0],
        unacknowledged=unacknowledged,
        dead_at=dead_at,
        dead_error=dead_error,
        dead_status=dead_status,
        dropped=integer(meta.get("dropped")),
        dropped_at=float(min(integer(meta.get("dropped_at")), _LATEST)),
        oldest=min(oldest, default=0.0),
        bytes=sum(size for _, size in tally.values()),
        pending_bytes=tally["pending"][1] + tally["held"][1],
        received=min(integer(meta.get(Moved.RECEIVED)), _LATEST),
        sent=min(integer(meta.get(Moved.SENT)), _LATEST),
        damaged_at=float(min(integer(meta.get("damaged_at")), _LATEST)),
        last=last(db),
    )


def _unacknowledged(db: sqlite3.Connection, dead: int) -> tuple[int, float, str, int]:
    """Return the number of unacknowledged dead letters, and time, error and status of the latest."""
    if dead <= 0:
        return 0, 0.0, "", 0
    latest = db.execute(
        f"SELECT settled_at, error, status FROM events WHERE {_UNACKNOWLEDGED} ORDER BY settled_at DESC LIMIT 1"
    ).fetchone()
    if latest is None:
        return 0, 0.0, "", 0
    (number,) = db.execute(
        f"SELECT COUNT(*) FROM (SELECT 1 FROM events WHERE {_UNACKNOWLEDGED} LIMIT {_COUNTED})"
    ).fetchone()
    dead_at, error, status = latest
    all_of_them = dead if number >= _COUNTED else as_int(number)
    return all_of_them, min(as_float(dead_at), float(_LATEST)), str(error), as_int(status)


def _entry(name: str, row: tuple[object, ...]) -> Entry:
    """Return the entry of a row, or its readable parts if the file is damaged."""
    seq, stamp, when, kind, state, attempts, replayed, aside, next_at, error, status, settled_at, *rest = row
    size, media, epoch, delivery, body = rest
    return Entry(
        id=f"{name}-{seq}",
        delivery=str(delivery) or f"{name}-{seq}",
        seq=as_int(seq),
        stamp=as_int(stamp),
        time=as_float(when),
        type=str(kind),
        # A damaged entry must neither be posted nor block the queue, so it becomes a dead letter.
        state=_STATES.get(str(state), EntryState.DEAD),
        attempts=as_int(attempts),
        replayed=as_int(replayed),
        aside=str(aside),
        next_at=as_float(next_at),
        error=str(error),
        status=as_int(status),
        settled_at=as_float(settled_at),
        size=as_int(size),
        media=str(media),
        epoch=as_int(epoch),
        body=as_bytes(body),
    )
