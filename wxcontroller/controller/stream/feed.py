"""What a reader is fed from: a connection to each account's own stream, renewed as accounts come and go."""

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlencode

import aiohttp

from wxcontroller.controller.account_port.client import PortFailure
from wxcontroller.controller.context import Context
from wxcontroller.controller.gate import Caller
from wxcontroller.controller.stream.cursor import Cursor, cursor_length
from wxcontroller.controller.view import View
from wxcontroller.core.errors import UnitFailed
from wxcontroller.core.jsontypes import obj, read_json, text
from wxcontroller.core.limits import DEFAULTS, Limits
from wxcontroller.openwx.replies import to_bytes

log = logging.getLogger(__name__)
# Of one reader. When it is slower than this, the accounts' streams wait for it: they lose nothing.
STREAM_WAITING_EVENTS = 100
# Accounts say every 10 s that they are there.
STREAM_SILENCE_SECONDS = 30.0
# Between two looks for accounts that have come up.
_LOOK_SECONDS = 1.0
_ID = re.compile(r"[0-9a-f]{8}-[0-9]{1,18}")
_TYPE = re.compile(r"[a-z_]{1,64}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events a reader wants: of ``accounts`` (instances; none: all) and ``types`` (none: all)."""

    accounts: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Fed:
    """One event for a reader: its type, and itself as JSON."""

    instance: str
    type: str
    body: bytes
    id: str


@dataclass(slots=True)
class Feed:
    """The events that one reader wants and may have, from ``begin`` (None: from now) on."""

    shared: Context
    wanted: Wanted
    caller: Caller
    begin: Cursor | None = None
    limits: Limits = DEFAULTS
    _from: int = 0
    _got: dict[str, str] = field(default_factory=dict)  # the latest id by instance, who spoke last comes last
    _read: dict[str, str] = field(default_factory=dict)  # the same, of what has come and may still wait here
    _readers: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _queue: asyncio.Queue[Fed] = field(init=False)
    _known: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._queue = asyncio.Queue(maxsize=STREAM_WAITING_EVENTS)

    @contextlib.asynccontextmanager
    async def open(self) -> "AsyncIterator[Feed]":
        """Connect; what happens from here on will be given by ``next``."""
        self._from = self.begin.stamp if self.begin else int(time.time() * 1e6)
        if self.begin:
            self._got.update(self.begin.places)
            self._read.update(self.begin.places)
        looking = asyncio.create_task(self._look())
        try:
            with contextlib.suppress(TimeoutError):  # systemd can't be asked: accounts are found when it can
                await asyncio.wait_for(self._known.wait(), STREAM_SILENCE_SECONDS)
            yield self
        finally:
            looking.cancel()
            for reader in self._readers.values():
                reader.cancel()
            await asyncio.gather(looking, *self._readers.values(), return_exceptions=True)

    @property
    def cursor(self) -> Cursor:
        """Where the reader is, having had all that ``next`` gave."""
        return Cursor(self._from, self._got, cursor_length(self.limits))

    async def next(self) -> Fed:
        """Return the next event. The order of each account is kept."""
        fed = await self._queue.get()
        self._got.pop(fed.instance, None)
        self._got[fed.instance] = fed.id
        return fed

    # -- connections

    async def _look(self) -> None:
        """Connect to accounts that run, again and again, until cancelled."""
        while True:
            try:
                views = await self.shared.accounts.views()
            except UnitFailed:
                views = []
            else:
                self._known.set()
            for view in views:
                if view.unit.has_process and self._wants(view) and not self._has_reader(view.instance):
                    self._readers[view.instance] = asyncio.create_task(self._follow(view))
            await asyncio.sleep(_LOOK_SECONDS)

    def _wants(self, view: View) -> bool:
        wanted = not self.wanted.accounts or view.instance in self.wanted.accounts
        return wanted and self.caller.may_see(view.instance)

    def _has_reader(self, instance: str) -> bool:
        reader = self._readers.get(instance)
        return reader is not None and not reader.done()

    async def _follow(self, view: View) -> None:
        """Read one account's stream until it ends; the next look begins anew where it ended."""
        after = self._read.get(view.instance)
        query = {"after": after} if after else {"since": str(self._from)}
        if self.wanted.types:
            query["types"] = ",".join(sorted(self.wanted.types))
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5.0, sock_read=STREAM_SILENCE_SECONDS)
        headers = {"Accept": "text/event-stream"}
        try:
            async with await self.shared.ports.open(
                view.account, f"/v1/events?{urlencode(query)}", self.caller.scope, headers=headers, timeout=timeout
            ) as answer:
                if answer.status != 200 or answer.content_type != "text/event-stream":
                    # A program that has no events is not asked all the time.
                    await asyncio.sleep(STREAM_SILENCE_SECONDS)
                    return
                async for kind, data in _events(answer.content, self.limits.stream_event_bytes):
                    await self._take(view, kind, data)
        except (aiohttp.ClientError, PortFailure, OSError, ValueError) as problem:
            log.debug("the events of %s: %s", view.instance, type(problem).__name__)

    async def _take(self, view: View, kind: str, data: bytes) -> None:
        found = obj(read_json(data))
        name = view.account.name.name
        if kind == "open" and text(found.get("account")) != name:
            raise ValueError("another program answers")
        if kind == "open":
            self._begins(view.instance, text(found.get("after")))
        if kind in ("open", "here"):
            return
        event_id = text(found.get("id"))
        if not _ID.fullmatch(event_id) or not _TYPE.fullmatch(kind):
            raise ValueError("no event of ours")
        # Written anew: an account's program may say what it likes, but in its own name and as one event.
        await self._queue.put(Fed(view.instance, kind, to_bytes({**found, "account": name}), event_id))
        self._read[view.instance] = event_id

    def _begins(self, instance: str, event_id: str) -> None:
        """Note where an account's stream begins that has told nothing yet: better than a time, as clocks go back."""
        if instance not in self._got and _ID.fullmatch(event_id):
            self._got = {instance: event_id, **self._got}  # first: it has been silent for longest
            self._read.setdefault(instance, event_id)


async def _events(
    content: aiohttp.StreamReader, most: int = DEFAULTS.stream_event_bytes
) -> "AsyncIterator[tuple[str, bytes]]":
    """Yield type and data of server-sent events as our accounts write them: one line of data each."""
    kind, data = "", b""
    buffer = b""
    while True:
        piece = await content.readany()
        if not piece:
            return
        buffer += piece
        if len(buffer) > most:
            raise ValueError("an event is too long")
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            if line.startswith(b"event: "):
                kind = line[7:].decode("ascii", "replace")
            elif line.startswith(b"data: "):
                data = line[6:]
            elif not line and kind:
                yield kind, data
                kind, data = "", b""
