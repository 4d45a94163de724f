"""Queries about people and groups: one queue with one request in flight, at the pace that WeChat tolerates. The
contact API refuses too many requests (weixin-web-protocol 5.4).
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from wxcontroller.core.backoff import Backoff
from wxcontroller.core.errors import WeChatError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.drivers.connection.failures import NoAnswer, UnreadableResponse
from wxcontroller.drivers.web.decode.failures import SESSION_OVER, TOO_FREQUENT, Overloaded
from wxcontroller.drivers.web.decode.listing import batch_of
from wxcontroller.drivers.web.decode.text import is_group
from wxcontroller.drivers.web.wire.calls import WebCalls, WebSession
from wxcontroller.drivers.web.wire.timing import WebTiming

log = logging.getLogger(__name__)
# WeChat's limit for one request, and its page's steps after a refusal (5.4).
_BATCH = 50
# A refused batch is retried in ever smaller pieces; an id refused alone never again.
_SMALLER = {50: 10, 10: 5, 5: 1}


class Asker(Protocol):
    """The receiver of answers."""

    def knows(self, name: str) -> bool:
        """Whether no request about a person or group is needed."""
        ...

    def group_key(self, group: str) -> str:
        """Return the handle for queries of a group's members, "" if unknown."""
        ...

    async def found(self, entries: Iterable[JsonObject]) -> None:
        """Take over contact objects. Iterating over them raises WeChatError for a damaged answer."""
        ...

    async def detailed(self, members: Iterable[str], groups: Iterable[str], entries: tuple[JsonObject, ...]) -> None:
        """Store details of group members; there are no further details of these ``members``."""
        ...


