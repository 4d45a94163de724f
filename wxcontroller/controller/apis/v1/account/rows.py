"""The rows of all accounts for dashboards and other watchers: a row is rebuilt only when it changes.

Idle without connected clients. Rows come from files that the accounts publish: no process is asked.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from wxcontroller.controller.accounts.accountlists import AnswerPart
from wxcontroller.controller.accounts.view import View, account_json
from wxcontroller.controller.context import Context
from wxcontroller.controller.tasks import SharedWork
from wxcontroller.core.condition.deliverychecks import FAILING_SECONDS
from wxcontroller.core.errors import UnitFailed, file_failed
from wxcontroller.core.jsontypes import JsonObject, whole_seconds
from wxcontroller.core.records.accountrecords import (
    CapabilitiesRecord,
    LastMessage,
    Queue,
    Reports,
    RosterRecord,
    SendingRecord,
)
from wxcontroller.core.records.decoding import as_object, given
from wxcontroller.core.text.templates import NOTHING, text_fields
from wxcontroller.openwx.contract.replies import to_bytes

if TYPE_CHECKING:
    from wxcontroller.controller.hosts.hostrows import ShownRow

# Interval of checks of files and units; checking 300 unchanged accounts takes two milliseconds.
_LOOK_SECONDS = 0.5
# Capabilities in an account's row: those that determine a page's controls.
_CAPABILITIES = ("contacts", "groups", "recall", "avatars", "reply_window")


@dataclass(frozen=True, slots=True)
class Row(AnswerPart):
    """An account's row. ``version`` grows with every change of any row."""

    version: int = 0


@dataclass(frozen=True, slots=True)
class ElsewhereRow:
    """The row of an account that another host has."""

    row: "ShownRow"
    version: int


class AccountRows:
    """The rows of all accounts, updated while they are watched."""

    def __init__(self, shared: Context) -> None:
        self._shared = shared
        self._rows: dict[str, Row] = {}
        self._elsewhere: dict[str, ElsewhereRow] = {}
        self._work = SharedWork(self._look)
        self._news = asyncio.Event()
        self.version = 0
        self.has_looked = asyncio.Event()  # set once the first look is done
        self.trouble: JsonObject | None = None  # the reason why the rows may be outdated

    @property
    def rows(self) -> Iterable[Row]:
        return self._rows.values()

    @property
    def elsewhere(self) -> Iterable[ElsewhereRow]:
        return self._elsewhere.values()

    def watched(self) -> "AbstractAsyncContextManager[asyncio.Task[None]]":
        """Keep the rows up to date in a block. Yields the updating task, which ends early only if it fails."""
        return self._work.needed()

    def news(self) -> asyncio.Event:
        """Return an event that the next change sets."""
        return self._news

    async def _look(self) -> None:
        try:
            while True:
                await self._look_once()
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            self.has_looked.clear()

    async def _look_once(self) -> None:
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
            if old is None or not old.holds(view, now):
                self._rows[view.instance] = row = self._row(view, now)
                changed.append(row)
        if changed:
            self._changed()

    def _merge_other_hosts(self, rows: Mapping[str, "ShownRow"]) -> None:
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

    def _row(self, view: View, now: float) -> Row:
        assessment = view.assessment(now)
        content: JsonObject = {**account_json(view, assessment), "activity": _activity(view, now)}
        return Row(view, to_bytes(content), now, assessment.until, self.version + 1)

    def _changed(self) -> None:
        self.version += 1
        self._news.set()
        self._news = asyncio.Event()


ACCOUNT_ROWS = web.AppKey("account_rows", AccountRows)


def _activity(view: View, now: float) -> JsonObject | None:
    """Return the part of its published status that an account's row shows, None without one."""
    if view.published is None:
        return None
    status, deliveries = view.published.status, view.published.deliveries
    times, queue = given(status.last_message_time, LastMessage()), given(status.queue, Queue())
    reports, sending = given(status.reports, Reports()), given(status.sending, SendingRecord())
    roster, capabilities = given(status.roster, RosterRecord()), given(status.capabilities, CapabilitiesRecord())
    attempt = given(reports.last_attempt, None)
    failing = deliveries.oldest_since and now - deliveries.oldest_since > FAILING_SECONDS
    able: JsonObject = {name: getattr(capabilities, name) for name in _CAPABILITIES}
    return {
        "last_message": whole_seconds(max(given(times.received, 0), given(times.sent, 0))) or None,
        "messages_24h": given(status.messages_24h, None),
        "queued": given(queue.waiting, 0) + given(queue.in_flight, 0),
        "undelivered": given(reports.waiting, 0),
        "dead": given(reports.dead, 0),
        **text_fields(delivery_error=deliveries.last_error if failing else NOTHING),
        "tries": given(reports.failed, 0),
        "last_attempt": as_object(attempt) if attempt else None,
        "people": given(roster.changes, 0),
        "memory": given(status.memory, None),
        "held": given(sending.held, 0),
        "media_since": given(sending.media_since, 0) or None,
        "capabilities": {name: flag for name, flag in able.items() if isinstance(flag, bool)} or None,
    }
