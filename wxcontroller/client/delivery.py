"""Posting reports to post_api: in order, each until it is taken, while the account goes on working.

What could not be delivered before the process ends is kept beside the session and posted first by the next one.
"""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from wxcontroller.core.account import redacted
from wxcontroller.core.backoff import Backoff
from wxcontroller.core.files import replace_file
from wxcontroller.core.journal import Event, fields
from wxcontroller.core.jsontypes import JsonObject, items, obj
from wxcontroller.core.vitals import Vitals
from wxcontroller.openwx.replies import to_bytes

log = logging.getLogger(__name__)
# Beyond this a receiver that is down for very long would eat the machine's memory. It is more than may wait to be
# sent: at a stop each of those becomes a report.
MOST_WAITING = 12_000
_TIMEOUT = aiohttp.ClientTimeout(total=35, connect=10)
# No post takes longer, unless something is wrong with the waiting.
_STUCK_SECONDS = 90.0
# Beyond this many bytes, reports wait without the media's content; the path stays.
MOST_BYTES = 64 * 1024 * 1024
# Answers of the receiver are replies, not downloads.
_MOST_ANSWER = 256 * 1024
_ANSWER_SECONDS = 10.0
# Answers that say "never this one". Others, 404 and 403 included, are what a receiver says while it is replaced.
_FINAL = frozenset({400, 410, 413, 415, 422})


class Delivery:
    """The queue of reports of one account.

    ``address`` is post_api, "" when there is none: reports then go nowhere, as in the original. ``store`` is the
    file for what is left at the end. ``answered`` gets a report and the JSON that the receiver answered to it.
    """

    def __init__(
        self,
        address: str,
        user_agent: str,
        store: Path,
        answered: Callable[[bytes, bytes], Awaitable[None]] | None = None,
        vitals: Vitals | None = None,
    ) -> None:
        self.address = address
        self._answered = answered
        self._vitals = vitals or Vitals()
        self._bytes = 0
        self._user_agent = user_agent
        self._store = store
        self._waiting: deque[bytes] = deque()
        self._since: deque[float] = deque()  # when each was queued, seconds since 1970
        self._news = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._restored = 0
        self.delivered = 0
        self.refused = 0
        self.dropped = 0
        self.last_error = ""

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def oldest_since(self) -> float | None:
        """When the first of those that wait was queued, seconds since 1970; None when none waits."""
        return self._since[0] if self._since else None

    def put(self, report: JsonObject) -> None:
        """Queue a report. Never waits."""
        if not self.address:
            return
        if len(self._waiting) >= MOST_WAITING:
            self._take_first()
            self.dropped += 1
            log.error(
                "a report was dropped: %d wait for %s already; %s",
                MOST_WAITING,
                redacted(self.address),
                self.last_error,
                extra=fields(Event.DELIVERY_FAILED),
            )
        body = to_bytes(report)
        if report.get("media_data") and self._bytes + len(body) > MOST_BYTES:
            body = to_bytes({**report, "media_data": ""})
        self._waiting.append(body)
        self._since.append(time.time())
        self._bytes += len(body)
        self._empty.clear()
        self._news.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        if not self.address:
            return
        self._restore()
        headers = {"Content-Type": "application/json", "User-Agent": self._user_agent}
        backoff = Backoff(first=1, longest=60)
        async with aiohttp.ClientSession(
            timeout=_TIMEOUT, headers=headers, cookie_jar=aiohttp.DummyCookieJar()
        ) as web:
            while True:
                while not self._waiting:
                    self._empty.set()
                    self._news.clear()
                    await self._news.wait()
                with self._vitals.within(_STUCK_SECONDS, "posting a report"):
                    done = await self._post(web, self._waiting[0])
                if done:
                    self._take_first()
                    self._done_with_restored()
                    backoff.reset()
                else:
                    await asyncio.sleep(backoff.next())

    async def flush(self, seconds: float) -> None:
        """Wait until everything is delivered, at most ``seconds``; then keep what is left for the next start."""
        if not self.address:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            log.warning(
                "%d reports are kept for the next start: %s", len(self._waiting), self.last_error or "no time"
            )

    def keep(self) -> None:
        """Write what is left to the store. Raises nothing: what can't be kept is logged."""
        if not self.address:
            return
        if not self._waiting:
            self._store.unlink(missing_ok=True)
            return
        content = json.dumps([body.decode() for body in self._waiting], ensure_ascii=False).encode()
        try:
            replace_file(self._store, content, durable=True)
        except OSError as problem:
            log.error("%d undelivered reports are lost: %s", len(self._waiting), problem)

    def _restore(self) -> None:
        try:
            stored = json.loads(self._store.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, ValueError) as problem:
            log.error("undelivered reports of the last run can't be read: %s", problem)
            return
        bodies = [body.encode() for body in items(stored) if isinstance(body, str)]
        if bodies:
            log.info("%d reports of the last run are delivered first", len(bodies))
            self._waiting.extendleft(reversed(bodies))
            self._since.extendleft([self._store.stat().st_mtime] * len(bodies))  # when the last run gave them up
            self._bytes += sum(map(len, bodies))
            self._restored = len(bodies)  # the file stays until they are delivered: a kill must not lose them
            self._empty.clear()
        else:
            self._store.unlink(missing_ok=True)

    def _take_first(self) -> None:
        self._bytes -= len(self._waiting.popleft())
        self._since.popleft()

    def _done_with_restored(self) -> None:
        if self._restored:
            self._restored -= 1
            if not self._restored:
                self._store.unlink(missing_ok=True)

    async def _post(self, web: aiohttp.ClientSession, body: bytes) -> bool:
        """Post one report; True when it is done with, whatever the outcome."""
        try:
            async with web.post(self.address, data=body) as answer:
                if 200 <= answer.status < 300:
                    self.delivered += 1
                    self.last_error = ""
                    await self._hear(body, answer)
                    return True
                self.last_error = f"it answers {answer.status}"
        except TimeoutError:
            self.last_error = "it does not answer in time"
            self._log_failure(body)
            return False
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            self.last_error = f"it can't be reached ({type(problem).__name__})"
            self._log_failure(body)
            return False
        self._log_failure(body)
        if answer.status in _FINAL:
            self.refused += 1
            return True
        return False

    async def _hear(self, body: bytes, answer: aiohttp.ClientResponse) -> None:
        """Pass on a JSON answer (openwx-api 3.4). The report is delivered, whatever becomes of its answer."""
        if self._answered is None or answer.content_type not in ("application/json", "text/json"):
            return
        content = b""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                async for piece in answer.content.iter_chunked(16 * 1024):
                    content += piece
                    if len(content) > _MOST_ANSWER:
                        log.warning("the webhook's answer is larger than %d bytes and is not read", _MOST_ANSWER)
                        return
        except (TimeoutError, aiohttp.ClientError, OSError):
            log.warning("the webhook's answer can't be read to its end")
            return
        if content.strip():
            await self._answered(body, content)

    def _log_failure(self, body: bytes) -> None:
        report = obj(json.loads(body))
        kind = report.get("event") or report.get("post_type")
        log.warning(
            "a %s report was not taken by %s: %s; %d wait",
            kind,
            redacted(self.address),
            self.last_error,
            len(self._waiting),
            extra=fields(Event.DELIVERY_FAILED),
        )
