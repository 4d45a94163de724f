"""Recovery of a damaged database: its readable rows are copied into a new file with the same identity.

Damage is rare and partial: a torn page after a power cut, a bad sector, a file system that lost a write. SQLite then
refuses the affected pages, and all other rows are still valid. So a damaged file is not discarded:

1. Its rows are copied into ``NAME.new``, table by table, in one transaction. Where a row cannot be read, the ones
   around it are looked up one by one.
2. The old file and its write-ahead log are renamed to ``NAME.damaged-TIME`` and kept for inspection. The log matters:
   until a checkpoint it holds everything that was committed last, even when the main file is garbage.
3. ``NAME.new`` is renamed to ``NAME``.

A kill at any point is continued by ``finish_interrupted`` at the next start, or by finding the damage again.

The new file keeps the name of the log and its sequences, so cursors of running readers, of the delivery and of
clients stay valid, and a report that is delivered again carries the id it had. If not even the name can be read, the
sequences continue at the present time in seconds since 1970: that is more than a log that began at 1 has reached, so
``X-Wx-Sequence`` never decreases.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wxcontroller.client.store import history
from wxcontroller.client.store.values import as_int, text_of
from wxcontroller.core.files import sync

# Number of sets of damaged files to keep. They contain messages, and a bad disk could produce many.
_KEPT_SETS = 3
# Rows looked up one by one around damage; beyond it, the effort is not justified.
_LOOK_UPS = 2_000_000
_OPEN = ("held", "pending")  # states of events that are still to be delivered


@dataclass(frozen=True, slots=True)
class KnownLog:
    """The process's knowledge of the log before the damage: its name, last sequence, and number of open events."""

    name: str = ""
    last: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class RecoveryResult:
    """The result: where the damaged file is now, the number of rows saved, and of open events that are lost."""

    aside: Path
    rows: int
    lost: int


def readonly(path: Path) -> str:
    """Return the URI that opens a database, and never changes it or its write-ahead log."""
    quoted = os.fspath(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return f"file:{quoted}?mode=ro"


def finish_interrupted(path: Path) -> None:
    """Complete a recovery that was killed between its renames. Raises OSError."""
    fresh = _fresh(path)
    # The rename of the damaged file did not happen, or all is done: in both cases ``NAME.new`` is not needed.
    if path.exists():
        fresh.unlink(missing_ok=True)  # killed while it was filled; the damage is still there to be found
        return
    if fresh.exists():
        # Killed between the two renames. With the fresh file, SQLite would replay the log of the damaged one into it.
        stale = sibling(path, "-wal")
        if stale.exists():
            stale.rename(sibling(_aside(path), "-wal"))
        fresh.rename(path)
        sync(path.parent)


def recover(path: Path, schema: Sequence[str], state: KnownLog) -> RecoveryResult:
    """Replace the damaged database at ``path``, which must not be open elsewhere.

    Raises OSError or sqlite3.DatabaseError when the new file cannot be written; the damaged one is untouched then.
    """
    fresh = _fresh(path)
    fresh.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as new:
        fresh.chmod(0o600)
        new.execute("PRAGMA synchronous=FULL")
        new.execute("PRAGMA auto_vacuum=INCREMENTAL")
        for number, statements in enumerate(schema, 1):
            new.executescript(f"BEGIN; {statements}; PRAGMA user_version={number}; COMMIT")
        new.execute("BEGIN IMMEDIATE")
        rows, lost = copy_readable(new, path, state)
        new.execute("COMMIT")
    # The old file is changed only now: an earlier failure leaves it intact. The rescued rows are synced (FULL).
    aside = _aside(path)
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            sibling(path, suffix).rename(sibling(aside, suffix))
    fresh.rename(path)
    # A rename is durable with its directory; without it a power cut could leave the account without any log.
    sync(path.parent)
    forget_old_sets(path)
    return RecoveryResult(aside, rows, lost)


def copy_readable(new: sqlite3.Connection, path: Path, state: KnownLog) -> tuple[int, int]:
    """Copy what can be read; return the number of rows, and of open events that are lost."""
    new.execute("DELETE FROM meta")
    with contextlib.closing(sqlite3.connect(readonly(path), uri=True)) as old:
        old.text_factory = text_of
        # The process' own count is more reliable than a tally on a damaged page, but does not exist before the first
        # commit.
        expected = max(state.waiting, _expected(old))
        tables = _tables(new)
        rows = sum(_copy(old, new, table, state.last) for table in tables)
        sequences = {str(name): as_int(seq) for name, seq in readable(old, "SELECT name, seq FROM sqlite_sequence")}
    name = new.execute("SELECT value FROM meta WHERE name = 'name'").fetchone()
    # The process may have a name that the file has lost: ids in running readers begin with it.
    if state.name:
        new.execute("INSERT OR REPLACE INTO meta VALUES ('name', ?)", (state.name,))
    elif name is None:
        new.execute("INSERT INTO meta VALUES ('name', lower(hex(randomblob(4))))")
    new.execute("INSERT OR IGNORE INTO meta VALUES ('dropped', '0')")
    continue_sequences(new, sequences, state, named=bool(state.name or name))
    if "messages" in tables:
        history.restore(new)
    marks = ", ".join("?" * len(_OPEN))
    (saved,) = new.execute(f"SELECT COUNT(*) FROM events WHERE state IN ({marks})", _OPEN).fetchone()  # noqa: S608
    # The number of entries in an unreadable file is unknown: at least one, or the file would not exist.
    lost = max(0, expected - saved) if expected or rows else 1
    now = str(int(time.time()))
    new.execute("INSERT OR REPLACE INTO meta VALUES ('damaged_at', ?)", (now,))
    if lost:
        new.execute("UPDATE meta SET value = CAST(value AS INTEGER) + ? WHERE name = 'dropped'", (lost,))
        new.execute("INSERT OR REPLACE INTO meta VALUES ('dropped_at', ?)", (now,))
    return rows, lost


def _expected(old: sqlite3.Connection) -> int:
    """Return the number of open events in the old file's tally, 0 if it is unreadable."""
    tally = {str(state): as_int(number) for state, number in readable(old, "SELECT state, number FROM tally")}
    return sum(max(0, tally.get(state, 0)) for state in _OPEN)


def continue_sequences(new: sqlite3.Connection, old: dict[str, int], state: KnownLog, named: bool) -> None:
    """Ensure that no sequence is used twice."""
    counted = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'"
    for (table,) in new.execute(counted).fetchall():
        (highest,) = new.execute(f"SELECT COALESCE(MAX(rowid), 0) FROM {table}").fetchone()  # noqa: S608
        last = max(as_int(highest), old.get(table, 0))
        if table == "events":
            last = max(last, state.last, 0 if named else int(time.time()))
        # ``AUTOINCREMENT`` continues after the number in this table, even if the rows up to it are lost.
        new.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        new.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, last))


