"""The state that an account keeps between processes, in two places.

Cookies and session values are the login: a file of the driver's, readable whatever happens to the database. The
progress is in the database, with the messages: the sync keys (the *position*) and the ids of reported messages are
part of every Checkpoint, and StateStore.restore returns them. The position names its session, because the keys of one
are invalid in another.
"""

import asyncio
import hashlib
import json
import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, kept_json, obj, text
from wxcontroller.drivers.base import Checkpoint, Restored, SessionStore
from wxcontroller.drivers.web.wire.calls import SyncKey, WebSession
from wxcontroller.drivers.web.wire.cookies import Jar
from wxcontroller.drivers.web.wire.hosts import hosts_of

log = logging.getLogger(__name__)
# Ids of messages that are remembered, so that none is reported twice: WeChat repeats only what it sent last, a few
# pages of a hundred messages or so. As many outlive the process (``client.store.tables.drivertables``).
MESSAGE_IDS = 2_000
_MARK, _SHELVES = 8, 128
_VERSION = 1


class ReportedIds:
    """Ids of messages that were reported already (7.10), the latest ``limit`` of them.

    Each is eight bytes of its hash, in one buffer: separate objects would be many times as large, and would keep
    memory pages with temporary data from being freed.
    """

    def __init__(self, limit: int = MESSAGE_IDS) -> None:
        self._limit = limit * _MARK
        self._marks = bytearray()  # in order, the latest is the last
        self._shelves = [bytearray() for _ in range(_SHELVES)]  # the same, found by their first byte
        self._fresh: dict[str, None] = {}  # since the last checkpoint

    def __contains__(self, message_id: str) -> bool:
        mark = _mark(message_id)
        return _find(self._shelf(mark), mark) >= 0

    def first(self, message_id: str) -> bool:
        """Return whether an id is new, and remember it."""
        if message_id in self:
            return False
        self.add(message_id)
        return True

    def add(self, message_id: str) -> None:
        """Remember an id, and store it with the next checkpoint."""
        self._remember(message_id)
        self._fresh[message_id] = None

    def restore(self, message_ids: Iterable[str]) -> None:
        """Take over ids that are stored already."""
        for message_id in message_ids:
            self._remember(message_id)

    def fresh(self) -> tuple[str, ...]:
        """Return the ids that the next checkpoint has to store."""
        fresh, self._fresh = self._fresh, {}
        return tuple(fresh)

    def _remember(self, message_id: str) -> None:
        mark = _mark(message_id)
        shelf = self._shelf(mark)
        for marks in (shelf, self._marks) if _find(shelf, mark) >= 0 else ():
            at = _find(marks, mark)
            del marks[at : at + _MARK]
        for marks in (shelf, self._marks):
            marks += mark
        if len(self._marks) > self._limit:
            oldest = bytes(self._marks[:_MARK])
            for marks in (self._shelf(oldest), self._marks):
                del marks[:_MARK]

    def _shelf(self, mark: bytes) -> bytearray:
        return self._shelves[mark[0] % _SHELVES]


def _find(marks: bytearray, mark: bytes) -> int:
    at = marks.find(mark)
    while at > 0 and at % _MARK:  # parts of two others
        at = marks.find(mark, at + 1)
    return at


def _mark(message_id: str) -> bytes:
    return hashlib.blake2b(message_id.encode(errors="surrogatepass"), digest_size=_MARK).digest()


@dataclass(slots=True)
class WebMemory:
    """The state. Without a ``session`` that may still be valid, the cookies may allow a push login."""

    domain: str
    jar: Jar = field(default_factory=Jar)
    uin: int = 0
    desktop: bool | None = None  # the mode that worked last
    session: WebSession | None = None
    seen: ReportedIds = field(default_factory=ReportedIds)
    last_sent: dict[str, str] = field(default_factory=dict)  # chat → message id of the account's last, not stored

    def move(self, domain: str) -> bool:
        """Follow the account to another base host, cookies and all; False if it is already there."""
        old, self.domain = self.domain, domain
        if self.session is not None:
            old, self.session.domain = self.session.domain, domain
        if old == domain:
            return False
        log.warning("WeChat has moved the account from %s to %s", old, domain)
        self.jar.move(old, domain)
        return True


