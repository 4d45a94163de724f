"""The tables of the driver's state: its position in WeChat's message stream, seen ids, and identities.

A driver sends the position to WeChat to acknowledge messages. It is committed after the events that it covers,
by the same writer and in the same file, so it can never be durable without them: only the database decides whether a
message is handled. Login cookies and tokens are not here: they are in the driver's own file, which must be
readable when the database is not.
"""

import sqlite3
from collections.abc import Mapping, Sequence

from wxcontroller.client.store.tables.values import as_bytes, as_int
from wxcontroller.drivers.base import Restored

SCHEMA = """
    CREATE TABLE driver (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE seen (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE);
    CREATE TABLE identities (mark INTEGER PRIMARY KEY, number INTEGER NOT NULL, learned INTEGER NOT NULL)
"""
# With an old position, WeChat repeats the last few pages of about a hundred messages each. More ids would slow every
# start for nothing.
_SEEN = 2000
# SQLite's integers are signed.
_SIGN = 1 << 63


def restored(db: sqlite3.Connection, name: str) -> Restored:
    """Return the last checkpoint of a route; ``name`` is that of its position."""
    found = db.execute("SELECT value FROM driver WHERE name = ?", (name,)).fetchone()
    ids = db.execute("SELECT id FROM seen ORDER BY number").fetchall()
    return Restored(as_bytes(found[0]) if found else b"", tuple(str(id_) for (id_,) in ids))


def advance(db: sqlite3.Connection, name: str, state: bytes | None, seen: Sequence[str]) -> None:
    """Store a route's position (None: unchanged) and ids; the oldest ids are deleted."""
    if state is not None:
        db.execute("INSERT OR REPLACE INTO driver VALUES (?, ?)", (name, state))
    if seen:
        db.executemany("INSERT OR REPLACE INTO seen (id) VALUES (?)", ((id_,) for id_ in seen))
        db.execute("DELETE FROM seen WHERE number <= (SELECT MAX(number) FROM seen) - ?", (_SEEN,))


def windows(db: sqlite3.Connection) -> bytes:
    """Return the state of the reply windows, b"" for none."""
    found = db.execute("SELECT value FROM driver WHERE name = 'windows'").fetchone()
    return as_bytes(found[0]) if found else b""


def note_windows(db: sqlite3.Connection, kept: bytes) -> None:
    """Store the state of the reply windows, in the transaction of what changed it; b"" for a route without."""
    if kept:
        db.execute("INSERT OR REPLACE INTO driver VALUES ('windows', ?)", (kept,))


def identities(db: sqlite3.Connection) -> dict[int, int]:
    """Return numbers by mark, those learned first coming first."""
    rows = db.execute("SELECT mark, number FROM identities ORDER BY learned").fetchall()
    return {as_int(mark) + _SIGN: as_int(number) for mark, number in rows}


def learn(db: sqlite3.Connection, marks: Mapping[int, int], limit: int) -> None:
    """Store numbers by mark; beyond ``limit`` marks those that were learned first go."""
    (last,) = db.execute("SELECT COALESCE(MAX(learned), 0) FROM identities").fetchone()
    db.executemany(
        "INSERT OR REPLACE INTO identities VALUES (?, ?, ?)",
        ((mark - _SIGN, number, last + count) for count, (mark, number) in enumerate(marks.items(), 1)),
    )
    (number,) = db.execute("SELECT COUNT(*) FROM identities").fetchone()
    if number > limit:
        oldest = "SELECT mark FROM identities ORDER BY learned LIMIT ?"
        db.execute(f"DELETE FROM identities WHERE mark IN ({oldest})", (number - limit,))  # noqa: S608 - a constant
