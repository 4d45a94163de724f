"""One other host: whether it answers, and which accounts it has.

The host is greeted every few seconds; only while it answers are calls forwarded to it. Its rows come over a stream of
its ``GET /v1/accounts``, so that finding the host of an account costs nothing per request. When the host stops
answering, its last known accounts stay.

A host of a version without fleets would ignore for whom a call is. It cannot answer the greeting, so it is never
sent any.
"""

import asyncio
import contextlib
import json
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import aiohttp

from wxcontroller.core.access.rights import Scope
from wxcontroller.core.budget import Budget
from wxcontroller.core.config.fleetsettings import HostSettings
from wxcontroller.core.errors import HostFailure
from wxcontroller.core.jsontypes import (
    InterruptibleDecoder,
    JsonObject,
    JsonValue,
    field,
    integer,
    items,
    obj,
    one_line,
    read_json,
    text,
    values_in,
)
from wxcontroller.core.names import AccountName, is_instance, name_or_none
from wxcontroller.core.net.eventlines import events_in
from wxcontroller.core.net.mediatype import media_type
from wxcontroller.core.net.relay import Body
from wxcontroller.core.records.accountrecords import AccountRow, RowsEvent
from wxcontroller.core.records.decoding import Undecodable, as_object, decode
from wxcontroller.core.states import Desired, UnitState
from wxcontroller.core.text.templates import N_, NOTHING, Text, text_fields
from wxcontroller.fleet.connection import HostConnection
from wxcontroller.fleet.credentials import PeerCredentials
from wxcontroller.fleet.hop import HopCaller

log = logging.getLogger(__name__)
# Between two greetings, and for the answer to one. A host that hangs is noticed within both together.
GREETING_PAUSE, GREETING_SECONDS = 3.0, 2.0
# Between two tries to read the rows of a host that answers.
_STREAM_PAUSE = 0.5
# The controller sends a heartbeat every 15 s.
_STREAM_SILENCE = 45.0
# All rows at once, of 10,000 accounts; also the limit of stored rows.
HOST_ROWS_BYTES, _ROW_VALUES = 32 << 20, 4_000_000
HOST_ACCOUNTS = 10_000
_ANSWER_BYTES = 4 << 20
# Answers with more values are parsed in a thread; above the second limit (50 ms), with pauses for this one.
_FEW_VALUES, _MANY_VALUES = 5000, 200_000
_WITH_PROCESS = frozenset(state.value for state in UnitState if state.has_process)
_TOKEN_ID, _SHA256 = re.compile(r"[0-9a-f]{8}"), re.compile(r"[0-9a-f]{64}")


class HostState(StrEnum):
    """The state of another host."""

    CONNECTING = "connecting"  # not greeted yet
    UP = "up"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"  # it does not accept this host's credentials or name


@dataclass(frozen=True, slots=True)
class AgentToken:
    """Another host's data about an agent's token: enough to recognize it, but not the token."""

    id: str
    sha256: str
    instance: str


@dataclass(frozen=True, slots=True, eq=False)
class HostRow:
    """An account of another host. ``content`` is its row (an AccountRow), or little of it while the host was never
    reached; ``size`` is how many bytes it had there.
    """

    name: AccountName
    content: JsonObject
    size: int

    @property
    def is_leaving(self) -> bool:
        """Whether the account is being moved away from the host."""
        return bool(self.content.get("leaving"))

    @property
    def is_wanted(self) -> bool:
        """Whether the account is to run there."""
        return self.content.get("desired") == Desired.STARTED.value

    @property
    def is_running(self) -> bool:
        """Whether its unit may have a process there."""
        return self.content.get("unit_state") in _WITH_PROCESS

    @property
    def epoch(self) -> int:
        return integer(self.content.get("epoch"), 1)

    @property
    def counts(self) -> tuple[bool, bool, int]:
        """The criteria that decide between several copies of an account."""
        return self.is_leaving, self.is_running, self.epoch


@dataclass(frozen=True, slots=True)
class RowsChange:
    """The content of one event of a host's stream. ``all``: there are no other accounts."""

    rows: list[HostRow]
    gone: list[str]
    all: bool


