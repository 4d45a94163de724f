"""Queued sends whose rows are lost to damage: kept without what is lost, so that the queue reports how they ended.

A send is still known by an index, or by a request that waits for its result. Only a send that had not been passed to
WeChat, as far as its row can be read, is reported as not sent.
"""

import sqlite3
from collections.abc import Callable

from wxcontroller.client.store.tables.values import as_float, as_int

LOST_ROW = -2  # ``attempts_left`` of such a send
# Reads a query in both directions; returns its rows, and whether they are all of them.
Scan = Callable[[str, str], tuple[list[tuple[object, ...]], bool]]
# Those that a row must have, and what they are if they are lost. ``tried``: it may have been sent.
_DEFAULTS: dict[str, object] = {
    "place": 0,
    "time": 0.0,
    "tried": 1.0,
    "login": "",
    "target": "",
    "is_group": 0,
    "content": "",
    "client_id": "",
    "origin": "api",
    "sides": "",
    "parcel": None,
    "request": None,
}
_INDEXES = ("place", "parcel", "request")
# Of the content of a send that is known by its request: there is none of this number.
_NO_CONTENT = -1


def enter(old: sqlite3.Connection, new: sqlite3.Connection, scan: Scan) -> int | None:
    """Add sends that an index of ``old`` has and ``new`` lacks; return their number, None if more may be lost.

    A queue that runs has them in memory, and ends them by their number.
    """
    there = {as_int(seq) for (seq,) in new.execute("SELECT seq FROM sends")}
    lost: dict[int, dict[str, object]] = {}
    is_complete = False
    for column in _INDEXES:
        rows, is_whole = scan(f"SELECT seq, {column} FROM sends INDEXED BY sends_{column}", f"{column}, seq")  # noqa: S608
        is_complete |= is_whole
        for seq, value in rows:
            if as_int(seq) not in there:
                lost.setdefault(as_int(seq), {})[column] = value
    for seq, known in lost.items():
        _insert(new, {"seq": seq, **known, **_columns(old, seq)})
    if not is_complete:
        new.execute("INSERT OR REPLACE INTO meta VALUES ('sends_lost', '1')")
    return len(lost) if is_complete else None


def enter_requested(db: sqlite3.Connection) -> None:
    """Add the sends of requests without a result and without a send, if a recovery has left some.

    Call it at the start of a process: a queue that runs has its sends in memory.
    """
    if not db.execute("DELETE FROM meta WHERE name = 'sends_lost'").rowcount:
        return
    waiting = db.execute(
        "SELECT key, time, target, text, media FROM requests WHERE (text = '' OR media = '') "
        "AND key NOT IN (SELECT request FROM sends WHERE request IS NOT NULL)"
    ).fetchall()
    for key, time, target, *parts in waiting:
        for part, parcel in zip(parts, (None, _NO_CONTENT), strict=True):
            if part == "":
                _insert(db, {"request": key, "time": as_float(time), "target": target, "parcel": parcel})


def _columns(old: sqlite3.Connection, seq: int) -> dict[str, object]:
    """Return the columns of a row that can be read: those before the damage."""
    found: dict[str, object] = {}
    for name in _DEFAULTS:
        try:
            row = old.execute(f"SELECT {name} FROM sends WHERE seq = ?", (seq,)).fetchone()  # noqa: S608
        except sqlite3.DatabaseError:
            continue
        if row is not None and row[0] is not None:
            found[name] = row[0]
    return found


def _insert(new: sqlite3.Connection, known: dict[str, object]) -> None:
    row = {**_DEFAULTS, **known, "attempts_left": LOST_ROW}
    marks = ", ".join("?" * len(row))
    done = new.execute(f"INSERT INTO sends ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))  # noqa: S608
    # Reports name a send by it.
    new.execute("UPDATE sends SET client_id = 'lost-' || seq WHERE seq = ? AND client_id = ''", (done.lastrowid,))