class Saved:
    """Reads and writes a WebMemory through the SessionStore. On a full disk, the next change tries again."""

    def __init__(self, store: SessionStore, domain: str, keep: bool) -> None:
        self._store = store
        self._keep = keep
        self._failing = False
        self._last = b""
        self._writing = threading.Lock()
        self._number = 0  # of the latest content
        self._written = 0
        self.memory = WebMemory(domain, Jar(), seen=ReportedIds())

    def load(self) -> None:
        """Load the stored session; unreadable content is ignored."""
        try:
            # Also delete data of an earlier start: with keep_cookie=0 no login data stay on disk.
            if not self._keep:
                self._store.clear()
                return
            content = self._store.load()
        except OSError as problem:
            log.warning("cannot read the stored session: %s; logging in again", problem.strerror)
            return
        if content is None:
            return
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            log.warning("the stored session is damaged; logging in again")
            return
        _restore(obj(found), self.memory)

    def resume(self, restored: Restored) -> None:
        """Restore the position of the stored session."""
        self.memory.seen.restore(restored.seen)
        session, position = self.memory.session, kept_json(restored.state)
        # Another session's keys would make WeChat skip or repeat messages.
        if session is not None and position.get("session") == name_of(session):
            session.sync_key = _pairs(position.get("sync_key"))
            session.check_key = _pairs(position.get("check_key"))

    def checkpoint(self) -> Checkpoint:
        """Return the checkpoint of the present position."""
        session, state = self.memory.session, None
        if session is not None:
            position: JsonObject = {
                "session": name_of(session),
                "sync_key": [list(pair) for pair in session.sync_key],
                "check_key": [list(pair) for pair in session.check_key],
            }
            state = json.dumps(position, separators=(",", ":")).encode()
        return Checkpoint(state, self.memory.seen.fresh())

    async def save(self) -> bool:
        """Store the memory if it has changed; return whether it is on disk. Never fails: see ``save_now``.

        The disk is waited for in another thread: a slow one must not keep the account's API waiting.
        """
        content = self._changed()
        if content is not None:
            number = self._number
            self._note(content, await asyncio.to_thread(self._write, content, number))
        return self._keep and not self._failing

    def save_now(self) -> None:
        """Store the memory if it has changed, in this thread. Never fails: an error is logged once."""
        content = self._changed()
        if content is not None:
            self._note(content, self._write(content, self._number))

    def forget(self) -> None:
        """Drop the session and all cookies, here and where they are stored. Raises OSError when that fails."""
        with self._writing:
            self._number += 1
            self._written = self._number  # a write that is still under way comes too late
            self.memory.session = None
            self.memory.jar.clear()
            self._store.clear()
            self._last = b""

    def _changed(self) -> bytes | None:
        content = json.dumps(_stored(self.memory), separators=(",", ":")).encode() if self._keep else self._last
        # Each answer may bring the same cookies again, and a write is a disk sync.
        if content == self._last:
            return None
        self._number += 1
        return content

    def _write(self, content: bytes, number: int) -> OSError | None:
        """Write content unless a later one was written already: a cancelled ``save`` may still be at work."""
        with self._writing:
            if number < self._written:
                return None
            try:
                self._store.save(content)
            except OSError as problem:
                return problem
            self._written = number
        return None

    def _note(self, content: bytes, problem: OSError | None) -> None:
        if problem is not None:
            if not self._failing:
                self._failing = True
                log.error(
                    "cannot store the session: %s; it stays usable, but a restart would need a scan or repeat "
                    "messages. Free space in the account's state directory",
                    problem.strerror,
                )
            return
        self._last = content
        if self._failing:
            self._failing = False
            log.warning("the session can be stored again")


def _stored(memory: WebMemory) -> JsonObject:
    names = ("domain", "uin", "sid", "skey", "pass_ticket", "desktop", "me", "opened")
    return {
        "version": _VERSION,
        "domain": memory.domain,
        "uin": memory.uin,
        "desktop": memory.desktop,
        "session": {name: getattr(memory.session, name) for name in names} if memory.session else {},
        "cookies": memory.jar.stored(),
    }


def _restore(stored: JsonObject, memory: WebMemory) -> None:
    domain = text(stored.get("domain"))
    if stored.get("version") != _VERSION or not is_known_domain(domain):
        log.warning("the stored session has an unknown version; logging in again")
        return
    memory.domain = domain
    memory.uin = integer(stored.get("uin"))
    desktop = stored.get("desktop")
    memory.desktop = desktop if isinstance(desktop, bool) else None
    memory.jar.restore(stored.get("cookies"))
    memory.session = _session(obj(stored.get("session")))


def name_of(session: WebSession) -> str:
    """Return a fingerprint that identifies a session without giving access to it."""
    return hashlib.sha256(f"{session.uin} {session.sid}".encode()).hexdigest()[:16]


def _session(values: JsonObject) -> WebSession | None:
    domain, sid, uin = text(values.get("domain")), text(values.get("sid")), integer(values.get("uin"))
    if not is_known_domain(domain) or not sid or uin <= 0:
        return None
    opened = values.get("opened")
    return WebSession(
        domain=domain,
        uin=uin,
        sid=sid,
        skey=text(values.get("skey")),
        pass_ticket=text(values.get("pass_ticket")),
        desktop=values.get("desktop") is True,
        me=text(values.get("me")),
        opened=float(opened) if isinstance(opened, int | float) and abs(opened) < 1e12 else 0.0,
    )


def _pairs(stored: JsonValue) -> SyncKey:
    pairs = [items(entry) for entry in items(stored)]
    kept = tuple((integer(pair[0]), integer(pair[1])) for pair in pairs if len(pair) == 2)
    return kept if len(kept) == len(pairs) else ()


def is_known_domain(domain: str) -> bool:
    try:
        hosts_of(domain)
    except ValueError:
        return False
    return True