class OtherHost:
    """Another host. ``run`` keeps it up to date."""

    def __init__(self, settings: HostSettings, credentials: PeerCredentials, own_name: str) -> None:
        self.settings = settings
        self.name = settings.name
        self.state = HostState.CONNECTING
        self.reason: Text = NOTHING
        self.since = int(time.time())
        self.version = ""
        self.rows: dict[str, HostRow] = {}
        self.rows_known = False  # whether the rows come from the host, not from an earlier run
        self.agents: Mapping[str, AgentToken] = {}
        self.changes = 0  # grows with every change of rows or state
        self.members = 0  # grows with all that may change which hosts count as having an account
        self.met = asyncio.Event()  # set once it has sent its accounts, or is known not to
        self._rows_size = 0
        self.budget = Budget()
        self._connection = HostConnection(settings, credentials, self.budget)
        self._own_name = own_name
        self._greeted = asyncio.Event()

    @property
    def is_up(self) -> bool:
        return self.state is HostState.UP

    async def run(self) -> None:
        """Greet the host and read its rows, until cancelled."""
        async with self._connection:
            while True:
                try:
                    await self._greet()
                    await self._while_up()
                except HostFailure as problem:
                    # Its rows stay: calls for its accounts fail with the reason, and their names stay taken.
                    self._become(HostState.UNREACHABLE, problem.reason)
                await asyncio.sleep(GREETING_PAUSE)

    async def open(
        self,
        target: str,
        caller: HopCaller,
        timeout: aiohttp.ClientTimeout,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: Body = None,
    ) -> aiohttp.ClientResponse:
        """Forward a call; see ``HostConnection.open``. Raises HostFailure, at once while the host is down."""
        if self.state is HostState.CONNECTING:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GREETING_SECONDS):
                    await self._greeted.wait()
        if not self.is_up:
            raise HostFailure(self.name, self.why)
        return await self._connection.open(target, caller, timeout, method, headers, body)

    def failure_of(self, problem: Exception) -> HostFailure:
        """Return the failure that an error of a response is."""
        return self._connection.failure_of(problem)

    @property
    def why(self) -> Text:
        """Why the host is not up."""
        if self.state is HostState.CONNECTING:
            return Text(N_("this controller has just started"))
        return self.reason

    def as_json(self) -> JsonObject:
        """Return the host as /v1/fleet shows it."""
        return {
            "name": self.name,
            "url": self.settings.url,
            "state": self.state.value,
            **text_fields(reason=NOTHING if self.is_up else self.why),
            "since": self.since,
            "version": self.version or None,
            "accounts": len(self.rows),
        }

    async def ask(
        self, path: str, caller: HopCaller, seconds: float, limit: int = _ANSWER_BYTES
    ) -> tuple[int, JsonObject]:
        """Return status and JSON object of an answer, {} for no JSON. Raises HostFailure, also after ``seconds``."""
        status, content = await self._connection.ask(path, caller, seconds, limit)
        try:
            return status, obj(await parsed(content))
        except ValueError:
            return status, {}

    # -- the greeting

    async def _greet(self) -> None:
        """Ask the host for its name and version; note how it is. Raises HostFailure when it does not answer."""
        caller = HopCaller(self._own_name, Scope.FLEET, None, "the controller")
        status, content = await self.ask("/v1/fleet/self", caller, GREETING_SECONDS)
        if status == 200 and content.get("name") == self.name:
            self.version = one_line(content.get("version"))[:40]
            self.agents = {agent.id: agent for agent in _agents(content.get("agents"))}
            self._become(HostState.UP, NOTHING)
            return
        words = one_line(field(content.get("error"), "message"))[:300]
        if status == 200:
            called = one_line(content.get("name"))[:40]
            self._become(
                HostState.REFUSED, Text(N_("its name is {name}; use this name in [fleet.hosts]"), name=called)
            )
        elif status in (401, 403, 404) or field(content.get("error"), "code") in ("not-a-hop", "foreign-host"):
            self._become(HostState.REFUSED, Text(N_("it answered {status}: {reason}"), status=status, reason=words))
        else:
            raise HostFailure(self.name, Text(N_("it answered {status}: {reason}"), status=status, reason=words))

    def _become(self, state: HostState, reason: Text) -> None:
        self._greeted.set()
        # One failure proves nothing: at boot, the network may come up later than this controller.
        is_first_failure = state is HostState.UNREACHABLE and self.state is HostState.CONNECTING
        if state is not HostState.UP and not is_first_failure:
            self.met.set()
        if state is self.state and str(reason) == str(self.reason):
            return
        if state is not self.state:
            self.since = int(time.time())
            words = log.info if state is HostState.UP else log.warning
            words("host %s is %s%s", self.name, state, f": {reason}" if reason else "")
            self.members += 1
        self.state, self.reason = state, reason
        self.changes += 1

    async def _while_up(self) -> None:
        """Read the rows and greet the host until it fails to respond. Raises HostFailure."""
        rows = asyncio.create_task(self._follow(), name=f"rows of host {self.name}")
        try:
            while self.is_up:
                await asyncio.sleep(GREETING_PAUSE)
                await self._greet()
        finally:
            rows.cancel()
            await asyncio.gather(rows, return_exceptions=True)

    # -- the rows

    async def _follow(self) -> None:
        while True:
            await self._read_rows()
            await asyncio.sleep(_STREAM_PAUSE)

    async def _read_rows(self) -> None:
        """Read the host's stream of rows until it ends. Raises nothing: the greeting detects if the host is up."""
        caller = HopCaller(self._own_name, Scope.READ, None, "the controller")
        timeout = aiohttp.ClientTimeout(total=None, sock_read=_STREAM_SILENCE)
        try:
            async with await self.open(
                "/v1/accounts", caller, timeout, headers={"Accept": "text/event-stream"}
            ) as response:
                if (
                    response.status != 200
                    or media_type(response.headers.get("Content-Type", "")) != "text/event-stream"
                ):
                    raise ValueError(f"it answered {response.status}")
                async for event in events_in(response.content, HOST_ROWS_BYTES, self.budget):
                    if event.omitted:
                        raise ValueError("its list of accounts is too long")
                    if event.type == "accounts":
                        with self.budget.working():
                            self._apply(await rows_event(event.data))
        except (aiohttp.ClientError, HostFailure, OSError, ValueError) as problem:
            log.debug("rows of host %s: %s: %s", self.name, type(problem).__name__, problem)

    def _apply(self, changes: RowsChange) -> None:
        """Apply new rows, and delete removed ones."""
        if changes.all:
            self.rows, self._rows_size = {}, 0
            self.members += 1
        for instance in changes.gone:
            if (row := self.rows.pop(instance, None)) is not None:
                self._rows_size -= row.size
                self.members += 1
        for row in changes.rows:
            self._put(row)
        self.rows_known = True
        self.met.set()
        self.changes += 1

    def _put(self, row: HostRow) -> None:
        """Take over a row, unless the host has more than any would have."""
        earlier = self.rows.get(row.name.instance)
        size = self._rows_size + row.size - (earlier.size if earlier is not None else 0)
        # Another host may have been taken over: it must not use up this one's memory.
        if size > HOST_ROWS_BYTES or (earlier is None and len(self.rows) >= HOST_ACCOUNTS):
            return
        self.rows[row.name.instance], self._rows_size = row, size
        self.members += earlier is None or earlier.counts != row.counts


