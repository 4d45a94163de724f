"""The send queue in any order of events: sends are placed, cancelled, held, answered and lost, and the account
crashes, logs in and out, and stops.

The real queue, its policies and the SQL of its store run on a simulated clock; WeChat and the disk do what the rules
say. A commit is a rule of its own, so that everything can happen while the disk is slow, and a crash loses what it
has not taken.
"""

import asyncio
import copy
import itertools
import logging
import os
import random
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.unit.client.simulated import Clock, Timers
from tests.unit.client.test_truncated import cut
from wxcontroller.client.callertasks import Tasks
from wxcontroller.client.incoming.checkevent import EventRing
from wxcontroller.client.incoming.reporting import Reporter
from wxcontroller.client.incoming.roster import Roster
from wxcontroller.client.sends.content.preparing import BadMedia
from wxcontroller.client.sends.model.send import Media, Send
from wxcontroller.client.sends.queue import SendQueue
from wxcontroller.client.sends.rules.pacer import Pacer
from wxcontroller.client.sends.rules.policy import RoutePolicy
from wxcontroller.client.sends.rules.sendbackoff import SendBackoff
from wxcontroller.client.sends.rules.window import Windows
from wxcontroller.client.sends.rules.windowed import WindowedRoute
from wxcontroller.client.sends.sender import Sender
from wxcontroller.client.store.database.recovery import KnownLog, recover
from wxcontroller.client.store.database.schema import SCHEMA
from wxcontroller.client.store.database.writer import Unavailable
from wxcontroller.client.store.eventlog import EventLog
from wxcontroller.client.store.mediaids import MediaIndex
from wxcontroller.client.store.sendstore import SendStore
from wxcontroller.core.condition.verdict import Cause, SendState
from wxcontroller.core.errors import FailureHandling, Unsupported, WeChatError
from wxcontroller.core.model import Contact, MessageKind
from wxcontroller.drivers import base
from wxcontroller.drivers.web.driver import WebDriver
from wxcontroller.openwx.contract.media import MediaFacts

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
PEERS = ("@ann", "@ben")
# Messages that an account may send in a day, and to a person who has written once.
DAILY, BUDGET = 40, 5
# What WeChat does with an attempt: whether the message arrives, and how the attempt ends.
ARRIVES = {"id": True, "no id": True, "lost": False, "lost but arrived": True}
FAILURES: dict[str, Exception] = {
    "lost": WeChatError("no answer"),
    "lost but arrived": WeChatError("no answer"),
    "rejected": WeChatError("system error", ret=-1, handling=FailureHandling.RETRY_SAME_ID),
    "refused": WeChatError("not a friend", ret=1204),
    "throttled": WeChatError("too many", ret=-2, handling=FailureHandling.WAIT),
    "closed": WeChatError("the window is closed", ret=-14, handling=FailureHandling.WAIT_FOR_PEER),
    "unreachable": WeChatError("can't connect", unsure=False),
    "unsupported": Unsupported("no"),
}
ANSWERS = ("id", "no id", *FAILURES)
# The steps of a history, how often they occur, and their arguments.
# Of computing only, on cores that may have much else to do; HISTORIES are more of them, in make torture.
LONGEST_SECONDS = 900 + 4 * int(os.environ.get("HISTORIES", "0"))
OFTEN = {"place": 4, "answer": 8, "advance": 3, "trouble": 2, "cancel": 1, "hear": 1, "disk": 1}
ARGUMENTS: dict[str, dict[str, Sequence[Any]]] = {
    "begin": {"windowed": [True, False], "logged_in": [True, True, True, False]},
    "place": {
        "peers": [PEERS, PEERS[:1], PEERS[1:]],
        "texts": [0, 1, 2, 3, 3],
        "media": ["", "", "good", "good", "bad"],
        "urgent": [True, False],
        "interim": [False, False, True],
        "hold": [None, None, 0.0, 100.0],
    },
    "disk": {"slow": [True, False, False]},
    "answer": {"how": [*["id"] * 6, *["rejected", "lost"] * 2, *ANSWERS], "last": [True, False, False]},
    "cancel": {"which": range(4), "current": [True, False]},
    "advance": {"seconds": [0.5, 1.0, 2.0, 2.0, 20.0, 20.0, 400.0]},
    "trouble": {
        "what": [
            *["crash", "stop", "login"] * 2,
            "logout",
            "other login",
            "clock",
            "confirm",
            "long",
            "backup",
            "adopt",
            "restore",
            "truncate",
        ],
        "flag": [True, False],
        "seconds": [-100_000.0, -60.0, 60.0],
    },
    "hear": {"peer": PEERS},
}


