"""A sandbox on real sockets, a web driver with short timings, and a record of its events."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import aiohttp

from tests.patience import PATIENCE, until
from wxcontroller.core.config.limits import DEFAULTS, Limits
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject, text
from wxcontroller.drivers import base
from wxcontroller.drivers.web.driver import WebDriver
from wxcontroller.drivers.web.wire.timing import WebTiming
from wxcontroller.sandbox.faults.faults import FaultKind
from wxcontroller.sandbox.sandbox import Options, Sandbox
from wxcontroller.sandbox.serve import Address, running
from wxcontroller.sandbox.world.logins import WebLoginCode
from wxcontroller.sandbox.world.phone import ServerAccount
from wxcontroller.sandbox.world.websession import ServerMessage
from wxcontroller.sandbox.world.world import Relation

E = TypeVar("E", bound=base.DriverEvent)
# A day of WeChat in a second. Only tests that expect an outage use OUTAGE: a starved test must not see one.
_TIMES = {
    **{"poll": 5.0, "call": 3.0, "silence": 3.0, "progress_every": 0.3, "offline_after": 10.0, "retry_first": 0.05},
    **{"retry_longest": 0.2, "poll_spacing": 0.02, "code_life": 30.0, "scanned_again": 0.02, "flagged_within": 0.0},
    **{"guard_first": 0.3, "guard_least": 0.1, "guard_longest": 0.6, "frequent_first": 0.1, "frequent_longest": 0.2},
    **{"frequent_limit": 5.0, "batch_collect": 0.01, "batch_every": 0.05, "detail_every": 0.02, "batch_pause": 0.3},
    **{"roster_patience": 3.0, "roster_again": 0.2, "stranger_patience": 1.0},
}
HURRY = replace(WebTiming(retries=3, login_tries=6, poll_tries=4), **_TIMES)  # type: ignore[arg-type]
OUTAGE = replace(HURRY, offline_after=0.5)


@dataclass(slots=True)
class Checkpoints:
    """A StateStore in memory; ``broken`` makes reading fail."""

    position: bytes = b""
    seen: list[str] = field(default_factory=list)
    marks: dict[int, int] = field(default_factory=dict)
    broken: bool = False

    async def restore(self) -> base.Restored:
        if self.broken:
            raise WxError("the event log can't be read", "check the disk")
        return base.Restored(self.position, tuple(self.seen))

    async def identities(self) -> Mapping[int, int]:
        return dict(self.marks)

    def learn(self, marks: Mapping[int, int], limit: int) -> None:
        for mark, number in marks.items():
            self.marks.pop(mark, None)
            self.marks[mark] = number
        for mark in [*self.marks][: max(0, len(self.marks) - limit)]:
            del self.marks[mark]

    def keep(self, event: base.Checkpoint) -> None:
        self.position = self.position if event.state is None else event.state
        self.seen += event.seen


@dataclass(slots=True)
class Store:
    """A SessionStore in memory; ``full`` makes writing fail."""

    content: bytes | None = None
    full: bool = False
    state: Checkpoints = field(default_factory=Checkpoints)  # of the same account

    def load(self) -> bytes | None:
        return self.content

    def save(self, session: bytes) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.content = session

    def clear(self) -> None:
        self.content = None


@dataclass(slots=True)
class Drive:
    """A running driver, and its events except Progress."""

    driver: base.Driver
    state: Checkpoints = field(default_factory=Checkpoints)
    events: list[base.DriverEvent] = field(default_factory=list)
    progress: int = 0
    hold: Callable[[base.DriverEvent], bool] | None = None  # events that are never accepted
    disk: asyncio.Event | None = None  # checkpoints wait for it
    task: "asyncio.Task[base.Ended] | None" = None
    _read: int = 0
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def emit(self, event: base.DriverEvent) -> None:
        if isinstance(event, base.Progress):
            async with self._news:
                self.progress += 1
                self._news.notify_all()
            return
        if self.hold is not None and self.hold(event):
            await asyncio.Event().wait()
        if isinstance(event, base.Checkpoint):
            if self.disk is not None:
                await self.disk.wait()
            self.state.keep(event)
        async with self._news:
            self.events.append(event)
            self._news.notify_all()

    async def until(self, kind: type[E], wanted: Callable[[E], bool] = lambda _: True) -> E:
        """Wait for the next event of a kind after the last one that was waited for."""
        try:
            async with asyncio.timeout(PATIENCE), self._news:
                while True:
                    while self._read < len(self.events):
                        event = self.events[self._read]
                        self._read += 1
                        if isinstance(event, kind) and wanted(event):
                            return event
                    await self._news.wait()
        except TimeoutError:
            names = [type(event).__name__ for event in self.events]
            raise AssertionError(f"no {kind.__name__}, but {names}") from None

    async def progressed(self, times: int = 1) -> None:
        async with asyncio.timeout(PATIENCE), self._news:
            wanted = self.progress + times
            await self._news.wait_for(lambda: self.progress >= wanted)

    async def text(self, content: str) -> base.MessageArrived:
        return await self.until(base.MessageArrived, lambda event: event.message.text == content)

    async def end(self) -> base.Ended:
        assert self.task is not None
        async with asyncio.timeout(PATIENCE):
            return await self.task

    async def stop(self) -> float:
        """Cancel as a service stop does; return how long it took."""
        assert self.task is not None
        began = time.monotonic()
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        return time.monotonic() - began

    def texts(self) -> list[str]:
        return [event.message.text for event in self.events if isinstance(event, base.MessageArrived)]

    def count(self, kind: type[base.DriverEvent]) -> int:
        return sum(isinstance(event, kind) for event in self.events)


@dataclass(slots=True)
class Wechat:
    """The sandbox, its address, and actions of its accounts' owners."""

    sandbox: Sandbox
    url: str
    state: Checkpoints | None = None  # of all drivers, instead of that of their session stores
    decisions: Store = field(default_factory=Store)
    limits: Limits = DEFAULTS

    @contextlib.asynccontextmanager
    async def drive(
        self, store: Store | None = None, timing: WebTiming | None = None, **options: str
    ) -> AsyncIterator[Drive]:
        """Run a driver; it is stopped at the end of the block if it still runs."""
        options = {"server": self.url, "synccheck_interval": "0", "synccheck_delay": "0", **options}
        store = store if store is not None else Store()
        state = self.state or store.state
        context = base.DriverContext("alice", options, store, state, limits=self.limits, decisions=self.decisions)
        drive = Drive(WebDriver(context, timing or HURRY), state)
        drive.task = asyncio.create_task(drive.driver.run(drive.emit))
        try:
            yield drive
        finally:
            if not drive.task.done():
                await drive.stop()

    async def login_of(self, drive: Drive) -> WebLoginCode:
        """Wait for the next QR code and return its login."""
        event = await drive.until(base.QrReady)
        login = self.sandbox.logins.get(event.link.rpartition("/")[2])
        assert login is not None
        return login

    @contextlib.asynccontextmanager
    async def online(
        self, account: ServerAccount, store: Store | None = None, timing: WebTiming | None = None, **options: str
    ) -> AsyncIterator[Drive]:
        """Run a driver that has logged in by a scan."""
        async with self.drive(store, timing, **options) as drive:
            await self.enter(drive, account)
            yield drive

    async def stored(self, account: ServerAccount) -> Store:
        """Log in and stop; return the store with the session."""
        store = Store()
        async with self.online(account, store):
            return store

    async def scan(self, account: ServerAccount) -> WebLoginCode:
        """Wait for a code that nobody has scanned; scan and confirm it."""
        logins = self.sandbox.logins
        [login, *_] = await until(lambda: [one for one in logins.newest_first() if one.uin is None])
        logins.scan(login, account.uin)
        logins.confirm(login)
        return login

    async def confirm(self, drive: Drive, account: ServerAccount) -> None:
        """Scan and confirm the next QR code."""
        login = await self.login_of(drive)
        self.sandbox.logins.scan(login, account.uin)
        self.sandbox.logins.confirm(login)

    async def enter(self, drive: Drive, account: ServerAccount) -> base.Accepted:
        """Scan and confirm the next QR code; wait until the account is online."""
        await self.confirm(drive, account)
        accepted = await drive.until(base.Accepted)
        await drive.until(base.Online)
        return accepted

    async def refused(self, drive: Drive, account: ServerAccount) -> base.LoginRefused:
        """Scan and confirm the next QR code; return how WeChat refused the login."""
        await self.confirm(drive, account)
        return await drive.until(base.LoginRefused)

    async def consent(self, drive: Drive) -> WebLoginCode:
        """Wait for a push login and return it."""
        await drive.until(base.PushOffered)
        return next(login for login in self.sandbox.logins.newest_first() if login.push)

    def fault(
        self, endpoint: str, kind: FaultKind, value: str | float | None = None, count: int | None = 1
    ) -> Callable[[], object]:
        """Inject a fault; return a function that removes it."""
        number = self.sandbox.faults.add(endpoint, kind, value, count, None).id
        return lambda: self.sandbox.faults.all.pop(number, None)

    def hear(
        self, account: ServerAccount, words: str, chat: str | None = None, sender: str | None = None
    ) -> ServerMessage:
        """Let a text arrive from a friend (by default the first), or in a chat."""
        peer = chat or friend(account)
        return self.sandbox.deliver(account, peer, sender or peer, words, "peer")

    def put(self, account: ServerAccount, message: ServerMessage, how: str = "peer") -> None:
        """Let a message with content arrive."""
        if message.item is not None and (media_id := text(message.fields.get("MediaId"))):
            account.hold(media_id, message.item)
        self.sandbox.bring(account, message, how, "")

    def violations(self) -> list[str]:
        return [f"{v.endpoint}: {v.what}" for v in self.sandbox.ledger.violations]

    def requests(self, endpoint: str) -> int:
        return sum(counter[endpoint] for counter in self.sandbox.ledger.counts.values())


