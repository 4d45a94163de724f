"""The event log: damaged files of it, what is asked of it, and the streams that accounts make of it."""

import asyncio
import contextlib
import json
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from tests.fuzz.corpus import recorded
from tests.fuzz.target import LONG, NotJson, Target, fit, joined, json_of, parts, texts
from wxcontroller.client.consult import reply_after
from wxcontroller.client.deliveries.bodies import prepare
from wxcontroller.client.sends.idempotency import fingerprint_of, key_of
from wxcontroller.client.sends.model import Media, Part, Request, Send
from wxcontroller.client.sends.pacer import Pacer
from wxcontroller.client.store import events, expiry, sendrows, sends
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.events import Entry, EntryState, Selection
from wxcontroller.client.store.expiry import RetentionLimits
from wxcontroller.client.store.media import (
    Way,
    media_from_json,
    recall,
    received_from_json,
    remember,
    upload_from_json,
)
from wxcontroller.client.store.schema import SCHEMA
from wxcontroller.client.store.values import text_of
from wxcontroller.client.v1.answers import RequestRefused
from wxcontroller.client.v1.deliveries import _shown
from wxcontroller.client.v1.events import Events
from wxcontroller.client.v1.inputs import answer_of
from wxcontroller.client.v1.selecting import chosen, number_of, states_of
from wxcontroller.controller.account_port.hub import event_of
from wxcontroller.controller.account_port.status import Answer
from wxcontroller.controller.units import UnitRecord
from wxcontroller.controller.v1.cursor import CURSOR_LENGTH, BadCursor, Cursor
from wxcontroller.controller.v1.cursor import parse as parse_cursor
from wxcontroller.controller.v1.deliveries import row
from wxcontroller.controller.view import View
from wxcontroller.core.account import Account
from wxcontroller.core.eventlines import events_in
from wxcontroller.core.jsontypes import JsonObject, kept_json, obj, read_json
from wxcontroller.core.model import MessageKind
from wxcontroller.core.names import parse_name
from wxcontroller.core.states import UnitState
from wxcontroller.core.targets import Targets
from wxcontroller.core.urls import url_of
from wxcontroller.openwx.media import MediaFacts
from wxcontroller.openwx.parameters import BadParameter
from wxcontroller.openwx.replies import to_bytes

_LOOP = asyncio.new_event_loop()
_TABLES = ("events", "sends", "parcels", "send_days", "requests", "media_index", "meta", "tally")
_NAME = "0badcafe"


class _Read(EventLog):
    """A log of which only what readers ask is there."""

    def __init__(self, db: sqlite3.Connection) -> None:
        super().__init__(Path("nowhere"))
        self._db = db

    async def shown(self, where: Selection, limit: int, most_body: int = events.ANY_SIZE) -> list[Entry]:
        return events.shown(self._db, where, limit, most_body)

    async def seqs(self, entry_ids: Sequence[str]) -> list[int]:
        return [events.seq_of(self._db, one) for one in entry_ids]


def _empty() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute("PRAGMA page_size=512")
    for statements in SCHEMA:
        db.executescript(statements)
    db.execute("UPDATE meta SET value = ? WHERE name = 'name'", (_NAME,))
    return db


def _filled(rows: Sequence[Sequence[object]]) -> sqlite3.Connection:
    """A log with rows as they are given: a table, a row's number, a column and its value."""
    db = _empty()
    events.insert(db, "friend_message", "1", _REPORT, EntryState.PENDING, "/a/b", "{}")
    events.insert(db, "friend_message", "2", _REPORT, EntryState.HELD, source='{"kind": "image", "id": "7"}')
    request = Request("key", "f", "send_friend_message", None, "@ann", {Part.TEXT: {}})
    one = (1.0, 0.0, "@me", "@ann", 0, "hi", "17", 5, "api", '{"receiver": "Ann"}', "key", 0, 0.0, "web", 0, "", 0)
    content = ('{"media_path": "/a"}', "/a", '{"kind": "image", "has_file": true}', "")
    sends.add(db, [one, one], [content], request, 0, "2026-05-04")
    for way in Way:
        remember(db, way, "7", {"kind": "image", "key": "7", "path": "/a"}, 5)
    for table, number, column, value in rows[:50]:
        if table in _TABLES and re.fullmatch("[a-z_]{1,20}", str(column)):
            kept = bytes.fromhex(value[2:]) if isinstance(value, str) and value.startswith("x:") else value
            rowid = "name" if table == "meta" else "state" if table == "tally" else "rowid"
            rowid = "key" if table == "requests" else rowid
            db.execute(f"UPDATE {table} SET {column} = ? WHERE {rowid} = ?", (kept, number))
    return db


