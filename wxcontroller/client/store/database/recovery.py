"""Recovery of a damaged database: its readable rows are copied into a new file with the same identity.

Damage is rare and partial: a torn page after a power cut, a bad sector, a file system that lost a write. SQLite then
refuses the affected pages, and all other rows are still valid. So a damaged file is not discarded:

1. Its rows are copied into ``NAME.new``, table by table, in one transaction. Where a row cannot be read, the ones
   around it are looked up one by one.
2. The old file and its write-ahead log are renamed to ``NAME.damaged-TIME`` and kept for inspection. The log matters:
   until a checkpoint it holds everything that was committed last, even when the main file is garbage.
3. ``NAME.new`` is renamed to ``NAME``.

A file that was shortened is read up to its end. A queued send whose row is lost, but not the index entry, is kept
without its content, so that the queue reports how it ended. Losses whose number no page contains are unknown.

A kill at any point is continued by ``finish_interrupted`` at the next start, or by finding the damage again.

The new file keeps the name of the log and its sequences, so cursors of running readers, of the delivery and of
clients stay valid, and a report that is delivered again carries the id it had. If the name or the last sequence
cannot be read, the sequences continue at the present time in seconds since 1970: that is more than a log that began
at 1 has reached, so ``X-Wx-Sequence`` never decreases.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wxcontroller.client.store.tables import generations, history, lostsends
from wxcontroller.client.store.tables.values import as_int, text_of
from wxcontroller.core.files.atomic import sync

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
class Rescued:
    """The number of rows saved, of open events that are lost, and of sends whose content is lost.

    None: some may be lost, but their number is unknown.
    """

    rows: int
    lost: int | None
    sends: int | None


@dataclass(frozen=True, slots=True)
class RecoveryResult(Rescued):
    """The result, and where the damaged file is now."""

    aside: Path

    def __str__(self) -> str:
        lost = "an unknown number of" if self.lost is None else f"at most {self.lost}"
        sends = "an unknown number of" if self.sends is None else self.sends
        return (
            f"{self.rows} rows were moved into a new one, {lost} undelivered reports and the content of {sends} "
            f"queued sends are lost; the damaged file is kept as {self.aside}"
        )


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
    files = generations.identity(path), generations.identity(fresh)
    with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as new:
        new.execute("PRAGMA synchronous=FULL")
        new.execute("PRAGMA auto_vacuum=INCREMENTAL")
        for number, statements in enumerate(schema, 1):
            new.executescript(f"BEGIN; {statements}; PRAGMA user_version={number}; COMMIT")
        new.execute("BEGIN IMMEDIATE")
        found = copy_readable(new, path, state)
        generations.renew(new, *files)
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
    return RecoveryResult(found.rows, found.lost, found.sends, aside)


def copy_readable(new: sqlite3.Connection, path: Path, state: KnownLog) -> Rescued:
    """Copy what can be read."""
    new.execute("DELETE FROM meta")
    with contextlib.closing(sqlite3.connect(readonly(path), uri=True)) as old:
        old.text_factory = text_of
        # Otherwise SQLite reads nothing from a file with fewer pages than its header names.
        old.execute("PRAGMA writable_schema=ON")
        tables = _tables(new)
        copied = {table: _copy(old, new, table, state.last) for table in tables}
        expected = state.waiting if state.name else _expected(old)
        sequences = {str(name): as_int(seq) for name, seq in readable(old, "SELECT name, seq FROM sqlite_sequence")}
        sends = lostsends.enter(old, new, partial(_scan, old))
    name = new.execute("SELECT value FROM meta WHERE name = 'name'").fetchone()
    # The process may have a name that the file has lost: ids in running readers begin with it.
    if state.name:
        new.execute("INSERT OR REPLACE INTO meta VALUES ('name', ?)", (state.name,))
    elif name is None:
        new.execute("INSERT INTO meta VALUES ('name', lower(hex(randomblob(4))))")
    new.execute("INSERT OR IGNORE INTO meta VALUES ('dropped', '0')")
    continue_sequences(new, sequences, state, is_known=bool(state.name or (name and "events" in sequences)))
    if "messages" in tables:
        history.restore(new)
    marks = ", ".join("?" * len(_OPEN))
    (saved,) = new.execute(f"SELECT COUNT(*) FROM events WHERE state IN ({marks})", _OPEN).fetchone()  # noqa: S608
    # At most: one of them may have been posted just before, without its result in the file.
    lost = 0 if copied["events"].is_complete else None if expected is None else max(0, expected - saved)
    now = str(int(time.time()))
    new.execute("INSERT OR REPLACE INTO meta VALUES ('damaged_at', ?)", (now,))
    if lost != 0:
        # An unknown number, perhaps none, is reported by the time only.
        new.execute("UPDATE meta SET value = CAST(value AS INTEGER) + ? WHERE name = 'dropped'", (lost or 0,))
        new.execute("INSERT OR REPLACE INTO meta VALUES ('dropped_at', ?)", (now,))
    if copied["sends"].is_complete:
        sends = sends or 0
    return Rescued(sum(table.rows for table in copied.values()), lost, sends)


def _expected(old: sqlite3.Connection) -> int | None:
    """Return the number of open events in the old file's tally, None if it is unreadable."""
    tally = {str(state): number for state, number in readable(old, "SELECT state, number FROM tally")}
    numbers = [tally.get(state) for state in _OPEN]
    return None if None in numbers else sum(max(0, as_int(number)) for number in numbers)


