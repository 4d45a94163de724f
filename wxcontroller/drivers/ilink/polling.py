"""Receive messages, and decide when a session is over (ilink-bot-protocol, sections 4 to 6).

A poll is held by the server until something arrives. Delivery counts as consumption: an older cursor does not bring
messages back. So a raw batch is on disk with the new cursor before the first of its messages is reported; a
process that ends in the middle of a batch leaves the whole of it to the next one. A message that is reported again
then has the id it had, and the event log has it already.

``-14`` of a poll may be a logout, a session that the server dropped while idle, or a request that lost its token on
the way. It is confirmed before a scan is required (5.5): announce the client again, poll once more with the
same cursor, and only a second ``-14`` is a logout.
"""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.model import Contact
from wxcontroller.core.process.faultpoints import Point, reached
from wxcontroller.core.text.templates import Text
from wxcontroller.drivers.base import Checkpoint, MessageArrived, Offline, Online, RosterChanged
from wxcontroller.drivers.connection.failures import NoAnswer
from wxcontroller.drivers.connection.pulse import Pulse
from wxcontroller.drivers.ilink import decode
from wxcontroller.drivers.ilink.decode import SESSION_TIMEOUT, Arrived, Updates
from wxcontroller.drivers.ilink.memory import ILinkMemory
from wxcontroller.drivers.ilink.timing import ILinkTiming
from wxcontroller.drivers.ilink.wire import Credentials, HttpError, ILinkCalls

log = logging.getLogger(__name__)
_EDGE_STATUSES = frozenset({502, 504, 524})