Step = TypeVar("Step", bound=Callable[..., None])


def drawn(step: str, kind: Callable[..., Any] = rule) -> Callable[[Step], Step]:
    """Return what makes a method a step for hypothesis."""
    decorator: Callable[[Step], Step] = kind(
        **{name: st.sampled_from(each) for name, each in ARGUMENTS[step].items()}
    )
    return decorator


class Disk:
    """A database whose commits are events of the test."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.jobs: list[tuple[Work[Any], asyncio.Future[Any]]] = []
        self.handed_over = 0
        self.is_dead = False

    def write(
        self, work: Work[T], point: object = None, *, lazy: bool = False, required: bool = False
    ) -> "asyncio.Future[T]":
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        if not self.is_dead:
            self.jobs.append((work, future))
        return future

    async def read(self, work: Work[T], *, noted: bool = True) -> T:
        return work(self.db)

    def commit(self) -> None:
        jobs, self.jobs = self.jobs, []
        self.db.execute("BEGIN")
        results = [work(self.db) for work, _ in jobs]
        self.db.execute("COMMIT")
        for (_, future), result in zip(jobs, results, strict=True):
            if not future.done():  # whoever waited for it may have been cancelled
                future.set_result(result)

    def die(self) -> None:
        """Lose everything that is not committed, and take nothing more."""
        self.jobs = []
        self.is_dead = True

    def fail(self) -> None:
        """End as at a stop while the disk cannot be written."""
        jobs, self.jobs = self.jobs, []
        for _, future in jobs:
            if not future.done():
                future.set_exception(Unavailable("not written"))


class Log(EventLog):
    """The event log on a ``Disk``."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(Path("unused"))
        self._database = disk  # type: ignore[assignment]


@dataclass
class Attempt:
    client_id: str
    is_upload: bool
    windows: Counter[str]  # of the bot that makes it
    answer: "asyncio.Future[base.Sent | base.Uploaded]"


@dataclass
class WeChat:
    """A driver whose calls end as the test says. A repeated client id arrives once."""

    capabilities: base.Capabilities
    clock: Clock
    pending: Attempt | None = None
    arrived: list[str] = field(default_factory=list)  # client ids
    days: Counter[date] = field(default_factory=Counter)  # attempts
    to: str = ""  # the person of the last attempt
    windows: Counter[str] = field(default_factory=Counter)  # for each person since they wrote, also lost ones
    strangers: set[str] = field(default_factory=set)  # have not written to this bot: the driver has no token for them
    ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def new_client_id(self) -> str:
        return f"c{next(self.ids)}"

    async def send_text(self, to: str, content: str, client_id: str) -> base.Sent:
        if to in self.strangers:
            raise WeChatError("has not written", handling=FailureHandling.WAIT_FOR_PEER, unsure=False)
        self.days[date.fromtimestamp(self.clock.time())] += 1
        self.to = to
        found = await self._call(client_id, False)
        assert isinstance(found, base.Sent)
        return found

    async def send_media(self, to: str, content: base.Uploaded, client_id: str) -> base.Sent:
        return await self.send_text(to, "", client_id)

    async def upload(self, file: base.Upload) -> base.Uploaded:
        found = await self._call("", True)
        assert isinstance(found, base.Uploaded)
        return found

    async def _call(self, client_id: str, is_upload: bool) -> base.Sent | base.Uploaded:
        assert self.pending is None, "two calls at once"
        self.pending = Attempt(client_id, is_upload, self.windows, asyncio.get_running_loop().create_future())
        try:
            return await self.pending.answer
        finally:
            self.pending = None

    def arrive(self, attempt: Attempt) -> None:
        if not attempt.is_upload and attempt.client_id not in self.arrived:
            self.arrived.append(attempt.client_id)

    def end(self, how: str) -> None:
        attempt = self.pending
        assert attempt is not None
        attempt.windows[self.to] += how in ARRIVES and not attempt.is_upload
        if ARRIVES.get(how):
            self.arrive(attempt)
        if attempt.answer.done():
            return
        if how in FAILURES:
            attempt.answer.set_exception(copy.copy(FAILURES[how]))  # the queue may change it
        elif attempt.is_upload:
            attempt.answer.set_result(base.Uploaded(MessageKind.IMAGE, "@up"))
        else:
            attempt.answer.set_result(base.Sent(f"77{attempt.client_id}" if how == "id" else ""))