def _look(db: sqlite3.Connection) -> None:
    """Read everything, as an account does from its start on."""
    counts = events.counts(db)
    fit(counts)
    json.dumps([counts.waiting, counts.oldest, counts.bytes], allow_nan=False)
    shower = Events(_Read(db), "alice")
    for entry in (*events.select(db, Selection(), 100), *events.shown(db, Selection(), 100)):
        to_bytes(_shown(entry))
        to_bytes(shower._shown(entry))
        shower._event(entry)
        prepare(entry.body)
    for _, body, source in events.held(db):
        kept_json(body)
        media_from_json(kept_json(source))
    _LOOP.run_until_complete(reply_after(_Read(db), "@ann", 0))
    left = sends.left(db, "web")
    pacer = Pacer(0, daily=5)
    pacer.restore(sends.days(db))
    for send in _LOOP.run_until_complete(_sends_of(left)):
        sendrows.send_row(send, "", "web", None)
        sendrows.media_row(send.media or Media(MediaFacts(MessageKind.FILE)))
        kept_json(sends.sides_of(db, send.seq))
    sends.files(db)
    upload_from_json(recall(db, Way.UPLOADED, "7"))
    received_from_json(recall(db, Way.RECEIVED, "7"))
    found = sends.request_of(db, "key")
    for outcome in found.parts.values() if found else ():
        assert not outcome or isinstance(outcome["code"], int)
    for read in (events.first, events.last_shown, events.media_in_use, events.name_of, events.kinds_aside):
        read(db)
    events.before(db, 5)
    events.seq_of(db, f"{_NAME}-1")
    # And what is done to it.
    events.replay(db, Selection((EntryState.DEAD,)))
    with contextlib.suppress(sqlite3.IntegrityError):  # a size beyond all numbers; Keeping says so, and goes on
        expiry.sweep(db, RetentionLimits(1.0, 1.0, 1.0, 10), 1e10)
    sends.forget(db, 5.0, 0)


async def _sends_of(left: sends.Left) -> list[Send]:
    return left.sends()


def _damaged_rows(data: bytes) -> None:
    rows = json_of(data)
    if not isinstance(rows, list):
        raise NotJson
    good = [row for row in rows if isinstance(row, list) and len(row) == 4]
    try:
        db = _filled(good)
    except (sqlite3.Error, ValueError, OverflowError):  # what cannot be in a file
        raise NotJson from None
    with contextlib.closing(db):
        _look(db)


def _damaged_file(data: bytes) -> None:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.text_factory = text_of
        try:
            db.deserialize(data)
        except MemoryError:  # of nothing at all
            raise NotJson from None
        _look(db)


_REPORT = b'{"post_type":"receive_message","type":"friend_message","sender_id":"@ann","content":"hi"}'
_ROWS: tuple[tuple[object, ...], ...] = (
    *(
        ("events", 1, "body", '{"media_data": "aaaa"}'),
        ("events", 1, "body", "x:7b7d"),
        ("events", 1, "time", "then"),
    ),
    *(
        ("events", 1, "state", "delivered"),
        ("events", 2, "source", '{"kind": "image"}'),
        ("events", 1, "size", 1e300),
    ),
    *(("sends", 1, "parcel", 77), ("sends", 1, "attempts_left", "many"), ("sends", 2, "time", 1e18)),
    *(("parcels", 1, "given", '{"media_path": 5}'), ("parcels", 1, "facts", "["), ("send_days", 1, "number", "many")),
    *(("parcels", 1, "uploaded", '{"key": "@crypt_x", "kind": "image", "size": "1"}'),),
    *(("media_index", 1, "known", '{"kind": 5}'), ("requests", "key", "answer", '{"code": 0}')),
    *(("requests", "key", "text", '{"code": "0"}'), ("requests", "key", "event", "x")),
    *(("meta", "dropped", "value", "none"), ("tally", "dead", "number", "x")),
)


def _file() -> bytes:
    with contextlib.closing(_filled(())) as db:
        return bytes(db.serialize())


def _asked(data: bytes) -> None:
    body, states, number = parts(data, 3)
    with contextlib.closing(_filled(())) as db:
        try:
            found = _LOOP.run_until_complete(chosen(_Read(db), body))
        except RequestRefused as problem:
            to_bytes({"error": problem.as_json()})
            raise
        assert found.states or found.seqs or obj(read_json(body)).get("all") is True
        events.select(db, found, 5)
        states_of(states.decode("utf-8", "surrogateescape"))
        assert 0 <= number_of({"n": number.decode("utf-8", "surrogateescape")}, "n", 1, 1000) <= 1000


def _key(data: bytes) -> None:
    headers, parameter = texts(data, 2)
    key = key_of(headers.split(",") if headers else [], parameter)
    assert len(key) <= 255
    assert key.isascii()
    fingerprint_of("consult", {headers: parameter}, data)


def _stream(data: bytes) -> None:
    _LOOP.run_until_complete(_read_stream(data))


class _Nobody(aiohttp.base_protocol.BaseProtocol):
    """Whom a stream in memory asks to slow down."""


