"""The loop that posts reports: reads the event log, posts, and notes the result of each report in the log.

``lanes`` decides which report is next and what a failure means, ``receivers`` makes the attempt, ``bodies`` and
``signatures`` build the request. Only a batch of light waiting reports and one heavy one are in memory.
"""

import asyncio
import contextlib
import hashlib
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from wxcontroller.client.deliveries.lanes import (
    Attempt,
    Decision,
    DeliveryOutcome,
    Lane,
    Lanes,
    NextStep,
    Policy,
    Result,
)
from wxcontroller.client.deliveries.receivers import WEBHOOK_ANSWER_SECONDS, Poster, Receiver, posting
from wxcontroller.client.deliveries.reportbodies import LIGHT_BYTES, Body, is_light, prepare
from wxcontroller.client.deliveries.signatures import report_headers
from wxcontroller.client.store.database.writer import Unavailable
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.tables.eventtables import Entry, EntryState, Selection
from wxcontroller.core.jsontypes import JsonObject, one_line
from wxcontroller.core.process.journal import Event, fields
from wxcontroller.core.process.watchdog import Deadlines
from wxcontroller.core.registry.account import redacted
from wxcontroller.core.text.templates import NOTHING, Text

log = logging.getLogger(__name__)
# Light bodies have at most 64 KiB (``bodies.LIGHT_BYTES``): 2 MB of memory, and no read between the posts of a batch.
_AT_ONCE = 32  # entries read from the log at a time
# A post that exceeds its own limits by this much hangs.
_OVERTIME = 60.0
# Failures in the journal: the first of a series, then this many seconds apart.
_TELL_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class LastAttempt:
    """The last post of a report. ``status`` is HTTP's, 0 for none; ``seconds`` is how long the receiver took."""

    time: float
    status: int
    seconds: float

    def as_json(self) -> JsonObject:
        return {
            "time": int(self.time),
            "status": self.status or None,
            "milliseconds": round(self.seconds * 1000),
        }