@dataclass
class Preparer:
    """Finds the content of media at once, or not at all."""

    async def prepare(self, media: Media) -> None:
        await asyncio.sleep(0)
        if media.params.get("bad"):
            raise BadMedia("no such file", "", media.facts)
        media.file = base.Upload(Path("a.png"), "a.png", "image/png", 1)


class SlowSender(Sender):
    """Reads content for a report from a slow disk."""

    async def facts(self, send: Send) -> MediaFacts | None:
        await asyncio.sleep(1.5 if send.media is not None else 0)
        return await Sender.facts(self, send)


@dataclass
class Process:
    """One life of the account."""

    queue: SendQueue
    disk: Disk
    tasks: Tasks
    run: "asyncio.Task[None]"


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.loop = asyncio.SelectorEventLoop(Timers(self.clock))
        self.loop.time = self.clock.steady  # type: ignore[method-assign]
        self.db = _database()
        for script in SCHEMA:
            self.db.executescript(script)
        self.sends: dict[str, Send] = {}  # by client id, as placed
        self.numbers: dict[str, int] = {}  # of the parts of a message
        self.stored: set[str] = set()
        self.own = "@me"
        self.is_slow = False  # the disk
        self.backup, self.saved = b"", self.own  # a database, and whose it is
        self.adopted = 0  # how often another host took the account over with a backup
        self.again: set[str] = set()  # had arrived when a backup was restored in which they wait
        self.undone: set[str] = set()  # had ended when a crash came before that was stored, or are out of order
        self.process: Process

    # -- helpers

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        async def settled() -> T:
            result = await work
            for _ in range(4):
                for _ in range(10):
                    await asyncio.sleep(0)
                if not self.is_slow:
                    await self._commit()
            return result

        result = self.loop.run_until_complete(settled())
        self._check_runs()
        return result

    def _check_runs(self) -> None:
        if self.process.run.done() and not self.process.run.cancelled():
            self.process.run.result()

    async def _begin(self) -> None:
        disk, tasks, roster = Disk(self.db), Tasks(), Roster()
        log = Log(disk)
        roster.me, roster.login = Contact(self.own, "me"), self.own
        roster.contacts = {peer: Contact(peer, peer) for peer in PEERS}
        reporter = Reporter(True, frozenset(), {}, False, log, EventRing(100, 1000))
        sender = SlowSender(self.wechat, roster, reporter, MediaIndex(log), 0)  # type: ignore[arg-type]
        now = self.clock.time
        policy: RoutePolicy = RoutePolicy(keep_seconds=3600.0, now=now)
        if (window := self.wechat.capabilities.window) is not None:
            table = Windows(window, BUDGET, 0)
            policy = WindowedRoute(keep_seconds=3600.0, now=now, window=window, table=table, seconds=86400.0)
        store = SendStore(log, "web")
        left = store.left(self.adopted)
        queue = SendQueue(
            Pacer(1.0, daily=DAILY, steady=self.clock.steady, now=now),
            sender,
            Preparer(),  # type: ignore[arg-type]
            store,
            tasks,
            SendBackoff(),
            policy,
        )
        self.process = Process(queue, disk, tasks, asyncio.ensure_future(queue.run(left)))

    async def _commit(self) -> None:
        while self.process.disk.jobs:
            self.process.disk.commit()
            self.stored |= {client_id for (client_id,) in self.db.execute("SELECT client_id FROM sends")}
            await asyncio.sleep(0)

    def reports(self) -> list[tuple[str, str]]:
        return self.db.execute("SELECT send, verdict FROM messages WHERE send != '' ORDER BY seq").fetchall()

    # -- rules

    @drawn("begin", initialize)
    def begin(self, windowed: bool, logged_in: bool) -> None:
        capabilities = WebDriver.capabilities
        if windowed:
            capabilities = replace(capabilities, window=base.ReplyWindow())
        self.wechat = WeChat(capabilities, self.clock)
        self.process = None  # type: ignore[assignment]
        self.loop.run_until_complete(self._begin())
        self.do(self._commit())
        if logged_in:
            self.login()
            for peer in PEERS:
                self.hear(peer)
        for texts, media, peers in ((3, "", PEERS[:1]), (1, "good", PEERS)):
            self.place(peers=peers, texts=texts, media=media, urgent=False, interim=False, hold=None)

    @drawn("place")
    def place(
        self,
        peers: tuple[str, ...],
        texts: int,
        media: str,
        urgent: bool,
        interim: bool,
        hold: float | None,
    ) -> None:
        async def placed() -> None:
            sends = [Send(peer, False, f"{n}") for peer in peers for n in range(texts or not media)]
            if media:
                content = Media(MediaFacts(MessageKind.IMAGE, size=1), {"bad": "1"} if media == "bad" else {})
                sends += [Send(peer, False, media=content) for peer in peers]
            for send in sends:
                send.client_id, send.queued_at = self.wechat.new_client_id(), self.clock.time()
                send.urgent, send.interim, send.hold = urgent, interim, hold
                self.sends[send.client_id] = send
            _ = self.process.queue.place(sends)
            bundles: Counter[str] = Counter()
            for send in sends:
                self.numbers[send.client_id] = bundles[send.bundle]
                bundles[send.bundle] += 1

        self.do(placed())

    @drawn("disk")
    def disk(self, slow: bool) -> None:
        """Let the disk work, or take nothing for a while."""
        self.is_slow = slow
        self.do(asyncio.sleep(0))

    @drawn("answer")
    def answer(self, how: str, last: bool) -> None:
        """Let the attempt under way end; unless it is the ``last`` for now, the next one begins."""

        async def answered() -> None:
            if self.wechat.pending is not None:
                self.wechat.end(how)
            if not last:
                await asyncio.sleep(2.0)
                if not self.is_slow:
                    await self._commit()
                    await asyncio.sleep(0.1)

        self.do(answered())

    @precondition(lambda self: self.process.queue.unsettled())
    @drawn("cancel")
    def cancel(self, which: int, current: bool) -> None:
        """Cancel a send, or the ``current`` one if there is one."""

        async def cancelled() -> None:
            sends = self.process.queue.unsettled()
            under_way = [send for send in sends if send.state is SendState.SENDING]
            sends = under_way if current and under_way else sends
            if not sends:
                return
            send = sends[which % len(sends)]
            with_wechat = self.wechat.pending is not None and self.wechat.pending.client_id == send.client_id
            task = asyncio.ensure_future(self.process.queue.cancel(send.client_id))
            await asyncio.sleep(0)
            if with_wechat:
                assert not send.state.is_final, "cancelled although WeChat has it"
            task.add_done_callback(lambda done: done.cancelled() or done.exception())

        self.do(cancelled())

    @drawn("advance")
    def advance(self, seconds: float) -> None:
        self.do(asyncio.sleep(seconds))

    @drawn("trouble")
    def trouble(self, what: str, flag: bool, seconds: float) -> None:
        """Something that happens seldom; ``flag``: a message under way arrives, or the disk works."""
        match what:
            case "crash":
                self.do(self._crashed(flag))
            case "stop":
                self.do(self._stopped(flag, seconds > 0))
            case "logout":
                self.do(_within(self.process.queue.logged_out))
            case "login":
                self.login()
            case "other login":
                self.do(_within(self._changed_login))
            case "clock":
                self.clock.jumped += seconds
            case "confirm":
                self.do(_within(lambda: self.process.queue.note_service(base.ServiceState(confirming=flag))))
            case "backup":
                self.backup, self.saved = self.db.serialize(), self.own
            case "adopt" if self.backup:
                self.do(self._adopted())
            case "restore" if self.backup:
                self.do(self._restored())
            case "truncate":
                self.do(self._truncated(0.5 if flag else 0.9))
            case "long":
                self.do(asyncio.sleep(4000.0 if flag else 90_000.0))

    @drawn("hear")
    def hear(self, peer: str) -> None:
        self.wechat.windows[peer] = 0
        self.wechat.strangers.discard(peer)
        self.do(_within(lambda: self.process.queue.heard(peer)))

    def login(self) -> None:
        self.do(_within(lambda: self.process.queue.login(self.own)))

    def _changed_login(self) -> None:
        """Log in as the other one of two bots, to whom nobody has written since."""
        self.process.queue.over(Cause.SESSION_OVER)
        self.own = "@me" if self.own != "@me" else "@other"
        self.wechat.windows = Counter()  # an attempt under way is the other one's
        self.wechat.strangers = {*PEERS} if self.wechat.capabilities.window is not None else set()
        roster = self.process.queue.sender.roster
        roster.me, roster.login = Contact(self.own, "me"), self.own
        self.process.queue.logged_in_again()
        self.process.queue.login(self.own)

    def _die(self) -> None:
        self.process.disk.die()
        self._undo()

    def _undo(self) -> None:
        self.undone |= {send.client_id for send in self.process.queue.unsettled() if send.state.is_final}

    async def _crashed(self, arrives: bool) -> None:
        self._die()
        if arrives and self.wechat.pending is not None:
            self.wechat.end("lost but arrived")
        await self._restarted()

    async def _adopted(self) -> None:
        """Continue with a backup, on another host: what WeChat got since is not known there."""
        self.adopted, self.own = self.adopted + 1, self.saved
        await self._continued(self.backup)

    async def _restored(self) -> None:
        """Continue with a backup, as after a ``tar``: nobody says so, and what WeChat got since may go out again."""
        self.own = self.saved
        await self._continued(self.backup)
        self.again |= self.stored & set(self.wechat.arrived)

    async def _truncated(self, share: float) -> None:
        """Continue with what can be read of a log that lost its end."""
        await self._continued(_shortened(self.db.serialize(), share))
        self.undone |= self.stored  # between parts whose places are lost, others may go

    async def _continued(self, database: bytes) -> None:
        self._die()
        await self._end()
        self.db.close()
        self.db = _database()  # the old connection could take its cached pages for those of the new content
        self.db.deserialize(database)
        self.stored = {client_id for (client_id,) in self.db.execute("SELECT client_id FROM sends")}
        self.wechat.days.clear()
        self.wechat.windows.clear()
        await self._begin()
        await self._commit()
        self.process.queue.login(self.own)

    async def _restarted(self) -> None:
        await self._end()
        await self._begin()
        if not self.is_slow:
            await self._commit()
        self.process.queue.login(self.own)

    async def _stopped(self, arrives: bool, writable: bool) -> None:
        self.process.queue.stop_accepting()
        if arrives and self.wechat.pending is not None:
            self.wechat.arrive(self.wechat.pending)
        await self._end()
        if writable:
            await self._commit()
        else:
            self._undo()
            self.process.disk.fail()
        await asyncio.sleep(0)
        await self._begin()
        await self._commit()
        self.process.queue.login(self.own)

    async def _end(self) -> None:
        self.process.run.cancel()
        await asyncio.wait({self.process.run})
        if not self.process.run.cancelled():
            self.process.run.result()
        await self.process.tasks.close()
        for send in self.process.queue.waiting():
            assert send.answer.done(), "a caller waits for ever"

    # -- what must hold

    @invariant()
    def one_report_each(self) -> None:
        if not hasattr(self, "wechat"):
            return
        reports = self.reports()
        assert not [one for one, number in Counter(name for name, _ in reports).items() if number > 1]
        arrived = set(self.wechat.arrived)
        for client_id, verdict in reports:
            state = verdict.partition(" ")[0]
            if state == SendState.REFUSED and client_id not in self.again:
                assert client_id not in arrived, f"{client_id} is refused and sent"
            if state in (SendState.DELIVERED, SendState.ACCEPTED):
                assert client_id in arrived, f"{client_id} is reported as sent"
        once = [(client_id, verdict) for client_id, verdict in reports if client_id not in self.again | self.undone]
        taken = [client_id for client_id, verdict in once if verdict.startswith(("delivered", "accepted"))]
        assert taken == [client_id for client_id in self.wechat.arrived if client_id in set(taken)]

    @invariant()
    def limits_hold(self) -> None:
        if not hasattr(self, "wechat"):
            return
        assert max(self.wechat.days.values(), default=0) <= DAILY
        if self.wechat.capabilities.window is not None:
            assert max(self.wechat.windows.values(), default=0) <= BUDGET, "more than a window allows"

    @invariant()
    def parts_in_order(self) -> None:
        if not hasattr(self, "wechat"):
            return
        last: dict[str, tuple[int, int]] = {}
        again = {self.sends[client_id].bundle for client_id in self.again}
        for place, client_id in enumerate(self.wechat.arrived):
            send, number = self.sends[client_id], self.numbers[client_id]
            if send.bundle in again or client_id in self.undone:
                continue
            if send.bundle in last:
                before, where = last[send.bundle]
                assert number > before, f"part {number} after part {before}"
                if self.wechat.capabilities.window is None:
                    between = {*self.wechat.arrived[where + 1 : place]} - self.undone - self.again
                    assert not between, "another message between two parts"
            last[send.bundle] = number, place

    def teardown(self) -> None:
        if hasattr(self, "wechat"):
            self.loop.run_until_complete(self._drained())
            self.one_report_each()
            self.parts_in_order()
            # One whose person was lost with its row is in no conversation.
            events = "SELECT CAST(body AS TEXT) AS body FROM events"
            told = self.db.execute(f"SELECT json_extract(body, '$.id') FROM ({events}) WHERE json_valid(body)")
            assert {name for name, *_ in (*told, *self.reports())} >= self.stored, "a send without a report"
            assert self.db.execute("SELECT COUNT(*) FROM sends").fetchone() == (0,)
            assert self.db.execute("SELECT COUNT(*) FROM parcels").fetchone() == (0,)
        self.loop.close()
        self.db.close()

    async def _drained(self) -> None:
        """Let everything end."""
        queue = self.process.queue
        self.clock.jumped = 0.0  # a clock that stays set back holds sends for longer
        for number in range(2000):
            queue.note_service(base.ServiceState())
            queue.login(self.own)
            await self._commit()
            if self.wechat.pending is not None:
                self.wechat.end("id")
            elif not queue.unsettled() and not self.process.disk.jobs:
                break
            # What is held, for instance for a limit that was learned from a refusal, ends after a day.
            await asyncio.sleep(1.0 if number < 400 else 100.0)
            if number % 50 == 0:
                for peer in PEERS:
                    self.wechat.windows[peer] = 0
                    self.wechat.strangers.discard(peer)
                    queue.heard(peer)
            for _ in range(10):
                await asyncio.sleep(0)
            self._check_runs()
        assert not queue.unsettled(), [(send.client_id, send.step) for send in queue.unsettled()]
        assert len(queue) == 0
        await self._end()
        await self._commit()


