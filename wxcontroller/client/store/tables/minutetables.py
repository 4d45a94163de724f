"""The tables of the account's last minutes and hours, and all SQL on them.

Messages are counted by their events: one query per minute over the events since the previous one costs a
busy account less than counting each message.
"""

import sqlite3

from wxcontroller.client.store.tables.eventtables import MESSAGES, last
from wxcontroller.client.store.tables.values import as_int
from wxcontroller.core.heartbeats import HOURS, MINUTES, Heartbeats

SCHEMA = """
    CREATE TABLE minutes (minute INTEGER PRIMARY KEY, running INTEGER NOT NULL, last INTEGER NOT NULL);
    CREATE TABLE hours (hour INTEGER PRIMARY KEY, messages INTEGER NOT NULL);
"""


def note_minute(db: sqlite3.Connection, minute: int, running: bool) -> Heartbeats:
    """Store a minute, counted since 1970, and the messages since the one before; return the last ones."""
    hour, newest = minute // 60, last(db)
    found = db.execute("SELECT last FROM minutes ORDER BY minute DESC LIMIT 1").fetchone()
    (messages,) = db.execute(
        "SELECT COUNT(*) FROM events WHERE seq > ? AND type IN (?, ?)",
        (as_int(found[0]) if found else newest, *MESSAGES),
    ).fetchone()
    # A clock that was set back leaves minutes in the future; they would be shown as if they were the present.
    db.execute("DELETE FROM minutes WHERE minute NOT BETWEEN ? AND ?", (minute - MINUTES, minute))
    db.execute("DELETE FROM hours WHERE hour NOT BETWEEN ? AND ?", (hour - HOURS, hour))
    db.execute("INSERT OR REPLACE INTO minutes VALUES (?, ?, ?)", (minute, int(running), newest))
    db.execute(
        "INSERT INTO hours VALUES (?, ?) ON CONFLICT (hour) DO UPDATE SET messages = messages + excluded.messages",
        (hour, messages),
    )
    return Heartbeats.of(
        minute,
        {as_int(each): bool(as_int(on)) for each, on in db.execute("SELECT minute, running FROM minutes")},
        {as_int(each): as_int(number) for each, number in db.execute("SELECT hour, messages FROM hours")},
    )