@dataclass(slots=True)
class Inquiries:
    """The queue of one session. ``work`` empties it."""

    calls: WebCalls
    session: WebSession
    timing: WebTiming
    asker: Asker
    # Idle work: its earliest time (monotonic), and the work.
    errand: tuple[float, Callable[[], Awaitable[None]]] | None = None
    # The contact API reports the session's end: only the sync loop decides that.
    doubted: bool = False
    _wanted: dict[str, None] = field(default_factory=dict)
    _details: dict[str, str] = field(default_factory=dict)  # member → group: to be requested at leisure
    _refused: list[tuple[int, list[str]]] = field(default_factory=list)  # (piece size, ids)
    _hopeless: set[str] = field(default_factory=set)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _settled: asyncio.Condition = field(default_factory=asyncio.Condition)
    _unreadable: int = 0  # answers in a row
    _tokens: float = field(init=False)
    _filled: float = field(init=False)

    def __post_init__(self) -> None:
        self._tokens = float(self.timing.batch_burst)
        self._filled = time.monotonic()

    @property
    def pending(self) -> bool:
        """Whether there are requests that something may wait for."""
        return bool(self._wanted or self._refused)

    def open(self, name: str) -> bool:
        """Return whether a request for a person is running or planned."""
        return name in self._wanted or any(name in ids for _, ids in self._refused)

    def want(self, names: Iterable[str], again: bool = False) -> None:
        """Schedule a query for unknown people and groups (or, with ``again``, for known ones)."""
        for name in names:
            if name in self._hopeless or name in self._wanted or name == self.session.me:
                continue
            if again or not self.asker.knows(name):
                self._wanted[name] = None
        if self._wanted:
            self._news.set()

    def want_details(self, members: dict[str, str]) -> None:
        """Request members of groups, member → group, after all other requests."""
        self._details |= members
        if self._details:
            self._news.set()

    def forget(self, name: str) -> None:
        """Cancel requests for a person."""
        self._wanted.pop(name, None)

    def remind(self) -> None:
        """Wake the worker for ``errand``."""
        self._news.set()

    async def answered(self, names: Iterable[str], patience: float) -> bool:
        """Query some people before all others and wait for the result; False on timeout. Skip failed ones and those
        already being queried.
        """
        missing = [name for name in names if name not in self._hopeless and not self.open(name)]
        if not missing:
            return True
        self._wanted = dict.fromkeys(missing) | self._wanted
        self._news.set()
        return await self.settled(lambda: not any(self.open(name) for name in missing), patience)

    async def settled(self, condition: Callable[[], bool], patience: float) -> bool:
        """Wait for a condition that depends on answers; False when it takes too long."""
        try:
            async with asyncio.timeout(patience), self._settled:
                await self._settled.wait_for(condition)
        except TimeoutError:
            return False
        return True

    # -- the worker

    async def work(self) -> None:
        """Make the requests, one at a time, until cancelled."""
        backoff = Backoff(self.timing.retry_first, self.timing.retry_longest)
        while True:
            if self.pending:
                await self._query(backoff)
            elif self._details:
                if not await self._news_within(self.timing.detail_every):
                    await self._query_details(backoff)
            elif await self._news_within(None if self.errand is None else self.errand[0] - time.monotonic()):
                await asyncio.sleep(self.timing.batch_collect)
            elif self.errand is not None:
                (_, errand), self.errand = self.errand, None
                await errand()

    async def _news_within(self, seconds: float | None) -> bool:
        """Wait for the next query; False if none comes within ``seconds``."""
        self._news.clear()
        try:
            async with asyncio.timeout(seconds if seconds is None else max(0.0, seconds)):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def _query(self, backoff: Backoff) -> None:
        size, ids = self._next()
        await self._take_token()
        ids = [name for name in ids if name not in self._hopeless]
        try:
            batch = batch_of(await self.calls.batch_contacts(self.session, [(name, "") for name in ids]))
            await self.asker.found(batch)
        except (NoAnswer, Overloaded) as problem:
            log.debug("%s", problem.message)
            self._requeue(ids)
            await asyncio.sleep(backoff.next())
        except WeChatError as problem:
            self._unreadable = self._unreadable + 1 if isinstance(problem, UnreadableResponse) else 0
            if 0 < self._unreadable <= self.timing.retries:  # any of them may be the cause
                self._requeue(ids)
                await asyncio.sleep(backoff.next())
            else:
                await self._refuse(size, ids, problem)
        else:
            backoff.reset()
            self._unreadable = 0
            # An id missing in the answer, or a group without members, is not requested again.
            self._hopeless.update(name for name in ids if not self.asker.knows(name))
            for name in ids:
                self._wanted.pop(name, None)
        await self._wake_waiters()

    async def _wake_waiters(self) -> None:
        async with self._settled:
            self._settled.notify_all()

    def _next(self) -> tuple[int, list[str]]:
        if self._wanted:
            ordered = sorted(self._wanted, key=lambda name: not is_group(name))  # groups first
            return _BATCH, ordered[:_BATCH]
        return self._refused.pop(0)

    def _requeue(self, ids: list[str]) -> None:
        for name in ids:
            self._wanted.setdefault(name)

    async def _refuse(self, size: int, ids: list[str], problem: WeChatError) -> None:
        log.debug("%s", problem.message)
        for name in ids:
            self._wanted.pop(name, None)
        if problem.ret == TOO_FREQUENT or problem.ret in SESSION_OVER:
            self._requeue(ids)
            self.doubted = problem.ret != TOO_FREQUENT
            if problem.ret == TOO_FREQUENT:
                log.warning("WeChat reports too many requests for contacts; they are loaded later")
            await self._wake_waiters()
            await asyncio.sleep(self.timing.batch_pause)
            return
        smaller = _SMALLER.get(size)
        if smaller is None:
            self._hopeless.update(ids)
            return
        self._refused += [(smaller, ids[start : start + smaller]) for start in range(0, len(ids), smaller)]

    async def _query_details(self, backoff: Backoff) -> None:
        """Ask about some members. A refusal is not retried: the answer is not essential."""
        await self._take_token()
        some = list(self._details.items())[:_BATCH]
        try:
            asked = [(name, self.asker.group_key(group) or group) for name, group in some]
            found = tuple(batch_of(await self.calls.batch_contacts(self.session, asked)))
        except NoAnswer as problem:
            log.debug("%s", problem.message)
            await asyncio.sleep(backoff.next())
            return
        except WeChatError as problem:
            log.debug("%s", problem.message)
            found = ()
            if problem.ret == TOO_FREQUENT or problem.ret in SESSION_OVER:
                self._details.clear()
                await asyncio.sleep(self.timing.batch_pause if problem.ret == TOO_FREQUENT else 0)
        backoff.reset()
        for name, _ in some:
            self._details.pop(name, None)
        await self.asker.detailed([name for name, _ in some], {group for _, group in some}, found)

    async def _take_token(self) -> None:
        now = time.monotonic()
        self._tokens = min(
            float(self.timing.batch_burst), self._tokens + (now - self._filled) / self.timing.batch_every
        )
        self._filled = now
        if self._tokens < 1:
            await asyncio.sleep((1 - self._tokens) * self.timing.batch_every)
            self._filled = time.monotonic()
            self._tokens = 1.0
        self._tokens -= 1