def _database() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None)


def _shortened(database: bytes, share: float) -> bytes:
    """Return what a recovery makes of a database of which only this share is left."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "events.db")
        path.write_bytes(database)
        cut(path, int(len(database) * share))
        recover(path, SCHEMA, KnownLog())
        return path.read_bytes()


async def _within(work: Callable[[], object] | Callable[[], Coroutine[Any, Any, None]]) -> None:
    found = work()
    if asyncio.iscoroutine(found):
        await found


def test_sends_of_an_earlier_process_go_first() -> None:
    machine = Machine()
    machine.begin(windowed=False, logged_in=True)
    machine.is_slow = True
    machine.trouble("crash", flag=False, seconds=0.0)
    before = set(machine.sends)
    machine.place(peers=PEERS[:1], texts=1, media="", urgent=False, interim=False, hold=None)
    machine.disk(slow=False)
    [new] = set(machine.sends) - before
    machine.teardown()
    assert machine.wechat.arrived.index(new) == len(before)


@pytest.fixture(autouse=True)
def silent() -> Iterator[None]:
    """pytest would keep what many thousands of histories log, in memory."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def walk(seed: int) -> None:
    """Make one history of random steps, which differ more than those of hypothesis: it often repeats one."""
    chance, machine = random.Random(seed), Machine()

    def make(step: str) -> None:
        getattr(machine, step)(**{name: chance.choice(values) for name, values in ARGUMENTS[step].items()})

    make("begin")
    for step in chance.choices([*OFTEN], [*OFTEN.values()], k=chance.randrange(10, 60)):
        if step != "cancel" or machine.process.queue.unsettled():
            make(step)
        machine.one_report_each()
        machine.parts_in_order()
        machine.limits_hold()
    machine.teardown()


@pytest.mark.timeout(LONGEST_SECONDS)
def test_seeded_histories() -> None:
    """The same ones each time, except in make torture: SEED is the first, for instance one that failed."""
    first = int(os.environ.get("SEED", "0"))
    for seed in range(first, first + int(os.environ.get("HISTORIES", "250"))):
        try:
            walk(seed)
        except Exception as problem:
            raise AssertionError(f"history {seed}: {problem!r}") from problem


@pytest.mark.timeout(LONGEST_SECONDS)
def test_any_order_of_events() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Machine,
        settings=settings(
            max_examples=int(os.environ.get("HISTORIES", "60")),
            # The same histories each time, except in make torture: a change that passed does not fail later.
            derandomize="HISTORIES" not in os.environ,
            stateful_step_count=50,
            deadline=None,
            # Without shrinking, which takes minutes: the steps of a failure are few enough to follow.
            phases=[Phase.reuse, Phase.generate],
            suppress_health_check=[*HealthCheck],
        ),
    )
