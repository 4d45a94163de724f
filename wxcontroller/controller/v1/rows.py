"""The rows of all accounts for dashboards and other watchers: a row is rebuilt only when it changes.

Idle without connected clients. Accounts are queried in turn, a few at a time, for data that only they have.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from wxcontroller.controller.account_port.status import Answer, ask_all
from wxcontroller.controller.answers import AnswerPart
from wxcontroller.controller.context import Context
from wxcontroller.controller.fleetport import FleetRow
from wxcontroller.controller.tasks import SharedWork
from wxcontroller.controller.view import View, account_json
from wxcontroller.core.condition.deliveries import FAILING_SECONDS
from wxcontroller.core.errors import UnitFailed, file_failed
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, obj
from wxcontroller.core.messages import NOTHING, text_fields, text_in
from wxcontroller.openwx.replies import to_bytes

# Interval of checks of files and units; checking 300 unchanged accounts takes two milliseconds.
_LOOK_SECONDS = 0.5
# Between two rounds of asking the accounts' programs.
_ASK_SECONDS = 3.0
# A new process is queried soon, and together with others that start at the same time. When a page opens, its rows are
# drawn before the answers of all accounts use the CPU.
_SETTLE_SECONDS = 0.5
# Capabilities in an account's row: those that determine a page's controls.
_CAPABILITIES = ("contacts", "groups", "recall", "avatars", "reply_window")


@dataclass(frozen=True, slots=True)
class Row(AnswerPart):
    """An account's row. ``version`` grows with every change of any row."""

    version: int = 0
    activity: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class ElsewhereRow:
    """The row of an account that another host has."""

    row: FleetRow
    version: int


class AccountRows:
    """The rows of all accounts, updated while they are watched."""

    def __init__(self, shared: Context) -> None:
        self._shared = shared
        self._rows: dict[str, Row] = {}
        self._elsewhere: dict[str, ElsewhereRow] = {}
        self._told: dict[str, JsonObject] = {}
        self._work = SharedWork(self._update)
        self._activity = asyncio.Event()  # set while data that only the programs have is needed
        self._watchers = 0  # readers that need it
        self._viewers = 0  # of these, readers of the accounts of all hosts (not other hosts)
        self._news = asyncio.Event()
        self._new_processes = asyncio.Event()
        self.version = 0
        self.has_looked = asyncio.Event()  # set once the first look is done
        self.trouble: JsonObject | None = None  # the reason why the rows may be outdated

    @property
    def is_asking(self) -> bool:
        """Whether the accounts' programs are queried."""
        return self._activity.is_set()

    @property
    def rows(self) -> Iterable[Row]:
        return self._rows.values()

    @property
    def elsewhere(self) -> Iterable[ElsewhereRow]:
        return self._elsewhere.values()

    @contextlib.asynccontextmanager
    async def watched(self, activity: bool = True, by_host: bool = False) -> "AsyncIterator[asyncio.Task[None]]":
        """Keep the rows up to date in a block; with ``activity`` also data that only the accounts' processes have.

        ``by_host``: the watcher is another host, which needs no rows of other hosts: two hosts would keep each other
        watching. Yields the updating task, which ends early only if it fails.
        """
        async with self._work.needed() as work:
            self._watchers += activity
            self._viewers += not by_host
            self._set_activity()
            try:
                yield work
            finally:
                self._watchers -= activity
                self._viewers -= not by_host
                self._set_activity()

    def _set_activity(self) -> None:
        if self._watchers:
            self._activity.set()
        else:
            self._activity.clear()
        if self._shared.fleet is not None:
            self._shared.fleet.want_activity(self._viewers > 0)

    def news(self) -> asyncio.Event:
        """Return an event that the next change sets."""
        return self._news

    async def _update(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                _ = group.create_task(self._look())
                _ = group.create_task(self._query_all())
        finally:
            self.has_looked.clear()

    async def _look(self) -> None:
        while True:
            self._set_activity()  # a reload may have brought other hosts
            try:
                views = await self._shared.accounts.views()
                fleet = self._shared.fleet
                self._merge_other_hosts({} if fleet is None else fleet.rows())
            except (UnitFailed, OSError) as problem:
                self._set_trouble((problem if isinstance(problem, UnitFailed) else file_failed(problem)).as_json())
            else:
                self._build(views)
                self._set_trouble(None)
            if not self.has_looked.is_set():
                self.has_looked.set()
                self._changed()
            await asyncio.sleep(_LOOK_SECONDS)

    def _set_trouble(self, trouble: JsonObject | None) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            self._changed()

    def _build(self, views: Sequence[View]) -> None:
        """Build the rows of the current state."""
        now = time.time()
        present = {view.instance for view in views}
        changed = [self._rows.pop(instance) for instance in list(self._rows) if instance not in present]
        for view in views:
            old = self._rows.get(view.instance)
            if old is None or old.view.pid != view.pid:  # another process, or none: the previous status is void
                self._told.pop(view.instance, None)
                self._new_processes.set()
            activity = self._told.get(view.instance)
            if old is None or old.activity != activity or not old.holds(view, now):
                self._rows[view.instance] = row = self._row(view, activity, now)
                changed.append(row)
        if changed:
            self._changed()

    def _merge_other_hosts(self, rows: Mapping[str, FleetRow]) -> None:
        """Take over the rows of other hosts."""
        earlier = self._elsewhere
        if rows.keys() == earlier.keys() and all(earlier[key].row is row for key, row in rows.items()):
            return
        version = self.version + 1
        self._elsewhere = {
            key: old if (old := earlier.get(key)) is not None and old.row is row else ElsewhereRow(row, version)
            for key, row in rows.items()
        }
        self._changed()

    def _row(self, view: View, activity: JsonObject | None, now: float) -> Row:
        assessment = view.assessment(now)
        content: JsonObject = {**account_json(view, assessment), "activity": activity}
        return Row(view, to_bytes(content), now, assessment.until, self.version + 1, activity)

    def _changed(self) -> None:
        self.version += 1
        self._news.set()
        self._news = asyncio.Event()

    async def _query_all(self) -> None:
        """Query all programs repeatedly; the next update includes their answers."""
        await self.has_looked.wait()
        while True:
            await self._activity.wait()
            await asyncio.sleep(_SETTLE_SECONDS)
            accounts = [row.view.account for row in self.rows if row.view.unit.has_process]
            self._new_processes.clear()
            await ask_all(self._shared.ports, accounts, self._apply_answer)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ASK_SECONDS):
                    await self._new_processes.wait()

    def _apply_answer(self, instance: str, answer: Answer) -> None:
        activity = _activity(answer)
        if activity is not None:
            self._told[instance] = activity
        else:
            self._told.pop(instance, None)