async def _read_stream(data: bytes) -> None:
    reader = aiohttp.StreamReader(_Nobody(_LOOP), 1 << 20, loop=_LOOP)
    for at in range(0, len(data), 1000):
        reader.feed_data(data[at : at + 1000])
    reader.feed_eof()
    async for sent in events_in(reader, 1 << 24):
        event = await event_of(lambda _: _ALICE.account.name, sent.type, sent.data)
        if event is not None:
            assert b"\n" not in event.body
            assert json.loads(event.at("a"))["host"] == "a"
            assert re.fullmatch("[a-z_]{1,64}", event.type)
            parse_cursor(str(Cursor(1, {event.instance: event.id})))


def _summary(data: bytes) -> None:
    try:
        answer: JsonObject = obj(read_json(data))
    except ValueError:
        raise NotJson from None
    to_bytes(row(_ALICE.account, Answer(answer)))


def _cursor(data: bytes) -> None:
    cursor = parse_cursor(data.decode("utf-8", "surrogateescape"))
    assert len(str(cursor)) <= CURSOR_LENGTH
    assert parse_cursor(str(cursor)) == cursor


def _webhook_targets(data: bytes) -> None:
    listed, address = texts(data, 2)
    with contextlib.suppress(ValueError):
        Targets.parse(["https://bots.example/in"]).allow(address)
    targets = Targets.parse(listed.split())
    fit(str(targets))
    assert str(Targets.parse(str(targets).split())) == str(targets)
    if targets.entries and targets.allow(address):
        url = url_of(address)
        assert any(
            (one.url.scheme, one.url.raw_host, one.url.port) == (url.scheme, url.raw_host, url.port)
            for one in targets.entries
        )


_ALICE = View(Account(parse_name("alice"), 3000), UnitRecord("alice", UnitState.ACTIVE, "running"))
_OPEN = b'event: open\ndata: {"account":"alice","first":1,"last":2,"log":"0badcafe"}\n\n'
_EVENT = (
    b'id: 0badcafe-1\nevent: friend_message\ndata: {"id":"0badcafe-1","seq":1,"stamp":5,"account":"alice",'
    b'"time":5.0,"type":"friend_message","report":' + _REPORT + b"}\n\n"
)
_ROW_SEEDS = (
    *(json.dumps(rows).encode() for rows in (_ROWS, *([row] for row in _ROWS))),
    json.dumps([["events", 1, "body", f"x:{recorded()['report'][0].hex()}"]]).encode(),
)
_COLUMNS = "body state time size source media given facts answer".split()
_ROW_WORDS = tuple(f'"{word}"'.encode() for word in (*_TABLES, *_COLUMNS))
_CHOICES = (
    *(joined(b'{"ids": ["0badcafe-1"]}', "dead,pending", "5"), joined(b'{"all": true}', "", "0")),
    joined(b'{"state": "dead"}', "held", "999999999999999999"),
)
_CHOOSING = (b'"ids"', b'"state"', b'"all"', b"0badcafe-")
_ANSWERS = (b'{"id": "allow-desktop", "value": "yes"}', b'{"id": 1}', b"")
_KEYS = joined('"0f5c8a52-7a8e-4b1a"', ""), joined("", "a b"), joined("a,a", "a")
_STREAMS = _OPEN + _EVENT, _OPEN + b"event: here\ndata: {}\n\n" + _EVENT * 2
_STREAM_WORDS = (b"event: ", b"data: ", b"id: ", b"\n\n")
_COUNTS = (
    b'{"account":"alice","to":null,"held":0,"pending":1,"dead":2,"dropped":0,"oldest_since":5,"deliveries":[]}',
)
_CURSORS = b"1000", b"1764000000000000.alice=0badcafe-12.x-abc=00000000-1"
_HOOKS = (
    joined("https://bots.example/in http://127.0.0.1:8080/", "https://bots.example/in/a?b=c"),
    *(joined("http://[::1]:80/a/b/", "http://[::1]/a/b/../c"), joined("https://bots.example/", "http://[]/")),
)
_FILE_ERRORS = (NotJson, sqlite3.Error, UnicodeDecodeError)
TARGETS = (
    Target("rows of the event log", _damaged_rows, _ROW_SEEDS, refusals=(NotJson,), tokens=_ROW_WORDS),
    Target("files of the event log", _damaged_file, (_file(),), refusals=_FILE_ERRORS, longest=1 << 16),
    Target("choices of deliveries", _asked, _CHOICES, refusals=(RequestRefused,), tokens=_CHOOSING),
    Target("answers to what an account waits for", answer_of, _ANSWERS, refusals=(RequestRefused,)),
    Target("keys of requests", _key, _KEYS, refusals=(BadParameter,), longest=1 << 12),
    Target("streams of accounts", _stream, _STREAMS, refusals=(ValueError,), tokens=_STREAM_WORDS, longest=LONG),
    Target("counts that accounts tell", _summary, _COUNTS, refusals=(NotJson,), longest=LONG),
    Target("cursors", _cursor, _CURSORS, refusals=(BadCursor,), longest=1 << 13),
    Target("webhook targets", _webhook_targets, _HOOKS, refusals=(ValueError,), longest=1 << 13),
)
