"""Posting events to post_api: in order, each until it is taken, and noting in the event log what became of it."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from wxcontroller.client.deliveries.outbound import TargetConnector
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.events import Entry, Selection, State
from wxcontroller.client.store.writer import Unavailable
from wxcontroller.client.tasks import either
from wxcontroller.core.account import redacted
from wxcontroller.core.backoff import Backoff
from wxcontroller.core.journal import Event, fields
from wxcontroller.core.jsontypes import kept_json
from wxcontroller.core.limits import DEFAULTS
from wxcontroller.core.targets import Targets
from wxcontroller.core.unreached import unreached
from wxcontroller.core.vitals import Vitals
from wxcontroller.openwx.replies import to_bytes

log = logging.getLogger(__name__)
_AT_ONCE = 32  # entries read from the log in one go
_CONNECT_SECONDS = 10.0
# The log does not keep the content of what was delivered: reports of own sends bring theirs along.
_HEAVY = 64 * 1024
# So much longer than its own limits no post takes, unless something is wrong with the waiting.
_OVERTIME = 60.0
# Failures in the journal: the first of a row, then so many seconds apart.
_TELL_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Policy:
    """How hard it is tried: pauses double from ``first`` to ``longest`` seconds; ``final`` statuses say never.

    Answers are replies, not downloads: so many bytes of one are read, in so many seconds.
    """

    first: float = 5.0
    longest: float = 300.0
    final: frozenset[int] = frozenset({400, 410, 413, 415, 422})
    timeout: float = 35.0
    answer_bytes: int = DEFAULTS.webhooks.webhook_answer_bytes
    answer_seconds: float = DEFAULTS.webhooks.webhook_answer_seconds


_ANYWHERE = Targets()


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who gets the reports: an address, "" for nobody, and the secrets that sign (two while they are changed)."""

    address: str
    user_agent: str
    secrets: Sequence[str] = field(default=(), repr=False)
    with_data: bool = True
    targets: Targets = _ANYWHERE
    most_media: int = DEFAULTS.media.report_media_bytes


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return HMAC-SHA256 in hex over the timestamp, a dot and the body."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class Delivery:
    """Delivers what is pending. ``answered`` gets an event and the JSON that the receiver answered to it."""

    def __init__(
        self,
        receiver: Receiver,
        policy: Policy,
        events: EventLog,
        answered: Callable[[Entry, bytes], Awaitable[None]] | None = None,
        vitals: Vitals | None = None,
    ) -> None:
        self.receiver = receiver
        self.last_error = ""
        self.delivered = 0  # since the process began, as the next
        self.refused = 0
        self.failed = 0  # tries that are followed by another
        self._policy = policy
        self._log = events
        self._answered = answered
        self._vitals = vitals or Vitals()
        self._done = 0  # all up to this sequence were dealt with; that they are on disk as such comes later
        self._from_start = False
        self._again = asyncio.Event()
        self._empty = asyncio.Event()
        self._told = 0.0

    @property
    def address(self) -> str:
        return self.receiver.address

    async def run(self) -> None:
        """Deliver until cancelled."""
        if not self.address:
            return
        headers = {"Content-Type": "application/json", "User-Agent": self.receiver.user_agent}
        timeout = aiohttp.ClientTimeout(
            total=self._policy.timeout, connect=min(_CONNECT_SECONDS, self._policy.timeout)
        )
        async with aiohttp.ClientSession(
            connector=TargetConnector(self.receiver.targets),
            timeout=timeout,
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as web:
            while True:
                news = self._log.news
                if self._from_start and await self._log.settled(self._policy.longest):
                    self._done, self._from_start = 0, False
                try:
                    batch = await self._log.shown(Selection((State.PENDING,), after=self._done), _AT_ONCE)
                except Unavailable as problem:
                    log.error("%s", problem)
                    await asyncio.sleep(self._policy.first)
                    continue
                if not batch and self._log.writing and await self._log.settled(self._policy.first):
                    continue  # what was said meanwhile is there now
                if not batch:
                    self._empty.set()
                    await either(news, self._again)
                self._again.clear()
                for entry in batch:
                    if not await self._deliver(web, entry) or self._again.is_set():
                        break

    def again(self) -> None:
        """Look at everything that is pending, now: something was replayed, or a pause is to be cut short."""
        self._from_start = True
        self._again.set()

    async def flush(self, seconds: float) -> None:
        """Wait until everything is delivered, at most ``seconds``; what is left is delivered after the next start."""
        if not self.address:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._log.settled(seconds)
                self._empty.clear()
                self._again.set()
                await self._empty.wait()
        except TimeoutError:
            log.warning(
                "%d reports stay for the next start: %s", self._log.counts.waiting, self.last_error or "no time"
            )

    async def _deliver(self, web: aiohttp.ClientSession, entry: Entry) -> bool:
        """Deliver one entry or find that it can't be; False after a pause: the world may be another."""
        with self._vitals.within(self._policy.timeout + self._policy.answer_seconds + _OVERTIME, "posting a report"):
            error, status = await self._post(web, entry)
        if not error:
            self.delivered += 1
            self._told, self.last_error = 0.0, ""
            self._done = entry.seq
            return True
        self.last_error = error
        if status in self._policy.final:
            self.refused += 1
            self._log.died(entry, error, status)
            self._done = entry.seq
            log.error(
                "a %s report was refused by %s and is a dead letter: %s; see: wxctl deliveries list",
                entry.type,
                redacted(self.address),
                error,
                extra=fields(Event.DELIVERY_DEAD),
            )
            return True
        backoff = Backoff(self._policy.first, self._policy.longest)
        backoff.tries = max(0, entry.attempts - entry.replayed)
        pause = backoff.next()
        self.failed += 1
        self._log.failed(entry, error, status, time.time() + pause)
        self._tell(entry, pause)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._again.wait()
        return False

    async def _post(self, web: aiohttp.ClientSession, entry: Entry) -> tuple[str, int]:
        """Post one entry; returns the trouble in words ("" when it was taken) and the HTTP status, 0 for none."""
        body = await self._body(entry)
        try:
            async with web.post(self.address, data=body, headers=self._headers(entry, body)) as answer:
                if not 200 <= answer.status < 300:
                    return f"it answers {answer.status}", answer.status
                await self._hear(entry, answer)  # first: what is not noted as delivered is answered again
                self._log.delivered(entry, answer.status, _lighter(entry))
                return "", answer.status
        except (aiohttp.ClientError, OSError, ValueError) as problem:  # a TimeoutError is the second
            return unreached(problem), 0

    def _headers(self, entry: Entry, body: bytes) -> dict[str, str]:
        timestamp = str(int(time.time()))
        found = {
            "X-Wx-Delivery": entry.id,
            "X-Wx-Sequence": str(entry.seq),
            "X-Wx-Timestamp": timestamp,
            "X-Wx-Attempt": str(entry.attempts + 1),
        }
        signed = [f"sha256={signature(secret, timestamp, body)}" for secret in self.receiver.secrets]
        if signed:
            found["X-Wx-Signature"] = ", ".join(signed)
        return found

    async def _body(self, entry: Entry) -> bytes:
        if not entry.media or not self.receiver.with_data:
            return entry.body
        data = await asyncio.to_thread(content_of, entry.media, self.receiver.most_media)
        return to_bytes({**kept_json(entry.body), "media_data": data}) if data else entry.body

    async def _hear(self, entry: Entry, answer: aiohttp.ClientResponse) -> None:
        """Pass on a JSON answer (openwx-api 3.4). The report is delivered, whatever becomes of its answer."""
        if self._answered is None or answer.content_type not in ("application/json", "text/json"):
            return
        content = b""
        try:
            async with asyncio.timeout(self._policy.answer_seconds):
                async for piece in answer.content.iter_chunked(16 * 1024):
                    content += piece
                    if len(content) > (most := self._policy.answer_bytes):
                        log.warning("the webhook's answer is larger than %d bytes and is not read", most)
                        return
        except (TimeoutError, aiohttp.ClientError, OSError):
            log.warning("the webhook's answer can't be read to its end")
            return
        if content.strip():
            await self._answered(entry, content)

    def _tell(self, entry: Entry, pause: float) -> None:
        now = time.monotonic()
        if self._told and now - self._told < _TELL_SECONDS:
            return
        self._told = now
        log.warning(
            "a %s report was not taken by %s: %s; tried again in %.0f s, %d wait",
            entry.type,
            redacted(self.address),
            self.last_error,
            pause,
            self._log.counts.waiting,
            extra=fields(Event.DELIVERY_FAILED),
        )


def content_of(path: str, most: int) -> str:
    """Return a media file as base64 in lines of 76 (openwx-api 3.2), "" when it is gone or too large."""
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(most + 1)
    except OSError:
        return ""
    return "" if len(content) > most else base64.encodebytes(content).decode("ascii")


def _lighter(entry: Entry) -> bytes | None:
    """Return the body without its content when that is large, else None: nothing is to be changed."""
    if len(entry.body) <= _HEAVY:
        return None
    report = kept_json(entry.body)
    return to_bytes({**report, "media_data": ""}) if report.get("media_data") else None