class Delivery:
    """Delivers what is pending. ``answered`` gets an event and the JSON that the receiver answered to it."""

    def __init__(
        self,
        receiver: Receiver,
        policy: Policy,
        events: EventLog,
        answered: Callable[[Entry, bytes], Awaitable[None]] | None = None,
        deadlines: Deadlines | None = None,
    ) -> None:
        self.receiver = receiver
        self.delivered = 0  # since the process began, as the next
        self.refused = 0
        self.failed = 0  # tries that are followed by another
        self.last_attempt: LastAttempt | None = None
        self._policy = policy
        self._log = events
        self._answered = answered
        self._deadlines = deadlines or Deadlines()
        self._lanes = Lanes(policy)
        self._name = ""  # of the log that the next two are of
        self._queue: deque[Entry] = deque()
        # Cursor: all of the queue up to here was dealt with. That it is on disk as such comes later.
        self._done: tuple[str, int] = "", 0
        self._from_start = False
        self._again = asyncio.Event()
        self._empty = asyncio.Event()
        self._error = NOTHING
        self._retry_error = NOTHING
        self._told: dict[str, float] = {}

    @property
    def address(self) -> str:
        return self.receiver.address

    @property
    def last_error(self) -> Text:
        """Why the last report was not delivered, empty while all are; with a retry lane, its reason."""
        return self._error or (self._retry_error if self._is_retrying else NOTHING)

    async def run(self) -> None:
        """Deliver until cancelled."""
        if not self.address:
            return
        # A digest: only a change matters, and the address may contain a password.
        receiver = hashlib.sha256(self.address.encode("utf-8", "replace")).hexdigest()
        aimed = self._log.aim(receiver, self._policy.strict)
        # A full disk must not stop the delivery of reports on it.
        await asyncio.wait({aimed}, timeout=self._policy.first)
        is_begun = False
        async with posting(self.receiver, self._policy) as poster:
            while True:
                try:
                    if not is_begun:
                        self._lanes.asides |= await self._log.kinds_aside()
                        is_begun = True
                    await self._turn(poster)
                except Unavailable as problem:
                    # Tried until the log can be read again: the store repairs or replaces a damaged one.
                    self._error = problem.full_text
                    self._queue.clear()
                    if self._is_news("log"):
                        log.error("nothing can be delivered: %s", problem)
                    await asyncio.sleep(self._policy.first)

    def again(self) -> None:
        """Look at everything that is pending, now: something was replayed, or a pause is to be cut short."""
        self._from_start = True
        self._look()

    def _look(self) -> None:
        self._again.set()
        self._log.nudge()

    async def flush(self, seconds: float) -> None:
        """Wait up to ``seconds`` until the queue is delivered; the rest is delivered after the next start."""
        if not self.address:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._log.settled(seconds)
                self._empty.clear()
                self._look()
                await self._empty.wait()
        except TimeoutError:
            log.warning(
                "%d reports remain for the next start: %s",
                self._log.counts.waiting,
                self.last_error or "not enough time",
            )

    # -- one report at a time

    async def _turn(self, poster: Poster) -> None:
        """Post the report that is next, or wait until there may be one."""
        news = self._log.news  # before looking: a report in between wakes the wait below
        if self._again.is_set():
            self._again.clear()
            self._queue.clear()
            self._lanes.resume()
        if self._log.counts.name != self._name:  # it is known now, or a damaged log was replaced
            self._name = self._log.counts.name
            self._queue.clear()
            # The new log may have reports in the retry lane: look for them.
            self._lanes.retry_due(0.0)
        # The cursor may go back only when all results are on disk: otherwise reports just delivered would be read
        # again.
        if self._from_start and await self._log.settled(self._policy.longest):
            self._done, self._from_start = ("", 0), False
        if self._lanes.is_paused(time.monotonic()):
            await self._rest(None)
            # Read again, because the report may have become a dead letter; but only after its last attempt is stored
            # and counted.
            if await self._log.settled(self._policy.first):
                self._queue.clear()
            return
        head = await self._head()
        lane = self._lanes.next_lane(time.monotonic(), queued=head is not None, retrying=self._is_retrying)
        if lane is Lane.QUEUE and head is not None:
            await self._deliver(poster, head, lane)
        elif lane is Lane.RETRY:
            if (due := await self._due()) is not None:
                await self._deliver(poster, due, lane)
        else:
            if not self._log.writing:  # else the log signals news once it is written
                self._empty.set()
            await self._rest(news)

    async def _rest(self, news: asyncio.Event | None) -> None:
        """Wait until a pause is over. ``again`` ends it, and so does a new report if it may be posted."""
        seconds = self._lanes.idle_seconds(time.monotonic(), retrying=self._is_retrying)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await (self._again if news is None else news).wait()

    @property
    def _is_retrying(self) -> bool:
        return self._log.counts.retrying > 0

    async def _head(self) -> Entry | None:
        """Return the first report of the queue."""
        if not self._queue:
            name, seq = self._done
            where = Selection((EntryState.PENDING,), after=seq, log=name, queue=True)
            found = await self._log.upcoming(where, _AT_ONCE, LIGHT_BYTES)
            self._queue.extend(found)
        return self._queue[0] if self._queue else None

    async def _due(self) -> Entry | None:
        """Return the report of the retry lane whose pause is over; None when none is."""
        # Only after the results are on disk: otherwise a delivered report would be posted again.
        if not await self._log.settled(self._policy.first):
            self._lanes.retry_due(time.monotonic() + self._policy.first)
            return None
        now, longest = time.time(), 2 * self._policy.longest
        found = await self._log.first_aside(LIGHT_BYTES, now + longest)
        if found is None:
            self._lanes.retry_due(math.inf)
            return None
        if 0 < (pause := found.next_at - now) < longest:
            self._lanes.retry_due(time.monotonic() + pause)
            return None
        return found

    async def _deliver(self, poster: Poster, entry: Entry, lane: Lane) -> None:
        """Post one report and note the result."""
        stored = entry.body or await self._log.body(entry)
        if stored is None:
            self._queue.clear()  # it was deleted, or the log was replaced
            return
        began = time.monotonic()
        # Also while media are read: a hanging disk must be detected.
        limit = self._policy.timeout + WEBHOOK_ANSWER_SECONDS + _OVERTIME
        with self._deadlines.within(limit, "posting a report"):
            body = await self._body(entry, stored)
            # With content, both would stay in memory until the receiver has answered.
            del stored
            try:
                result = await self._post(poster, entry, body)
            finally:
                body.release()
        if result.answer.strip() and self._answered is not None:
            # First: a report that is not noted as delivered is answered again.
            await self._answered(replace(entry, body=body.stored), result.answer)
        # ``replayed`` attempts belong to an earlier turn: pauses began again since.
        attempt = Attempt(entry.id, lane, body.kind, max(0, entry.attempts - entry.replayed))
        decision = self._lanes.after(attempt, result, began, time.monotonic())
        if lane is Lane.QUEUE:
            self._queue.popleft()
            if decision.step is NextStep.AGAIN:
                # Counted in memory, because the disk may be unwritable for longer than the pause.
                self._queue.appendleft(replace(entry, attempts=entry.attempts + 1))
            else:
                # Before the note is on disk: the next read must not find it again, however long the commit takes.
                self._done = entry.log, entry.seq
        self._note(entry, body.kind, result, decision)

    async def _post(self, poster: Poster, entry: Entry, body: Body) -> Result:
        if not body.kind:
            return Result(DeliveryOutcome.DAMAGED, error=Text("its entry in the event log is damaged"))
        headers = await self._headers(entry, body.content)
        began = time.monotonic()
        result = await poster.post(body.content, headers)
        self.last_attempt = LastAttempt(time.time(), result.status, time.monotonic() - began)
        return result

    async def _body(self, entry: Entry, stored: bytes) -> Body:
        media = entry.media if self.receiver.with_data else ""
        if is_light(stored, media):
            return prepare(stored)
        return await asyncio.to_thread(prepare, stored, media, self.receiver.most_media)

    async def _headers(self, entry: Entry, body: bytes | bytearray) -> dict[str, str]:
        secrets = self.receiver.secrets
        made = partial(report_headers, secrets, entry.delivery, entry.seq, entry.epoch, entry.attempts + 1, body)
        return await asyncio.to_thread(made) if secrets and len(body) > LIGHT_BYTES else made()

    def _note(self, entry: Entry, kind: str, result: Result, decision: Decision) -> None:
        """Note the result of a report: in the log, for the status, and in the journal."""
        # Its text may contain parts of the response's headers.
        error, status = one_line(str(result.error)) if result.error else "", result.status
        next_at = time.time() + decision.pause
        match decision.step:
            case NextStep.DELIVERED:
                self.delivered += 1
                self._error = NOTHING
                # The next failure begins a new series.
                self._told.pop("", None)
                self._log.delivered(entry, status)
            case NextStep.DEAD:
                self.refused += 1
                self._error = result.error
                self._log.died(entry, error, status)
                log.error(
                    "the webhook %s refused a report (%s), now a dead letter: %s; see: wxctl deliveries list NAME",
                    *(redacted(self.address), entry.type, error),
                    extra=fields(Event.DELIVERY_DEAD),
                )
            case NextStep.ASIDE:
                self.failed += 1
                self._error, self._retry_error = NOTHING, result.error
                self._log.moved_aside(entry, kind, error, status, next_at)
                self._log_failure(kind, entry, error, decision.pause, Lane.RETRY)
            case NextStep.AGAIN:
                self.failed += 1
                self._error = result.error
                self._log.failed(entry, error, status, next_at)
                self._log_failure("", entry, error, decision.pause, Lane.QUEUE)

    def _log_failure(self, what: str, entry: Entry, error: str, pause: float, lane: Lane) -> None:
        if self._is_news(what):
            log.warning(
                "the webhook %s did not accept a report (%s): %s; retrying in %.0f s (%s lane, waiting: %d)",
                *(redacted(self.address), entry.type, error, pause, lane, self._log.counts.waiting),
                extra=fields(Event.DELIVERY_FAILED),
            )

    def _is_news(self, what: str) -> bool:
        """Whether to log a failure: the first of a series, and then one in so many seconds."""
        now = time.monotonic()
        if what in self._told and now - self._told[what] < _TELL_SECONDS:
            return False
        self._told[what] = now
        return True