ACCOUNT_ROWS = web.AppKey("account_rows", AccountRows)


def _activity(answer: Answer) -> JsonObject | None:
    """Return the part of a program's status that a row shows, None without a status."""
    status = answer.content
    if status is None:
        return None
    times, queue, reports = obj(status.get("last_message_time")), obj(status.get("queue")), obj(status.get("reports"))
    last = max(integer(times.get("received")), integer(times.get("sent")))
    sending = obj(status.get("sending"))
    oldest = integer(reports.get("oldest_since"))
    failing = oldest and time.time() - oldest > FAILING_SECONDS
    return {
        "last_message": last or None,
        "messages_24h": _as_int(status.get("messages_24h")),
        "queued": integer(queue.get("waiting")) + integer(queue.get("in_flight")),
        "undelivered": integer(reports.get("waiting")),
        "dead": integer(reports.get("dead")),
        **text_fields(delivery_error=text_in(reports, "last_error") if failing else NOTHING),
        "tries": integer(reports.get("failed")),
        "last_attempt": _attempt(reports.get("last_attempt")),
        "people": integer(obj(status.get("roster")).get("changes")),
        "memory": _as_int(status.get("memory")),
        "held": integer(sending.get("held")),
        "media_since": integer(sending.get("media_since")) or None,
        "capabilities": flags(status.get("capabilities")),
    }


def _as_int(sent: JsonValue) -> int | None:
    return sent if isinstance(sent, int) else None


def _attempt(sent: JsonValue) -> JsonObject | None:
    """Return status and milliseconds of the last post to the webhook, None from programs that lack them."""
    attempt = obj(sent)
    if not attempt:
        return None
    time_and_duration: JsonObject = {key: integer(attempt.get(key)) for key in ("time", "milliseconds")}
    return {**time_and_duration, "status": integer(attempt.get("status")) or None}


def flags(capabilities: JsonValue) -> JsonObject | None:
    """Return the boolean ones, None from programs that lack them."""
    content = obj(capabilities)
    return {key: content[key] for key in _CAPABILITIES if isinstance(content.get(key), bool)} or None
