"""Removal of entries from the event log: by age, and by size when there are too many bytes.

The age of failures and of dead letters is measured by the run clock (``runclock``).
"""

# ruff: noqa: S608 - only states and placeholders are interpolated, never values

import sqlite3
from dataclasses import astuple, dataclass

from wxcontroller.client.store.tables.eventtables import OURS
from wxcontroller.client.store.tables.values import as_float, as_int

# Deleted per transaction, so that the writer stays available.
_AT_ONCE = 1000
# 4 MB per transaction, because the writer does nothing else meanwhile.
_PAGES_AT_ONCE = 1000
# The next messages use these, so that an idle account does not change its file with each sweep.
_SPARE_PAGES = 50
# The words of the index: entries in a state whose time began before a reading of the run clock.
_SINCE = "INDEXED BY events_since WHERE state = ? AND since > 0 AND since <= ?"


@dataclass(frozen=True, slots=True)
class RetentionLimits:
    """Retention of entries, in seconds and bytes; 0 means no limit.

    Reports that were tried for longer than ``give_up`` are dead; the dead stay for ``keep_dead``. Beyond
    ``max_bytes``, delivered events are deleted first, then dead letters, then pending reports of own sends and
    states, and people's messages last. Deleted pending reports are counted as lost, and so are dead letters that were
    not acknowledged; pending ones are deleted only with ``lose``.
    """

    keep: float
    keep_dead: float
    give_up: float
    max_bytes: int
    lose: bool = True


@dataclass(frozen=True, slots=True)
class Swept:
    """The result of a sweep: numbers of entries marked dead, deleted, deleted although dead, and lost.

    ``unseen`` of the dead ones were not acknowledged. ``pages`` of the file were freed.
    """

    given_up: int = 0
    forgotten: int = 0
    dead_forgotten: int = 0
    dropped: int = 0
    unseen: int = 0
    pages: int = 0

    def __add__(self, other: "Swept") -> "Swept":
        return Swept(*(one + another for one, another in zip(astuple(self), astuple(other), strict=True)))


def sweep(db: sqlite3.Connection, limits: RetentionLimits, now: float, ran: float) -> Swept:
    """Delete entries beyond the limits of age and size, one batch per call: call it again until it deletes none.

    ``now`` is in seconds since 1970, ``ran`` the run clock.
    """
    given_up = 0
    if limits.give_up:
        given_up = db.execute(
            "UPDATE events SET state = 'dead', settled_at = ?, since = ?, error = error || ' (given up)', "
            f"acknowledged = 0 WHERE seq IN (SELECT seq FROM events {_SINCE} ORDER BY since LIMIT ?)",
            (now, ran, "pending", ran - limits.give_up, _AT_ONCE),
        ).rowcount
    forgotten = 0
    if limits.keep:
        forgotten = forget(db, ("delivered", "kept", "purged"), now - limits.keep)
    seen: list[bool] = []  # whether each deleted dead letter was acknowledged
    if limits.keep_dead:
        which = f"SELECT seq FROM events {_SINCE} LIMIT ?"
        seen += delete(db, which, "dead", ran - limits.keep_dead, _AT_ONCE)
    dropped = 0
    if limits.max_bytes:
        # The tally, not the file: the file shrinks only after the vacuum, and its pages say nothing about states.
        (size,) = db.execute("SELECT SUM(bytes) FROM tally").fetchone()
        excess = int(as_float(size)) - limits.max_bytes
        # Entries are lost only after all that may be deleted first, if necessary at the next call.
        number, excess = shrink(db, ("delivered", "kept", "purged"), excess)
        forgotten += number
        if number < _AT_ONCE:
            gone, excess = oldest(db, ("dead",), excess)
            number = len(gone)
            for seq in gone:
                seen += delete(db, "?", seq)
        if number < _AT_ONCE and limits.lose:
            dropped, excess = shrink(db, ("pending",), excess, OURS)
            if dropped < _AT_ONCE:
                dropped += shrink(db, ("pending",), excess)[0]
    unseen = seen.count(False)
    if lost := dropped + unseen:
        db.execute("UPDATE meta SET value = value + ? WHERE name = 'dropped'", (lost,))
        db.execute("INSERT OR REPLACE INTO meta VALUES ('dropped_at', ?)", (str(int(now)),))
    return Swept(given_up, forgotten, len(seen), dropped, unseen, vacuum(db))


def vacuum(db: sqlite3.Connection) -> int:
    """Return free pages to the file system, unless there are few; return their number."""
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    if free <= _SPARE_PAGES:
        return 0
    # Each step of the statement frees one page.
    db.execute(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})").fetchall()
    (left,) = db.execute("PRAGMA freelist_count").fetchone()
    return as_int(free) - as_int(left)


def tried_for(db: sqlite3.Connection, ran: float) -> float:
    """Return for how long the pending report that failed first was tried, 0 for none."""
    (first,) = db.execute(f"SELECT MIN(since) FROM events {_SINCE}", ("pending", ran)).fetchone()
    return ran - as_float(first) if first else 0.0


def delete(db: sqlite3.Connection, which: str, *values: object) -> list[bool]:
    """Delete dead letters; return of each whether it was acknowledged."""
    rows = db.execute(f"DELETE FROM events WHERE seq IN ({which}) RETURNING acknowledged", values)
    return [bool(acknowledged) for (acknowledged,) in rows]


def forget(db: sqlite3.Connection, states: tuple[str, ...], before: float) -> int:
    marks = ", ".join("?" * len(states))
    return db.execute(
        f"DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE state IN ({marks}) AND time < ? LIMIT ?)",
        (*states, before, _AT_ONCE),
    ).rowcount


def shrink(db: sqlite3.Connection, states: tuple[str, ...], excess: int, which: str = "1") -> tuple[int, int]:
    """Delete the oldest entries in these states until ``excess`` bytes are freed; return their number and the
    remaining excess. ``which`` is an SQL condition that they have to meet.
    """
    gone, excess = oldest(db, states, excess, which)
    db.executemany("DELETE FROM events WHERE seq = ?", ((seq,) for seq in gone))
    return len(gone), excess


def oldest(db: sqlite3.Connection, states: tuple[str, ...], excess: int, which: str = "1") -> tuple[list[int], int]:
    """Return the oldest entries in these states that have ``excess`` bytes together, and the remaining excess."""
    gone: list[int] = []
    if excess <= 0:
        return gone, excess
    marks = ", ".join("?" * len(states))
    rows = db.execute(
        f"SELECT seq, size FROM events WHERE state IN ({marks}) AND {which} ORDER BY seq LIMIT ?",
        (*states, _AT_ONCE),
    )
    for seq, size in rows.fetchall():
        if excess <= 0:
            break
        gone.append(seq)
        excess -= max(0, as_int(size))
    return gone, excess