@dataclass(slots=True)
class Poller:
    """Polls for one session. ``confirming`` is set while it is checked whether the session is over.

    ``tell`` reports both ``confirming`` and ``revived`` to the account.
    """

    calls: ILinkCalls
    credentials: Credentials
    memory: ILinkMemory
    pulse: Pulse
    timing: ILinkTiming
    tell: Callable[[], Awaitable[None]]
    confirming: bool = False
    revived: int = 0
    _hint: float = 0.0
    _short: float = 0.0  # seconds of a poll behind an edge that cuts longer ones off, 0 for no such edge
    _short_since: float = 0.0
    _heard: float = field(default_factory=time.monotonic)
    _online: bool = False
    _entered: bool = False  # it has been online
    _failures: int = 0
    _cures: deque[float] = field(default_factory=deque)
    _recent: OrderedDict[str, float] = field(default_factory=OrderedDict)  # fingerprints of the last moments

    async def poll(self) -> None:
        """Receive until the session is over."""
        await self._report()
        while True:
            # What arrives has to be stored: a poll begins only while the log takes everything.
            await self.pulse.emit(Checkpoint())
            answer = await self._poll_once(self._patience())
            if answer is None:
                continue
            failure = decode.verdict("getupdates", answer)
            if failure is None:
                await self._received(decode.updates(answer))
            elif failure.ret != SESSION_TIMEOUT:
                await self._failed(decode.failure_error(failure).full_text)
            elif not await self._alive():
                return

    # -- one poll

    def _patience(self) -> float:
        """Return how long the next poll may be held."""
        if self._short and time.monotonic() - self._short_since > self.timing.short_poll_for:
            self._short = 0.0
        return self._short or min(self._hint or self.timing.hint, self.timing.hint_max) + self.timing.hint_extra

    async def _poll_once(self, seconds: float) -> JsonObject | None:
        """Poll once. Return None if there are no messages, for any reason."""
        began = time.monotonic()
        # A separate task: a poll that is cancelled loses its messages, so cancelling the wait must not cancel the
        # poll.
        polling = asyncio.ensure_future(self.calls.updates(self.credentials, self.memory.cursor, seconds))
        try:
            if not self._entered:
                # The server answers a dead token at once, so a held poll shows that the session is alive.
                await asyncio.wait({polling}, timeout=self.timing.held_alive)
                if not polling.done():
                    await self._online_now()
            return await self.pulse.wait(settled(polling))
        except NoAnswer as problem:
            if problem.timed_out:  # a normal end, but without an answer
                await self._offline_if_silent(Text("WeChat has not answered"))
                return None
            self._cut_off(time.monotonic() - began)
            await self._failed(problem.text)
        except HttpError as problem:
            if problem.status in _EDGE_STATUSES:
                self._cut_off(time.monotonic() - began)
            await self._failed(problem.text)
        except WeChatError as problem:
            await self._failed(problem.text)
        finally:
            polling.cancel()
            await asyncio.gather(polling, return_exceptions=True)
        return None

    async def _online_now(self) -> None:
        self._heard, self._entered = time.monotonic(), True
        if not self._online:
            self._online = True
            await self.pulse.emit(Online())

    def _cut_off(self, held: float) -> None:
        """Poll for shorter times if an edge cuts off long polls (6)."""
        if held < self.timing.edge_least:
            return
        now = time.monotonic()
        again = bool(self._short) and now - self._short_since < self.timing.edge_again
        self._short = self.timing.short_poll if again else max(self.timing.short_poll, held - 3.0)
        self._short_since = now

    async def _failed(self, words: Text) -> None:
        """Pause after a failed poll: shortly, and longer after three in a row."""
        self._failures += 1
        await self._offline_if_silent(words)
        rests = self._failures >= 3
        if rests:
            self._failures = 0
        # As the official client does it: 2 s, and 30 s after three in a row (4).
        await self.pulse.pause(self.timing.poll_rest if rests else self.timing.poll_retry)

    async def _offline_if_silent(self, words: Text) -> None:
        silent = time.monotonic() - self._heard
        if self._online and silent > max(self.timing.offline_after, self._patience() + self.timing.poll_retry):
            self._online = False
            await self.pulse.emit(Offline(words))

    # -- its messages

    async def _received(self, found: Updates) -> None:
        if found.batch:
            reached(Point.POLLED)
        self._failures, self._heard = 0, time.monotonic()
        self._hint = found.hint or self._hint
        moved = bool(found.cursor) and found.cursor != self.memory.cursor
        if moved:
            self.memory.cursor = found.cursor
        if moved or found.batch:
            # Cursor and raw messages in one commit: the server never returns this batch again.
            self.memory.batch = found.batch
            await self.pulse.emit(self.memory.checkpoint())
        reached(Point.ACKNOWLEDGED)
        await self._report()
        await self._online_now()
        await self.pulse.progress(heard=True)

    async def _report(self) -> None:
        """Report the batch that is on disk, and note there that it is done."""
        if not self.memory.batch:
            return
        news = [message for message in decode.messages(self.memory.batch) if self._is_new(message)]
        # Only now: equal messages of one answer are two messages (6).
        self._recent.update(dict.fromkeys((message.fingerprint for message in news), time.monotonic()))
        now = int(time.time())
        met = [message.peer for message in news if self.memory.hear(message.peer, message.context, now)]
        if met:
            await self.pulse.emit(
                RosterChanged(contacts=tuple(Contact(id=peer, name="", display=peer) for peer in met))
            )
        for message in news:
            for part in message.parts:
                await self.pulse.emit(MessageArrived(part))
        # With the ids of its messages, in one commit: a crash before leaves the batch, one after it the ids.
        self.memory.batch = ()
        await self.pulse.emit(self.memory.checkpoint())

    def _is_new(self, message: Arrived) -> bool:
        """Whether a message is new. Even a repeated one has a newer context token (6)."""
        now = time.monotonic()
        while self._recent and now - next(iter(self._recent.values())) > self.timing.redelivery:
            self._recent.popitem(last=False)
        repeated = message.fingerprint in self._recent or not self.memory.is_new(message.ids)
        if repeated and message.peer in self.memory.peers and message.context:
            self.memory.peers[message.peer].context = message.context
        return not repeated

    # -- is it over?

    async def _alive(self) -> bool:
        """Confirm a logout before declaring one (5.5)."""
        now = time.monotonic()
        while self._cures and now - self._cures[0] > self.timing.cures_within:
            self._cures.popleft()
        if len(self._cures) >= self.timing.cures:
            log.warning(
                "the session was revived %d times within minutes; another client may use it", self.timing.cures
            )
            return False
        await self._confirm(True)
        try:
            return await self._confirmed_alive()
        finally:
            # Not by ``_confirm``: when the session is over, sends have to stay held until the login has ended.
            self.confirming = False

    async def _confirm(self, confirming: bool) -> None:
        if confirming is not self.confirming:
            self.confirming = confirming
            await self.tell()

    async def _confirmed_alive(self) -> bool:
        try:
            await self.pulse.wait(self.calls.notify(self.credentials, True, self.timing.brief))
        except WeChatError as problem:
            log.debug("%s", problem.message)  # its own answer is ignored
        await self.pulse.pause(self.timing.confirm_pause)
        polling = asyncio.ensure_future(self.calls.updates(self.credentials, self.memory.cursor, self._patience()))
        try:
            await asyncio.wait({polling}, timeout=self.timing.confirm_alive)
            # A held poll shows that the session is alive. It is not cancelled, because its messages arrive only once.
            if not polling.done():
                await self._revive()
            answer = await self.pulse.wait(settled(polling))
        except WeChatError as problem:
            log.info("resuming to poll the session: %s", problem.message)
            await self._confirm(False)
            return True
        finally:
            polling.cancel()
            await asyncio.gather(polling, return_exceptions=True)
        failure = decode.verdict("getupdates", answer)
        if failure is not None and failure.ret == SESSION_TIMEOUT:
            # From a poll that was held, it is a new one, and is confirmed like any other.
            return False if self.confirming else await self._alive()
        if self.confirming:
            await self._revive()
        if failure is None:
            await self._received(decode.updates(answer))
        return True

    async def _revive(self) -> None:
        self._cures.append(time.monotonic())
        self.revived += 1
        log.info("the session is valid again after the client announced itself")
        await self._confirm(False)


async def settled(polling: "asyncio.Future[JsonObject]") -> JsonObject:
    return await polling
