"""Compares desired with actual state, and describes the difference."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from wxcontroller.controller.accounts.actions import Accounts
from wxcontroller.controller.accounts.units import SYSTEMCTL_AT_A_TIME, SYSTEMD_LOOK_SECONDS, Units, Verb
from wxcontroller.controller.accounts.unitstarts import StoppedMeanwhile, TooManyAccounts
from wxcontroller.controller.accounts.view import View
from wxcontroller.core.backoff import Backoff
from wxcontroller.core.errors import AccountExists, UnitFailed, UnknownAccount, WxError
from wxcontroller.core.files.atomic import replace_file
from wxcontroller.core.paths import Paths
from wxcontroller.core.process.journal import Event, fields
from wxcontroller.core.states import Desired, LoginState, UnitState

if TYPE_CHECKING:
    from wxcontroller.controller.hosts.otherhosts import OtherHosts

log = logging.getLogger(__name__)
# Longer than the pauses between restarts grow (a minute), so that a loop of crashes keeps its long pauses.
RUNS_WELL_SECONDS = 600.0


class BootMark:
    """Remembers until the next boot that the desired accounts were started. A restarted controller must not start
    accounts that an administrator has stopped by hand meanwhile.
    """

    def __init__(self, paths: Paths) -> None:
        self._path = paths.controller_runtime / "accounts-started"

    def is_set(self) -> bool:
        # Below /run, which is empty after a boot.
        return self._path.exists()

    def set(self) -> None:
        """Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._path, b"The accounts that were wanted have been started after this boot.\n", 0o644)


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over the desired accounts: its summary, and the ids of those that it tried to start. ``failed`` are
    those to retry.
    """

    sentence: str
    tried: frozenset[str]
    failed: frozenset[str]


async def after_boot(
    accounts: Accounts, mark: BootMark, pauses: Backoff, others: Callable[[], "OtherHosts | None"] = lambda: None
) -> None:
    """Start every wanted account that does not run, once per boot. Ends when none is left whose start failed.

    ``others`` returns the other hosts, if any: an account that has moved to one of them is not started here, although
    a restored backup wants it.
    """
    if mark.is_set():
        log.info("starting no accounts: this is not the first start since the boot")
        return
    if (fleet := others()) is not None:
        await fleet.may_start()
    again: frozenset[str] | None = None
    # None: the state of the units was never known.
    while again is None or again:
        try:
            done = await one_pass(accounts, again, others())
        except (WxError, OSError) as problem:
            log.error("cannot read which accounts should run: %s", problem)
        else:
            again = done.failed
            log.info("%s", done.sentence)
        if again is None or again:
            await asyncio.sleep(pauses.next())
    try:
        # After the starts: a controller that is killed in between starts the remaining accounts.
        mark.set()
    except OSError as problem:
        log.error("cannot record that the starts of this boot are done: %s", problem)


async def one_pass(
    accounts: Accounts,
    only: frozenset[str] | None = None,
    fleet: "OtherHosts | None" = None,
    when: str = "after boot",
) -> Pass:
    """Start the desired accounts that have no process; with ``only``, just these ids, which failed before. A unit
    that was up before and is down now was stopped by hand. Raises UnitFailed or OSError when the present state is
    unknown.
    """
    wanted = [view for view in await accounts.views() if view.account.desired is Desired.STARTED]
    down = [view for view in wanted if not view.unit.state.has_process]
    missing = [view for view in down if only is None or view.instance in only]
    outcomes = await start_all(accounts, missing, fleet)
    count = Counter(outcomes.values())
    sentence = (
        f"{when}: {len(wanted)} accounts wanted, {len(wanted) - len(down)} up, {count[_Outcome.STARTED]} started"
    )
    for outcome in (_Outcome.FAILED, _Outcome.TOO_MANY, _Outcome.ELSEWHERE, _Outcome.UNWANTED):
        if count[outcome]:
            sentence += f", {count[outcome]} {outcome}"
    failed = frozenset(each for each, outcome in outcomes.items() if outcome is _Outcome.FAILED)
    return Pass(sentence, frozenset(outcomes), failed)


class _Outcome(StrEnum):
    STARTED = "started"
    FAILED = "failed"
    TOO_MANY = "left down by max_clients"
    ELSEWHERE = "left down because another host has them"
    UNWANTED = "stopped meanwhile"


async def start_all(accounts: Accounts, missing: Sequence[View], fleet: "OtherHosts | None") -> dict[str, _Outcome]:
    slots = asyncio.Semaphore(SYSTEMCTL_AT_A_TIME)
    outcomes: dict[str, _Outcome] = {}

    async def start(view: View) -> _Outcome:
        async with slots:
            name = view.account.name
            if fleet is not None and (hosts := fleet.kept_down_by(view.account)):
                marks = fields(Event.ACCOUNT_FAILED, name.name)
                log.error("account %s stays down, because other hosts have it: %s", name, hosts, extra=marks)
                return _Outcome.ELSEWHERE
            try:
                wanted = await accounts.start_again(view.instance)
            except TooManyAccounts as problem:
                log.warning("account %s stays down: %s", name, problem)
                return _Outcome.TOO_MANY
            except (UnknownAccount, StoppedMeanwhile):
                return _Outcome.UNWANTED
            except AccountExists as problem:
                log.error("account %s stays down: %s", name, problem, extra=fields(Event.ACCOUNT_FAILED, name.name))
                return _Outcome.ELSEWHERE
            except (WxError, OSError) as problem:
                log.error("account %s could not be started: %s", name, problem)
                return _Outcome.FAILED
            return _Outcome.STARTED if wanted else _Outcome.UNWANTED

    async def noted(view: View) -> None:
        outcomes[view.instance] = await start(view)

    async with asyncio.TaskGroup() as group:
        for view in missing:
            _ = group.create_task(noted(view))
    return outcomes


def summary(views: Sequence[View]) -> str:
    """One line for ``systemctl status``: the accounts by state."""
    if not views:
        return "no accounts"
    wanted = [view for view in views if view.registered]
    logins = Counter(view.login for view in wanted)
    parts = [f"{logins[LoginState.RUNNING]} of {len(wanted)} accounts running"]
    waiting = logins[LoginState.SCANNING] + logins[LoginState.CONFIRMING]
    down = sum(not view.unit.has_process for view in wanted)
    for count, words in (
        (waiting, "waiting for a scan"),
        (logins[LoginState.OFFLINE], "offline"),
        (logins[LoginState.PARKED], "parked"),
        (down, "down"),
    ):
        if count:
            parts.append(f"{count} {words}")
    stopped = len(views) - len(wanted)
    return ", ".join(parts) + (f" ({stopped} stopped)" if stopped else "")


class Watch:
    """Detects changes that an operator should find in the journal."""

    def __init__(self) -> None:
        self._before: dict[str, UnitState] = {}

    def look(self, views: Sequence[View]) -> None:
        now = {view.instance: view.unit.state for view in views}
        for view in views:
            before = self._before.get(view.instance)
            if before is None or before is view.unit.state or view.unit.state.has_process:
                continue
            if view.account.desired is Desired.STARTED:
                name = view.account.name
                log.warning(
                    "account %s went down: %s", name, view.reason, extra=fields(Event.ACCOUNT_FAILED, name.name)
                )
        self._before = now


@dataclass(slots=True)
class _Run:
    """One process of an account, and since when it has been seen, by a steady clock."""

    pid: int
    since: float
    settled: bool = False

    def settles(self, now: float) -> bool:
        """Return once true: when the process has run well."""
        if self.settled or now - self.since < RUNS_WELL_SECONDS:
            return False
        self.settled = True
        return True


class RestartDelays:
    """Ends the long restart delay of units that run well again.

    systemd lengthens the pause before each automatic restart (RestartSteps=) and starts over only after reset-failed
    or a start by hand: after one bad hour, a unit would be down for its longest pause at every crash in later months.
    """

    def __init__(self, units: Units, now: float) -> None:
        self._units = units
        self._runs: dict[str, _Run] = {}
        self._own = _Run(0, now)

    async def look(self, views: Sequence[View], now: float) -> None:
        """Reset the units whose process has run for ten minutes, once; ``now`` in steady seconds. Raises nothing."""
        runs = {view.instance: _Run(view.pid, now) for view in views if view.pid}
        for instance, run in runs.items():
            earlier = self._runs.get(instance)
            if earlier is not None and earlier.pid == run.pid:
                runs[instance] = earlier
        self._runs = runs
        due = {instance: run for instance, run in {**runs, "": self._own}.items() if run.settles(now)}
        try:
            if due.pop("", None):
                await self._units.shorten_own_delay()
            for instance, restarts in (await self._units.restarts(due)).items():
                if restarts.count:
                    await self._units.act(Verb.RESET_FAILED, instance, SYSTEMD_LOOK_SECONDS)
        except UnitFailed as problem:
            log.warning("cannot reset restart delays: %s", problem)
