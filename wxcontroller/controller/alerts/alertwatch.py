"""Watching for problems that need a person, and passing alerts to the deliverers."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from wxcontroller.controller.account_port.ports import AccountPorts
from wxcontroller.controller.accounts.actions import Accounts
from wxcontroller.controller.accounts.journallines import last_error
from wxcontroller.controller.accounts.view import View
from wxcontroller.controller.alerts.alerttext import Composer
from wxcontroller.controller.alerts.crashes import Crashes
from wxcontroller.controller.alerts.disk import disk_of
from wxcontroller.controller.alerts.findings import (
    Track,
    Verdict,
    etcd_of,
    held_of,
    hosts_of,
    standbys_of,
    systemd_of,
    taken_over_of,
    verdicts_of,
)
from wxcontroller.controller.alerts.schedule import Due, Key, Ledger
from wxcontroller.controller.callers.refusals import TooManyTests
from wxcontroller.controller.reconcile import BootMark
from wxcontroller.core.alerts import Alert, AlertEvent
from wxcontroller.core.alertspool import Spool
from wxcontroller.core.condition.facts import NO_END, LastEnd
from wxcontroller.core.config.alertsettings import AlertSettings, Channel
from wxcontroller.core.errors import UnitFailed, WxError, file_failed
from wxcontroller.core.files.atomic import replace_file
from wxcontroller.core.process.journal import Event, fields
from wxcontroller.core.process.watchdog import Deadlines
from wxcontroller.core.text.templates import N_, Text

log = logging.getLogger(__name__)
# Checking the disks takes a moment.
_SELDOM = 60.0
# How old ages may be on disk.
_KEEP_SECONDS = 60.0
_STUCK = 300.0
_HOUR = 3600.0
# Journals read in one look: each takes a process.
_READ_AT_ONCE = 4
# Alerts kept in memory for channels whose spools are full. Older ones are dropped, because other channels have them.
_MAX_LATE = 30


@dataclass(slots=True)
class Clock:
    """The time, for tests to set. ``wall`` is seconds since 1970, ``steady`` a monotonic clock."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic


@dataclass(slots=True)
class AlertWatch:
    """Evaluates each check of the accounts, and sends due alerts through all configured channels.

    Without a channel it sends nothing. It still records problems, which ``GET /v1/alerts`` lists, and the restarts
    of processes, so that a crash loop does not look over after a restart of the controller.
    """

    accounts: Accounts
    ports: AccountPorts
    mark: BootMark
    deadlines: Deadlines = field(default_factory=Deadlines)
    clock: Clock = field(default_factory=Clock)
    ledger: Ledger = field(default_factory=Ledger)
    hosts: Callable[[], Mapping[str, Text]] | None = None  # the other hosts that do not answer, with the reasons
    standbys: Callable[[], Mapping[str, Text]] | None = None  # accounts whose standby bundles are too old
    _composer: Composer = field(init=False)
    _crashes: Crashes = field(init=False)
    _seldom: dict[Key, Verdict] = field(default_factory=dict)  # since the last look
    _unsent: tuple[Alert, list[Due]] | None = None  # no channel's spool took it
    _late: list[tuple[Channel, Alert]] = field(default_factory=list)  # only this channel's spool did not
    _delivering: tuple[Channel, ...] | None = None  # channels that systemd delivers by; None: not known
    _looked: float | None = None
    _kept: float = 0.0
    _complaints: dict[str, str] = field(default_factory=dict)  # logged, until it works again
    _tests: deque[float] = field(default_factory=deque)  # of the last hour, by the steady clock

    def __post_init__(self) -> None:
        self._composer = Composer(self.accounts.state_files, lambda: self.settings.language)
        self._crashes = Crashes(self.accounts.units)
        self._load()

    @property
    def settings(self) -> AlertSettings:
        return self.accounts.settings.alerts

    async def look(self, views: Iterable[View], problem: str = "") -> None:
        """Process the state of all accounts; ``problem`` says why it could not be read. Raises nothing."""
        steady = self.clock.steady()
        seen = {view.instance: view for view in await self._counted(views, steady)}
        await self.set_delivering()
        elapsed = 0.0 if self._looked is None else steady - self._looked
        self._looked = steady
        # Each rare check counts once: without a verdict, the ledger is not changed.
        verdicts, self._seldom = self._seldom, {}
        verdicts[("", Track.SYSTEMD)] = systemd_of(problem)
        if self.hosts is not None:
            verdicts[("", Track.HOSTS)] = hosts_of(self.hosts(), self.settings)
        if self.standbys is not None:
            verdicts[("", Track.STANDBYS)] = standbys_of(self.standbys(), self.settings)
        if self.accounts.ownership is not None:
            verdicts[("", Track.ETCD)] = etcd_of(self.accounts.ownership)
            verdicts[("", Track.HELD)] = held_of(self.accounts.ownership.held, self.settings)
            verdicts[("", Track.TAKEN_OVER)] = taken_over_of(self.accounts.ownership.taken_over)
        if not problem:
            booting, now = not self.mark.is_set(), self.clock.wall()
            for instance, view in seen.items():
                for track, verdict in verdicts_of(view, booting, self.settings, now).items():
                    verdicts[(instance, track)] = verdict
            # Only then: unreadable accounts still exist.
            self.ledger.forget(seen)
            self._crashes.forget(seen)
        self.ledger.look(verdicts, elapsed)
        if self.settings.channels:
            await self._send_due(seen)
        else:
            self._unsent, self._late = None, []
            self.ledger.forget_sent()
        ages = self.ledger.has_problems or self._crashes.counted
        if self.ledger.take_changed() or (ages and steady - self._kept > _KEEP_SECONDS):
            await self._save(steady)

    async def _counted(self, views: Iterable[View], steady: float) -> list[View]:
        """Count restarts, also without any way to alert: the assessment of accounts needs to know of crash loops."""
        found = list(views)
        loops = await self._crashes.look(found, steady)
        self.accounts.crash_loops = loops
        ends = await self._ends(view for view in found if view.instance in loops or view.has_ended)
        if ends != self.accounts.ends:
            self.accounts.ends = ends
        return [
            replace(view, loops=view.instance in loops, ended=ends.get(view.instance, NO_END))
            if view.loops != (view.instance in loops) or view.ended != ends.get(view.instance, NO_END)
            else view
            for view in found
        ]

    async def _ends(self, views: Iterable[View]) -> dict[str, LastEnd]:
        """Return how the last processes of these accounts ended, with the last lines of a few new ones."""
        ends = {view.instance: end for view in views if (end := self._crashes.ends.get(view.instance))}
        before = self.accounts.ends
        unread = []
        for instance, end in ends.items():
            known = before.get(instance, NO_END)
            if replace(known, line="") == end:
                ends[instance] = known
            else:
                unread.append(instance)
        socket = self.accounts.paths.journal_socket
        for instance in unread[_READ_AT_ONCE:]:
            del ends[instance]  # until the next look
        del unread[_READ_AT_ONCE:]
        lines = await asyncio.gather(*(last_error(socket, instance) for instance in unread))
        for instance, line in zip(unread, lines, strict=True):
            ends[instance] = replace(ends[instance], line=line)
        return ends

    async def look_seldom(self) -> None:
        """Look at the disks, until cancelled."""
        while True:
            with self.deadlines.within(_STUCK, "a look at the disks"):
                self._seldom.update(await self.seldom())
            await asyncio.sleep(_SELDOM)

    async def seldom(self) -> Mapping[Key, Verdict]:
        """Return the state of the disks. Raises nothing."""
        settings = self.settings
        disk = await asyncio.to_thread(disk_of, self.accounts.paths, settings.disk_low) if settings.disk_low else None
        return {("", Track.DISK): disk}

    async def test(self) -> tuple[str, tuple[Channel, ...]]:
        """Send a test alert; return its id and channels. Raises TooManyTests or OSError."""
        steady = self.clock.steady()
        while self._tests and self._tests[0] <= steady - _HOUR:
            self._tests.popleft()
        if len(self._tests) >= self.settings.per_hour:
            raise TooManyTests(
                N_("{count} test alerts were sent within an hour"),
                N_("wait, or set per_hour in the table [alerts] of the settings"),
                count=len(self._tests),
            )
        self._tests.append(steady)
        await self.set_delivering()
        alert = self._composer.test(self.clock.wall())
        channels = self.settings.channels
        problems = [problem for channel in channels if (problem := await self._put(channel, alert)) is not None]
        if problems:
            raise problems[0]
        return alert.id, channels

    async def set_delivering(self) -> None:
        """Have systemd deliver alerts by the channels that are set up, and by no other. Raises nothing."""
        channels = self.settings.channels
        if channels == self._delivering:
            return
        try:
            for channel in Channel:
                await self.accounts.units.deliver(channel, channel in channels)
                if channel not in channels:
                    await asyncio.to_thread(Spool(self.accounts.paths, channel).clear)
        except UnitFailed as problem:
            self._complain("systemd", problem)
        else:
            self._delivering = channels
            self._complaints.pop("systemd", None)

    async def _send_due(self, views: Mapping[str, View]) -> None:
        now = self.clock.wall()
        late, self._late = self._late, []
        for channel, alert in late:
            if channel in self.settings.channels and await self._put(channel, alert) is not None:
                self._late.append((channel, alert))
        # First, and separately: it is not recorded as sent yet, so ``due`` would return its problems again.
        if self._unsent is not None and not await self._send_one(*self._unsent, now):
            return
        problems, recoveries = self.ledger.due(self.settings, now)
        for event, dues in ((AlertEvent.PROBLEM, problems), (AlertEvent.RECOVERY, recoveries)):
            if dues and not await self._send_one(self._composer.alert(event, dues, views, now), dues, now):
                return

    async def _send_one(self, alert: Alert, dues: list[Due], now: float) -> bool:
        """Put an alert into the spools and note it; return False if no spool accepts it now."""
        channels = self.settings.channels
        late = [(channel, alert) for channel in channels if await self._put(channel, alert) is not None]
        if len(late) == len(channels):
            self._unsent = (alert, dues)
            return False
        # The other channels deliver it: it counts, and must not be put there again.
        self._late = [*self._late, *late][-_MAX_LATE:]
        self._unsent = None
        self.ledger.note_sent(dues, now)
        for due in dues:
            log.warning("alert: %s", due.what.message, extra=fields(Event.ALERT, due.what.account))
        return True

    async def _put(self, channel: Channel, alert: Alert) -> OSError | None:
        """Put an alert into a channel's spool; return why that failed, which is logged once."""
        try:
            await asyncio.to_thread(Spool(self.accounts.paths, channel).put, alert)
        except OSError as problem:
            self._complain(channel, file_failed(problem))
            return problem
        self._complaints.pop(channel, None)
        return None

    def _complain(self, about: str, problem: WxError) -> None:
        if self._complaints.get(about) != str(problem):
            self._complaints[about] = str(problem)
            log.error("alerts are delayed (%s), retrying: %s", about, problem, extra=fields(Event.ALERT))

    async def _save(self, steady: float) -> None:
        self.ledger.restarts = self._crashes.as_json(steady)
        content = self.ledger.dump()
        self._kept = steady
        try:
            await asyncio.to_thread(replace_file, self.accounts.paths.alerts_state, content, 0o600, True)
        except OSError as problem:
            log.warning("cannot store which alerts were sent: %s", problem)

    def _load(self) -> None:
        path = self.accounts.paths.alerts_state
        try:
            self.ledger.load(path.read_bytes())
            self._crashes.load(self.ledger.restarts, self.clock.steady())
        except FileNotFoundError:
            return
        except (OSError, ValueError) as problem:
            log.error("cannot read %s; alerts start from scratch: %s", path, problem)
            self.ledger = Ledger()
