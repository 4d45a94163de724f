"""The index of messages: which events are messages, their chats, and the sends of our own.

The event log is the history; this table says where in it to look, so that a page of a chat is a few look-ups however
long the log is. A row is written in the transaction that adds its event and goes with it. Rows hold no content: the
text of a message is read from its report.

Chats are named by lasting ids (``openwx.contract.objects.lasting_id``) where the report has one. Earlier messages of
a person who was recognised later are under an id of one login; readers query both.
"""

# ruff: noqa: S608 - only column names and placeholders are interpolated, never values

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from wxcontroller.client.store.tables import eventtables
from wxcontroller.client.store.tables.eventtables import NOTICE
from wxcontroller.client.store.tables.values import as_bytes, as_float, as_int
from wxcontroller.core.jsontypes import JsonObject, integer, kept_json, text
from wxcontroller.openwx.contract.objects import lasting_id

SCHEMA = """
    CREATE TABLE messages (
        seq INTEGER PRIMARY KEY,
        chat TEXT NOT NULL,
        send TEXT NOT NULL DEFAULT '',
        verdict TEXT NOT NULL DEFAULT ''
    );
    CREATE INDEX messages_chat ON messages (chat, seq);
    CREATE INDEX messages_send ON messages (send) WHERE send != '';
    CREATE TRIGGER events_forgotten AFTER DELETE ON events BEGIN DELETE FROM messages WHERE seq = old.seq; END;
    ALTER TABLE sends ADD COLUMN quote TEXT NOT NULL DEFAULT '';
    INSERT OR REPLACE INTO meta VALUES ('unindexed', (SELECT COALESCE(MAX(seq), 0) FROM events))
"""
_TYPES = ("friend_message", "group_message", "group_notice")
_MARKS = ", ".join("?" * len(_TYPES))
_COLUMNS = f"m.seq, m.chat, m.send, m.verdict, e.time, e.type, e.source = '{NOTICE}', e.body"
_FROM = "FROM messages m JOIN events e ON e.seq = m.seq"
_MAX_SEQUENCE = (1 << 63) - 1
RECALLED = "recalled"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Indexed:
    """An event in the index. ``send`` is the id of a send of ours, "" for other messages.

    ``verdict`` is how that ended: a SendState, and a Cause or ``recalled`` after a space, "" when it is not known.
    """

    chat: str
    send: str = ""
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A message: its place in the index, and its report. ``time`` is when it was logged.

    ``is_notice``: WeChat's notice; in a group its ``type`` shows it.
    """

    seq: int
    indexed: Indexed
    time: float
    type: str
    is_notice: bool
    report: JsonObject


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Messages in order, and whether there are more in the direction of reading."""

    found: Sequence[Found]
    more: bool


def indexed(report: JsonObject, verdict: str = "") -> Indexed | None:
    """Return the index entry of a report, None if it is not a message."""
    kind, own = report.get("type"), report.get("post_type") == "send_message"
    if report.get("post_type") == "event" or kind not in _TYPES:
        return None
    role = "group" if kind != "friend_message" else "receiver" if own else "sender"
    chat = lasting_id(text(report.get(f"{role}_id")), report.get(f"{role}_uid"))
    if not chat:
        return None
    if report.get("source") != "local":
        return Indexed(chat)
    return Indexed(chat, text(report.get("uid")), verdict or verdict_of(report))


def verdict_of(report: JsonObject) -> str:
    """Return the result of an own send, as far as its report contains it."""
    if state := text(report.get("state")):
        return f"{state} {text(report.get('refusal'))}".strip()
    code = integer(report.get("code"))
    if code == 0:
        return "delivered" if ":" in text(report.get("id")) else "accepted"
    # This code means a refusal or a lost answer: if in doubt, check the phone.
    return "unknown" if code == -1 else "refused"


def add(db: sqlite3.Connection, seq: int, found: Indexed | None) -> None:
    """Index the event that was added as ``seq``, 0 for none."""
    if seq and found is not None:
        values = (seq, found.chat, found.send, found.verdict)
        db.execute("INSERT OR IGNORE INTO messages (seq, chat, send, verdict) VALUES (?, ?, ?, ?)", values)


