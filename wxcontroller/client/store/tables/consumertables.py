"""The tables of the iLink API: consumers with their positions, the ids that people and groups have in it, and a key.

Imported with the first request for that API.
"""

import json
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from wxcontroller.client.store.tables.values import as_int
from wxcontroller.core.jsontypes import JsonObject, kept_json

_KEY = "ilink_key"  # in meta
# As long as the digests by which ``client.ilink.sealing`` derives its keys.
_KEY_BYTES = 32
# Ids that are valid for one login accumulate with each login; the oldest are deleted.
MAX_NAMES = 50_000
# Counted at each status query, among this many entries: with busy groups, few of them are for the consumer.
MAX_BEHIND = 10_000
MAX_LOOKED_AT = 50_000


@dataclass(frozen=True, slots=True)
class ConsumerRow:
    """A stored consumer. ``position`` is the acknowledged sequence in ``log``, -1 before its first poll."""

    name: str
    bot_id: str
    options: JsonObject
    log: str
    position: int
    facts: JsonObject


def consumers(db: sqlite3.Connection) -> list[ConsumerRow]:
    """Return all consumers by name."""
    rows = db.execute("SELECT name, bot_id, options, log, position, facts FROM consumers ORDER BY name").fetchall()
    return [
        ConsumerRow(str(name), str(bot_id), kept_json(options), str(log), as_int(position), kept_json(facts))
        for name, bot_id, options, log, position, facts in rows
    ]


def keep_consumer(db: sqlite3.Connection, row: ConsumerRow) -> None:
    """Insert or replace a consumer."""
    values = (row.name, row.bot_id, json.dumps(row.options), row.log, row.position, json.dumps(row.facts))
    db.execute(
        "INSERT OR REPLACE INTO consumers (name, bot_id, options, log, position, facts) VALUES (?, ?, ?, ?, ?, ?)",
        values,
    )


def delete_consumer(db: sqlite3.Connection, name: str) -> None:
    db.execute("DELETE FROM consumers WHERE name = ?", (name,))


def key(db: sqlite3.Connection) -> bytes:
    """Return the account's sealing key, b"" if it is missing or damaged."""
    found = db.execute("SELECT value FROM meta WHERE name = ?", (_KEY,)).fetchone()
    try:
        made = bytes.fromhex(str(found[0])) if found else b""
    except ValueError:
        made = b""
    return made if len(made) == _KEY_BYTES else b""


def make_key(db: sqlite3.Connection) -> bytes:
    """Store a new key and return it; content sealed with another key can no longer be opened."""
    made = secrets.token_bytes(_KEY_BYTES)
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, made.hex()))
    return made


def peer_ids(db: sqlite3.Connection) -> dict[str, str]:
    """Return the iLink ids of people and groups, by the marks that identify them."""
    return {str(mark): str(peer) for mark, peer in db.execute("SELECT mark, id FROM peer_ids ORDER BY number")}


def keep_peer_ids(db: sqlite3.Connection, learned: Mapping[str, str]) -> None:
    """Store ids by mark."""
    db.executemany("INSERT OR REPLACE INTO peer_ids (mark, id) VALUES (?, ?)", learned.items())
    db.execute("DELETE FROM peer_ids WHERE number <= (SELECT MAX(number) FROM peer_ids) - ?", (MAX_NAMES,))


def behind(db: sqlite3.Connection, after: int, with_groups: bool) -> int:
    """Return how many messages of people are in the log after a sequence.

    They are at most ``MAX_BEHIND``, of the ``MAX_LOOKED_AT`` entries after it.
    """
    (found,) = db.execute(
        "SELECT COUNT(*) FROM (SELECT 1 FROM (SELECT key, type FROM events WHERE seq > ? ORDER BY seq LIMIT ?) "
        "WHERE key IS NOT NULL AND (type = 'friend_message' OR (? AND type = 'group_message')) LIMIT ?)",
        (after, MAX_LOOKED_AT, with_groups, MAX_BEHIND),
    ).fetchone()
    return as_int(found)