def friend(account: ServerAccount, number: int = 0) -> str:
    return [person.wxid for person in account.world.people.values() if person.kind is Relation.FRIEND][number]


def username(account: ServerAccount, wxid: str) -> str:
    assert account.session is not None
    return account.session.username(wxid)


@contextlib.asynccontextmanager
async def wechat(options: Options | None = None, port: int = 0) -> AsyncIterator[Wechat]:
    chosen = options or Options(poll_hold=0.3, sync_hold=0.3, updates_hold=0.3, batch_rate=0, strict=True)
    sandbox = Sandbox(chosen)
    async with running(sandbox, Address("127.0.0.1", port)) as addresses:
        yield Wechat(sandbox, f"http://{addresses[0]}")


async def script(url: str, account: ServerAccount, method: str, path: str, body: JsonObject | None = None) -> Any:
    """Use the sandbox's scripting API for an account."""
    address = f"{url}/sandbox/accounts/{account.uin}/{path}"
    async with aiohttp.request(method, address, json=body) as answer:
        assert answer.status < 300, await answer.text()
        return await answer.json()


async def counted(world: Wechat, endpoint: str, seconds: float, least: int = 0) -> float:
    """Count requests for ``seconds``, and until there are ``least``; return how many came in ``seconds``, on average.

    On a busy machine a sleep is longer, and the server works on.
    """
    before, began = world.requests(endpoint), time.monotonic()
    await asyncio.sleep(seconds)
    await until(lambda: world.requests(endpoint) - before >= least)
    return (world.requests(endpoint) - before) * seconds / (time.monotonic() - began)


def hurried(**changes: float) -> WebTiming:
    return replace(HURRY, **changes)  # type: ignore[arg-type]