def _tables(db: sqlite3.Connection) -> list[str]:
    """Return the tables to copy. The tally is kept by triggers, so it is counted again."""
    found = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").fetchall()
    return [str(name) for (name,) in found if name != "tally"]


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, table: str, last: int) -> int:
    """Copy a table's readable rows, by the columns that both have; return how many."""
    wanted = {str(row[1]) for row in new.execute(f"PRAGMA table_info({table})")}
    there = [str(row[1]) for row in readable(old, f"PRAGMA table_info({table})")]
    columns = [name for name in there if name in wanted]
    if not columns:
        return 0
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    by_rowid = any(True for _ in readable(old, f"SELECT rowid FROM {table} LIMIT 1"))  # noqa: S608
    found = _by_rowid(old, table, names, last) if by_rowid else readable(old, f"SELECT {names} FROM {table}")  # noqa: S608
    number = 0
    for row in found:
        with contextlib.suppress(sqlite3.IntegrityError):  # damaged into a duplicate, or into NULL
            new.execute(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", row)  # noqa: S608
            number += 1
    return number


def _by_rowid(old: sqlite3.Connection, table: str, names: str, last: int) -> Iterator[tuple[object, ...]]:
    """Yield the readable rows: from the front up to damage, from the back down to damage, then one by one between."""
    low = high = 0
    try:
        for rowid, *values in old.execute(f"SELECT rowid, {names} FROM {table} WHERE rowid > 0 ORDER BY rowid"):  # noqa: S608
            low = as_int(rowid)
            yield tuple(values)
    except sqlite3.DatabaseError:
        pass
    else:
        return
    backwards = f"SELECT rowid, {names} FROM {table} WHERE rowid > ? ORDER BY rowid DESC"  # noqa: S608
    for rowid, *values in readable(old, backwards, low):
        high = as_int(rowid)
        yield tuple(values)
    if not high:
        sequence = readable(old, "SELECT seq FROM sqlite_sequence WHERE name = ?", table)
        high = max([last if table == "events" else 0, *(as_int(seq) for (seq,) in sequence)]) + 1
    for rowid in range(low + 1, min(high, low + _LOOK_UPS)):
        yield from readable(old, f"SELECT {names} FROM {table} WHERE rowid = ?", rowid)  # noqa: S608


def readable(db: sqlite3.Connection, statement: str, *values: object) -> Iterator[tuple[object, ...]]:
    """Yield a statement's rows up to the first that cannot be read."""
    with contextlib.suppress(sqlite3.DatabaseError):
        yield from db.execute(statement, values)


def _fresh(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def sibling(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _aside(path: Path) -> Path:
    """Return a free name for the damaged file; of two within a second the later one is counted on."""
    stamp = int(time.time())
    while (found := path.with_name(f"{path.name}.damaged-{stamp}")).exists():
        stamp += 1
    return found


def forget_old_sets(path: Path) -> None:
    sets = sorted(found for found in path.parent.glob(f"{path.name}.damaged-*") if found.name[-1].isdigit())
    for old in sets[:-_KEPT_SETS]:
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                sibling(old, suffix).unlink()
