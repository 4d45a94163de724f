"""Removal of entries from the event log: by age, and by size when there are too many bytes."""

# ruff: noqa: S608 - only states and placeholders are interpolated, never values

import sqlite3
from dataclasses import dataclass

from wxcontroller.client.store.events import OURS
from wxcontroller.client.store.values import as_float, as_int

# Deleted per transaction, so that the writer stays available.
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class RetentionLimits:
    """Retention of entries, in seconds and bytes; 0 means no limit.

    Reports that are pending for longer than ``give_up`` are dead; the dead stay for ``keep_dead``. Beyond
    ``max_bytes``, delivered events are deleted first, then dead letters, then pending reports of own sends and
    states, and people's messages last. Deleted pending reports are counted as lost; they are deleted only with
    ``lose``.
    """

    keep: float
    keep_dead: float
    give_up: float
    max_bytes: int
    lose: bool = True


@dataclass(frozen=True, slots=True)
class Swept:
    """The result of a sweep: numbers of entries marked dead, deleted, deleted although dead, and lost."""

    given_up: int = 0
    forgotten: int = 0
    dead_forgotten: int = 0
    dropped: int = 0


def sweep(db: sqlite3.Connection, limits: RetentionLimits, now: float) -> Swept:
    """Delete entries beyond the limits of age and size, one batch per call: call it again until it deletes none."""
    given_up = 0
    if limits.give_up:
        given_up = db.execute(
            "UPDATE events SET state = 'dead', settled_at = ?, error = error || ' (given up)', acknowledged = 0 "
            "WHERE seq IN "
            "(SELECT seq FROM events WHERE state = 'pending' AND time < ? ORDER BY seq LIMIT ?)",
            (now, now - limits.give_up, _AT_ONCE),
        ).rowcount
    forgotten = 0
    if limits.keep:
        forgotten = forget(db, ("delivered", "kept", "purged"), now - limits.keep)
    dead_forgotten = forget(db, ("dead",), now - limits.keep_dead) if limits.keep_dead else 0
    dropped = 0
    if limits.max_bytes:
        # The tally, not the file: the file shrinks only after the vacuum, and its pages say nothing about states.
        (size,) = db.execute("SELECT SUM(bytes) FROM tally").fetchone()
        excess = int(as_float(size)) - limits.max_bytes
        # Entries are lost only after all that may be deleted first, if necessary at the next call.
        number, excess = shrink(db, ("delivered", "kept", "purged"), excess)
        forgotten += number
        if number < _AT_ONCE:
            number, excess = shrink(db, ("dead",), excess)
            dead_forgotten += number
        if number < _AT_ONCE and limits.lose:
            dropped, excess = shrink(db, ("pending",), excess, OURS)
            if dropped < _AT_ONCE:
                dropped += shrink(db, ("pending",), excess)[0]
    if dropped:
        db.execute("UPDATE meta SET value = value + ? WHERE name = 'dropped'", (dropped,))
        db.execute("INSERT OR REPLACE INTO meta VALUES ('dropped_at', ?)", (str(int(now)),))
    if forgotten or dead_forgotten or dropped:
        # At most 4 MB per transaction, because the writer does nothing else meanwhile; the next sweep frees the rest.
        db.execute("PRAGMA incremental_vacuum(1000)")
    return Swept(given_up, forgotten, dead_forgotten, dropped)


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
    if excess <= 0:
        return 0, excess
    marks = ", ".join("?" * len(states))
    gone: list[int] = []
    rows = db.execute(
        f"SELECT seq, size FROM events WHERE state IN ({marks}) AND {which} ORDER BY seq LIMIT ?",
        (*states, _AT_ONCE),
    )
    for seq, size in rows.fetchall():
        if excess <= 0:
            break
        gone.append(seq)
        excess -= max(0, as_int(size))
    db.executemany("DELETE FROM events WHERE seq = ?", ((seq,) for seq in gone))
    return len(gone), excess