def note_recall(db: sqlite3.Connection, seq: int) -> None:
    """Note that a message was taken back."""
    db.execute("UPDATE messages SET verdict = ? WHERE seq = ?", (f"delivered {RECALLED}", seq))


def page(db: sqlite3.Connection, chats: Sequence[str], before: int, after: int | None, limit: int) -> HistoryPage:
    """Return the ``limit`` messages next to a sequence, of all chats or of one by its ids.

    They are those before ``before`` (0: the newest), or with ``after`` those after that.
    """
    least, below = (
        (after, visible_before(db)) if after is not None else (0, min(before or _MAX_SEQUENCE, visible_before(db)))
    )
    order = "ASC" if after is not None else "DESC"
    messages: list[Found] = []
    for which, value in [("m.chat = ?", chat) for chat in chats] or [("? = ''", "")]:
        rows = db.execute(
            f"SELECT {_COLUMNS} {_FROM} WHERE {which} AND m.seq > ? AND m.seq < ? ORDER BY m.seq {order} LIMIT ?",
            # One more than requested, to know whether there are more.
            (value, least, below, limit + 1),
        )
        messages += [_found(row) for row in rows]
    messages.sort(key=lambda entry: entry.seq, reverse=after is None)
    wanted = messages[:limit]
    wanted.sort(key=lambda entry: entry.seq)
    return HistoryPage(wanted, len(messages) > limit)


def chats(db: sqlite3.Connection) -> list[tuple[str, int]]:
    """Return each chat with the sequence of its last message, with one look-up per chat."""
    found = db.execute(
        "WITH RECURSIVE each(chat) AS (SELECT MIN(chat) FROM messages UNION ALL "
        "SELECT (SELECT MIN(chat) FROM messages WHERE chat > each.chat) FROM each WHERE each.chat IS NOT NULL) "
        "SELECT chat, (SELECT MAX(seq) FROM messages m WHERE m.chat = each.chat AND m.seq < ?) FROM each "
        "WHERE chat IS NOT NULL",
        (visible_before(db),),
    )
    return [(str(chat), as_int(last)) for chat, last in found if last is not None]


def at(db: sqlite3.Connection, seqs: Sequence[int]) -> list[Found]:
    """Return the existing messages of these sequences, in any order."""
    messages: list[Found] = []
    for seq in seqs:
        messages += [_found(row) for row in db.execute(f"SELECT {_COLUMNS} {_FROM} WHERE m.seq = ?", (seq,))]
    return messages


def seq_of(db: sqlite3.Connection, identifier: str) -> int:
    """Return the sequence of an event by any of its ids, 0 for none.

    A message has its own id, that of a send of ours or WeChat's, and those of its event and of the event's delivery.
    """
    if seq := eventtables.seq_of(db, identifier):
        return seq
    for which in ("messages WHERE send = ? AND send != ''", "events WHERE key = ?"):
        row = db.execute(f"SELECT seq FROM {which} LIMIT 1", (identifier,)).fetchone()
        if row is not None:
            return as_int(row[0])
    return 0


def by_id(db: sqlite3.Connection, identifier: str) -> Found | None:
    """Return a message by any of its ids."""
    return next(iter(at(db, [seq_of(db, identifier)])), None)


def restore(db: sqlite3.Connection) -> None:
    """Repair the index of a rescued file: delete rows without events, and add missing rows of events."""
    db.execute("DELETE FROM messages WHERE seq NOT IN (SELECT seq FROM events)")
    lost = db.execute(
        f"SELECT e.seq, e.body FROM events e WHERE e.type IN ({_MARKS}) "
        "AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.seq = e.seq)",
        _TYPES,
    )
    for seq, body in lost:
        add(db, as_int(seq), indexed(kept_json(as_bytes(body))))


def visible_before(db: sqlite3.Connection) -> int:
    """Return the sequence below which events are visible: that of the first one that is held."""
    (held,) = db.execute("SELECT MIN(seq) FROM events WHERE state = 'held'").fetchone()
    return _MAX_SEQUENCE if held is None else as_int(held)


def _found(row: tuple[object, ...]) -> Found:
    seq, chat, send, verdict, time, kind, is_notice, body = row
    place = Indexed(str(chat), str(send), str(verdict))
    return Found(as_int(seq), place, as_float(time), str(kind), bool(is_notice), kept_json(as_bytes(body)))