def row_of(raw: bytes) -> HostRow | None:
    """Return a valid row, else None: its name must be valid, and its id must belong to the name."""
    try:
        row = decode(raw, AccountRow)
    except Undecodable:
        return None
    name = name_or_none(row.name)
    if name is None or name.instance != row.instance:
        return None
    row.locate(name.name)
    return HostRow(name, as_object(row), len(raw))


def _agents(value: JsonValue) -> list[AgentToken]:
    found = [AgentToken(*(text(field(each, key)) for key in ("id", "sha256", "instance"))) for each in items(value)]
    return [
        each
        for each in found
        if _TOKEN_ID.fullmatch(each.id) and _SHA256.fullmatch(each.sha256) and is_instance(each.instance)
    ]


async def rows_event(data: bytes) -> RowsChange:
    """Read an event. Raises ValueError."""
    if values_in(data) <= _FEW_VALUES:
        return _rows_event(data)
    return await asyncio.to_thread(_rows_event, data)


def _rows_event(data: bytes) -> RowsChange:
    event = decode(data, RowsEvent, _ROW_VALUES)
    rows = [row for account in event.accounts if (row := row_of(bytes(account))) is not None]
    gone = [name.instance for each in event.gone if (name := name_or_none(each)) is not None]
    return RowsChange(rows, gone, event.all)


async def parsed(data: bytes) -> JsonValue:
    """Raises ValueError."""
    if (values := values_in(data)) <= _FEW_VALUES:
        return read_json(data)
    decoder = InterruptibleDecoder if values > _MANY_VALUES else json.JSONDecoder
    return await asyncio.to_thread(read_json, data, values=_ROW_VALUES, decoder=decoder)