def continue_sequences(new: sqlite3.Connection, old: dict[str, int], state: KnownLog, is_known: bool) -> None:
    """Ensure that no sequence is used twice."""
    counted = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'"
    for (table,) in new.execute(counted).fetchall():
        (highest,) = new.execute(f"SELECT COALESCE(MAX(rowid), 0) FROM {table}").fetchone()  # noqa: S608
        last = max(as_int(highest), old.get(table, 0))
        if table == "events":
            last = max(last, state.last, 0 if is_known else int(time.time()))
        # ``AUTOINCREMENT`` continues after the number in this table, even if the rows up to it are lost.
        new.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        new.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, last))


def _tables(db: sqlite3.Connection) -> list[str]:
    """Return the tables to copy. The tally is kept by triggers, so it is counted again."""
    found = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").fetchall()
    return [str(name) for (name,) in found if name != "tally"]


@dataclass(slots=True)
class _TableCopy:
    """Rows of a table that were copied. ``is_complete``: there were no others."""

    rows: int = 0
    is_complete: bool = False


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, table: str, last: int) -> _TableCopy:
    """Copy a table's readable rows, by the columns that both have."""
    copied = _TableCopy()
    wanted = {str(row[1]) for row in new.execute(f"PRAGMA table_info({table})")}
    there = list(readable(old, f"PRAGMA table_info({table})"))
    columns = [str(row[1]) for row in there if str(row[1]) in wanted]
    if not columns:
        return copied
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))

    def keep(row: Sequence[object]) -> None:
        with contextlib.suppress(sqlite3.IntegrityError):  # damaged into a duplicate, or into NULL
            new.execute(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", row)  # noqa: S608
            copied.rows += 1

    # By the new file: in the old one, the rows found could be those of a damaged index.
    if any(True for _ in readable(new, f"SELECT MAX(rowid) FROM {table}")):  # noqa: S608
        copied.is_complete = _by_rowid(old, table, names, last, keep)
        return copied
    key = ", ".join(str(row[1]) for row in there if row[5])
    rows, copied.is_complete = _scan(old, f"SELECT {names} FROM {table}", key)  # noqa: S608
    for row in rows:
        keep(row)
    return copied


def _scan(old: sqlite3.Connection, query: str, order: str) -> tuple[list[tuple[object, ...]], bool]:
    """Return a query's readable rows from both ends of an index, and whether they are all."""
    backwards = ", ".join(f"{column} DESC" for column in order.split(", "))
    rows: dict[tuple[object, ...], None] = {}
    for each in (order, backwards):
        number = 0
        try:
            for row in old.execute(f"{query} ORDER BY {each}"):
                rows[row] = None
                number += 1
        except sqlite3.DatabaseError:
            # sqlite3 reads one row ahead: of the row before the damage it returns the error.
            rows.update(dict.fromkeys(readable(old, f"{query} ORDER BY {each} LIMIT 1 OFFSET ?", number)))
        else:
            return [*rows], True
    return [*rows], False


def _by_rowid(
    old: sqlite3.Connection, table: str, names: str, last: int, keep: Callable[[Sequence[object]], None]
) -> bool:
    """Keep the readable rows: from the front up to damage, from the back down to damage, then one by one between.

    Return whether there are no others. Those between are looked up by an index, or else by counting.
    """
    low = high = 0
    try:
        for rowid, *values in old.execute(f"SELECT rowid, {names} FROM {table} WHERE rowid > 0 ORDER BY rowid"):  # noqa: S608
            low = as_int(rowid)
            keep(values)
    except sqlite3.DatabaseError:
        pass
    else:
        return True
    backwards = f"SELECT rowid, {names} FROM {table} WHERE rowid > ? ORDER BY rowid DESC"  # noqa: S608
    for rowid, *values in readable(old, backwards, low):
        high = as_int(rowid)
        keep(values)
    if not high:
        # Of the damaged rows at the end.
        sequence = readable(old, "SELECT seq FROM sqlite_sequence WHERE name = ?", table)
        high = max([last if table == "events" else 0, *(as_int(seq) for (seq,) in sequence)]) + 1
    between: Iterable[int] = range(low + 1, min(high, low + _LOOK_UPS))
    for _, index, _, _, is_partial in readable(old, f"PRAGMA index_list({table})"):
        if not is_partial:
            # It has all rows, without gaps: numbers jump after a restore.
            found, is_complete = _scan(old, f"SELECT rowid FROM {table} INDEXED BY {index}", "rowid")  # noqa: S608
            if is_complete:
                between = [as_int(rowid) for (rowid,) in found if low < as_int(rowid) < high]
                break
    for rowid in between:
        for row in readable(old, f"SELECT {names} FROM {table} WHERE rowid = ?", rowid):  # noqa: S608
            keep(row)
    return False


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
