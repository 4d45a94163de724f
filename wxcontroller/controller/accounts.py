"""The accounts: what they are at the moment, and starting, stopping, restarting and removing them.

Nothing is remembered about what was done: files say what is wanted, systemd says what is.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from wxcontroller.controller import statefiles
from wxcontroller.controller.locks import Locks
from wxcontroller.controller.registry import Registry
from wxcontroller.controller.statefiles import ClientState, StateFiles, Unreadable
from wxcontroller.controller.units import MAX_AGE, UnitRecord, Units, Verb, record
from wxcontroller.controller.view import View
from wxcontroller.controller.views import Views
from wxcontroller.core.account import Account
from wxcontroller.core.deliverystate import DeliveryState
from wxcontroller.core.errors import AccountMoved, UnitFailed, UnknownAccount, WxError, reason_of
from wxcontroller.core.journal import Event, fields
from wxcontroller.core.leaving import Leaving
from wxcontroller.core.loginbook import LoginBook
from wxcontroller.core.materialise import Materialiser, stay_on_route
from wxcontroller.core.messages import N_, NOTHING, Text
from wxcontroller.core.names import AccountName, unit_of
from wxcontroller.core.paths import Paths
from wxcontroller.core.settings import Settings
from wxcontroller.core.states import Desired, LoginState, UnitState
from wxcontroller.core.watched import Stamp

log = logging.getLogger(__name__)
T = TypeVar("T")

# A unit that is up has written its state before; a program that is not ours may need a moment longer.
_STATE_WAIT = 1.0
_STATE_LOOK = 0.02
_QUICK = 10.0
_ENABLED = N_("{unit} is enabled, so it starts at the next boot; to prevent that, as root: systemctl disable {unit}")


class TooManyAccounts(WxError):
    """max_clients accounts run already."""

    code = "max-clients"
    status = 409
    exit_code = 5


class UnknownMove(WxError):
    """An account that is not on its way to another host, or on another move."""

    code = "no-such-move"
    status = 409
    exit_code = 5


class StoppedMeanwhile(UnitFailed):
    """A start that somebody ended by a stop."""


@dataclass(frozen=True, slots=True)
class Started:
    """How a start ended. ``already``: it was up before, and keeps running as it was."""

    view: View
    already: bool


@dataclass(frozen=True, slots=True)
class Stopped:
    """How a stop ended: the account while it still ran and now; ``note`` is what went wrong beside it."""

    before: View
    after: View
    note: Text = NOTHING


class Accounts:
    """All accounts of this machine. Use as an async context manager: it owns the actions under way."""

    def __init__(self, paths: Paths, settings: Settings, units: Units) -> None:
        self.paths = paths
        self.units = units
        self.registry = Registry(paths)
        self.state_files = StateFiles(paths)
        self.logins = LoginBook(paths)
        # Accounts whose processes end again and again; whoever counts restarts keeps it up to date.
        self.crash_loops: set[str] = set()
        # What accounts that still run 2.0.0 said of their deliveries when they were asked.
        self.asked_deliveries: Mapping[str, DeliveryState] = {}
        # This host's name in its fleet, and accounts that other hosts have, too (controller/hosts.py).
        self.host = ""
        self.duplicates: Mapping[str, str] = {}
        self._materialiser = Materialiser(paths, settings)
        self._locks = Locks()
        self._starting: set[str] = set()
        self._coming_up: dict[str, asyncio.Task[None]] = {}
        self._stops: Counter[str] = Counter()
        self._actions: set[asyncio.Task[object]] = set()
        # What a fresh look has shown to be so, odd as it is: not worth another look while nothing changes.
        self._confirmed: dict[str, tuple[UnitRecord, Stamp | None]] = {}
        self._views = Views(paths, self.registry, self._view)

    @property
    def settings(self) -> Settings:
        return self._materialiser.settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        """Run by other settings from now on; actions under way end by the old ones."""
        self._materialiser.settings = settings

    async def __aenter__(self) -> "Accounts":
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._actions:
            task.cancel()
        await asyncio.gather(*self._actions, return_exceptions=True)
        self._views.close()

    # What is

    async def views(self) -> tuple[View, ...]:
        """Return all accounts, by id: the same tuple for as long as nothing about them is new.

        Raises UnitFailed when systemd can't be asked, and OSError.
        """
        views = self._certain(await self.units.snapshot())
        if views is None:
            views = self._current(await self.units.snapshot(0))
            self._confirm(self._views.fresh.values())
            self._views.fresh.clear()
        return views

    def recent_views(self) -> tuple[View, ...] | None:
        """Return what ``views`` would without asking systemd, None if it would ask. Raises OSError."""
        units = self.units.recent()
        return None if units is None else self._certain(units)

    def _certain(self, units: Mapping[str, UnitRecord]) -> tuple[View, ...] | None:
        """Return the views of this moment, None if a new one contradicts its unit, which may have changed since."""
        views, fresh = self._current(units), self._views.fresh
        if any(self._doubtful(view) for view in fresh.values()):
            return None
        fresh.clear()
        return views

    def _current(self, units: Mapping[str, UnitRecord]) -> tuple[View, ...]:
        looked = (frozenset(self.crash_loops), self.asked_deliveries, self.settings.alerts.after)
        others = (*looked, self.host, self.duplicates)
        return self._views.current(units, others)

    def _doubtful(self, view: View) -> bool:
        """Say whether a view may be wrong because the unit was looked at a second ago."""
        return view.contradictory and self._confirmed.get(view.instance) != unit_and_stamp(view)

    def _confirm(self, views: Iterable[View]) -> None:
        for view in views:
            if view.contradictory:
                self._confirmed[view.instance] = unit_and_stamp(view)
            else:
                self._confirmed.pop(view.instance, None)

    def account(self, given: str) -> Account:
        """Return one registered account by name or id. Raises UnknownAccount or BadName."""
        name = self.registry.name_of(given)
        found = self.registry.get(name.instance)
        if found is None:
            raise unknown_account(given)
        return found

    async def view(self, given: str, max_age: float = MAX_AGE) -> View | None:
        """Return one account by name or id, None when there is none. Raises UnitFailed."""
        account = self.registry.find(given)
        if account is None:
            return None
        found = self._view(account, await record(self.units, account.name.instance, max_age))
        if max_age > 0 and self._doubtful(found):
            found = self._view(account, await record(self.units, account.name.instance, 0))
            self._confirm([found])
        return found

    async def require(self, given: str) -> View:
        """Return one account by name or id; raises BadName, UnknownAccount or UnitFailed."""
        name = self.registry.name_of(given)
        found = await self.view(name.name)
        if found is None:
            raise unknown_account(given)
        return found

    def _view(self, account: Account, unit: UnitRecord) -> View:
        instance, state, unreadable = account.name.instance, None, NOTHING
        try:
            state = self.state_files.get(instance)
        except Unreadable as problem:
            unreadable = problem.words
        deliveries = recent = None
        until = state.until if state is not None else math.inf
        published = self.state_files.published(instance) if unit.has_process else None
        if published is not None:
            deliveries = published.deliveries
            if published.heartbeats:
                now = time.time()
                recent = published.heartbeats.at(now)
                until = min(until, statefiles.uptime() + published.heartbeats.until(now) - now)
        elif unit.has_process:
            deliveries = self.asked_deliveries.get(instance)
        loops, patience = instance in self.crash_loops, self.settings.alerts.after
        host, also_on = self.host, self.duplicates.get(instance, "")
        publishes = published is not None
        return View(
            account, unit, state, unreadable, deliveries, publishes, loops, patience, recent, until, host, also_on
        )

    # What shall be

    async def apply_settings(self) -> None:
        """Write settings that apply to all accounts into the accounts' files. Failed writes are logged."""
        try:
            changed = await asyncio.to_thread(self._materialiser.apply_settings)
        except OSError as problem:
            log.error("the accounts' files can't be looked at: %s", problem)
            return
        for instance in changed:
            self.registry.forget(instance)
            words = "account %s: the settings' webhook_targets or limits are new, and count from its next start"
            log.info(words, self._name(instance))

    async def start(
        self, name: AccountName, options: Mapping[str, str], parameters: Mapping[str, str], keep: bool = False
    ) -> Started:
        """Register an account as wanted and bring its unit up.

        ``options`` and ``parameters`` are as for Materialiser.start; with ``keep`` they are also stored for an
        account that runs (and count from its next start). Waits for starts and stops of the same account. Raises
        TooManyAccounts, NoPort, TemplateError, BadOption, OtherRoute, UnitFailed, OSError. Goes on when the caller
        hangs up.
        """
        return await self._uncancelled(self._start(name, options, parameters, keep))

    async def add(
        self,
        name: AccountName,
        options: Mapping[str, str],
        parameters: Mapping[str, str],
        epoch: int = 1,
        arrived: str = "",
        adopted: int = 0,
    ) -> View:
        """Register a new account without starting it. Raises AccountExists, and as ``start``."""
        async with self._locks.held(name.instance):
            await asyncio.to_thread(self._materialiser.add, name, options, parameters, epoch, arrived, adopted)
            self.registry.forget(name.instance)
        return await self.require(name.name)

    async def change(self, given: str, set_: Mapping[str, str], unset: Collection[str]) -> View:
        """Store other options with an account, to count from its next start.

        Raises as Materialiser.change, and UnitFailed.
        """
        name = self.registry.name_of(given)
        async with self._locks.held(name.instance):
            routed = "driver" in set_ or "driver" in unset
            runs = (await record(self.units, name.instance, 0 if routed else MAX_AGE)).has_process
            await asyncio.to_thread(self._materialiser.change, name.instance, set_, unset, runs)
            self.registry.forget(name.instance)
        return await self.require(name.name)

    async def start_again(self, instance: str) -> bool:
        """Bring up the unit of an account that is wanted; its file stays as it is.

        Returns False when it is not wanted any more. Raises UnknownAccount, TooManyAccounts or UnitFailed.
        """
        return await self._uncancelled(self._start_again(instance))

    async def stop(self, given: str) -> Stopped:
        """Record that an account shall not run, and stop its unit; returns when it has ended.

        Ends a start of the account that is under way. Works for a live unit without a usable file, too.
        Raises UnknownAccount, BadName or UnitFailed. Goes on when the caller hangs up.
        """
        return await self._uncancelled(self._stop(self.registry.name_of(given)))

    async def restart(self, given: str) -> View:
        """Restart (or start) an account with what is stored for it. Raises as ``start``, and UnknownAccount."""
        return await self._uncancelled(self._restart(self.registry.name_of(given)))

    async def remove(self, given: str) -> View:
        """Stop an account, delete its private state and forget it. Returns what it was. Raises as ``stop``."""
        return await self._uncancelled(self._remove(self.registry.name_of(given)))

    async def leave(self, given: str, leaving: Leaving) -> View:
        """Mark an account as being moved away, and stop it; returns when it has no process any more.

        The mark of the same move is only brought up to date. Raises AccountMoving for another one, and as ``stop``.
        """
        return await self._uncancelled(self._leave(self.registry.name_of(given), leaving))

    async def stay(self, given: str, move: str) -> View:
        """Undo ``leave``; the account runs again if it was to. Raises UnknownMove, and as ``start_again``."""
        name = self.registry.name_of(given)
        async with self._locks.held(name.instance):
            self._on_the_move(name, move)
            await asyncio.to_thread(self._materialiser.leave, name.instance, None)
            self.registry.forget(name.instance)
        await self.start_again(name.instance)
        return await self.require(name.name)

    async def has_left(self, given: str, move: str) -> View:
        """Remove an account that runs on the other host now, and note that it is there. Raises as ``remove``."""
        return await self._uncancelled(self._remove(self.registry.name_of(given), move))

    async def _start(
        self, name: AccountName, options: Mapping[str, str], parameters: Mapping[str, str], keep: bool
    ) -> Started:
        async with self._locks.held(name.instance):
            unit = await record(self.units, name.instance, 0)
            known = self._staying(name)
            parked = known is not None and self._view(known, unit).login is LoginState.PARKED
            if known is not None and not parked and unit.has_process and unit.state is not UnitState.DEACTIVATING:
                if "driver" in options:
                    stay_on_route(known, options, options)
                if keep and options:
                    await self._written(name, options, parameters, keep, runs=True)
                elif known.desired is not Desired.STARTED:
                    await self._desire(name.instance, Desired.STARTED)
                if unit.state is UnitState.ACTIVATING:  # somebody else's start: this only waits for it
                    start = self.units.act(Verb.START, name.instance, self.settings.start_timeout)
                    await self._unless_stopped(name.instance, start)
                return Started(await self._settled(name.instance), already=True)
            # A parked account has a process, but only to say why it gave up: this is the human it waits for. One
            # whose file was lost or unusable runs by what nobody knows, on a port that may not be its own now.
            restarts = unit.has_process and (parked or known is None)
            async with self._a_place(name.instance):
                await self._written(name, options, parameters, keep)
                await self._bring_up(unit, Verb.RESTART if restarts else Verb.START)
            return Started(await self._settled(name.instance), already=False)

    async def _start_again(self, instance: str) -> bool:
        async with self._locks.held(instance):
            unit = await record(self.units, instance, 0)
            known = self._fresh(instance)
            if known is None:
                raise unknown_account(instance)
            if known.desired is not Desired.STARTED:
                return False
            if not unit.has_process or unit.state is UnitState.DEACTIVATING:
                async with self._a_place(instance):
                    await self._bring_up(unit)
                await self._settled(instance)
            return True

    async def _restart(self, name: AccountName) -> View:
        async with self._locks.held(name.instance):
            unit = await record(self.units, name.instance, 0)
            if self._staying(name) is None:
                raise unknown_account(name.name)
            async with self._a_place(name.instance):
                await self._written(name, {}, {}, keep=True)
                await self._bring_up(unit, Verb.RESTART)
            return await self._settled(name.instance)

    async def _stop(self, name: AccountName) -> Stopped:
        async with self._held_to_stop(name.instance):
            return await self._stop_held(name)

    @contextlib.asynccontextmanager
    async def _held_to_stop(self, instance: str) -> AsyncIterator[None]:
        """Hold an account's lock without waiting for a start that hangs: it is given up, and no other one begins."""
        self._stops[instance] += 1
        try:
            if (coming_up := self._coming_up.get(instance)) is not None:
                coming_up.cancel()
            async with self._locks.held(instance):
                yield
        finally:
            self._stops[instance] -= 1
            self._stops += Counter()  # drops what is zero

    async def _stop_held(self, name: AccountName) -> Stopped:
        known = self._fresh(name.instance)
        unit = await record(self.units, name.instance, 0)
        if known is None and not unit.state.has_process:
            raise unknown_account(name.name)
        account = known or Account(name, 0, Desired.STOPPED)
        before = self._view(account, unit)
        notes = [] if known else [Text("its file is missing or damaged")]
        if known is not None and known.desired is not Desired.STOPPED:
            try:
                await self._desire(name.instance, Desired.STOPPED)
            except (WxError, OSError) as problem:
                # A full disk or a broken template must not keep anybody from stopping an account.
                notes.append(
                    Text(
                        "cannot record that it stays stopped after a reboot: {problem}",
                        problem=reason_of(problem),
                    )
                )
                log.error("account %s: %s", name, notes[-1], extra={"WX_ACCOUNT": name.name})
        # Also without a process: it ends systemd's waiting to start the unit again.
        await self.units.act(Verb.STOP, name.instance, self.settings.stop_timeout)
        if self.paths.boot_link(name.instance).is_symlink():  # only root can disable a unit
            notes.append(Text(_ENABLED, unit=name.unit))
        log.info("account %s is stopped", name, extra=fields(Event.ACCOUNT_STOPPED, name.name))
        account = self._fresh(name.instance) or account
        return Stopped(before, self._view(account, await record(self.units, name.instance)), joined(notes))

    def arrived(self, given: str, move: str) -> Account:
        """Return an account that a move has brought here. Raises UnknownAccount and UnknownMove."""
        account = self.account(given)
        if not move or account.arrived != move:
            raise UnknownMove(
                N_("account {account} was not received in this move"),
                N_("see: wxctl status {account}"),
                account=account.name.name,
            )
        return account

    async def send_back(self, given: str, move: str) -> View:
        """Remove what a move has brought, unless it was started. Raises AccountMoved then, and as ``remove``."""
        account = self.arrived(given, move)
        if account.desired is not Desired.STOPPED:
            raise AccountMoved(
                N_("account {account} has been started on this host"),
                N_("move it back: wxctl move"),
                account=account.name.name,
            )
        return await self.remove(given)

    async def _leave(self, name: AccountName, leaving: Leaving) -> View:
        async with self._held_to_stop(name.instance):
            known = self._fresh(name.instance)
            if known is None:
                raise unknown_account(name.name)
            if (earlier := known.leaving) is not None and earlier.id != leaving.id:
                raise earlier.refused(name.name)
            ran = earlier.ran if earlier is not None else known.desired is Desired.STARTED
            sent = leaving.sent or (earlier is not None and earlier.sent)
            await asyncio.to_thread(self._materialiser.leave, name.instance, replace(leaving, ran=ran, sent=sent))
            stopped = await self._stop_held(name)
            if stopped.after.unit.state.has_process:
                raise UnitFailed(
                    N_("{unit} is still {unit2}"), N_("stop it first"), unit=name.unit, unit2=stopped.after.unit.words
                )
            return stopped.after

    def _on_the_move(self, name: AccountName, move: str) -> Account:
        """Return an account that this move is taking away. Raises UnknownAccount or UnknownMove."""
        known = self._fresh(name.instance)
        if known is None:
            raise unknown_account(name.name)
        if known.leaving is None or known.leaving.id != move:
            raise UnknownMove(
                N_("account {account} is not part of this move"), N_("see: wxctl status {account}"), account=name.name
            )
        return known

    def _staying(self, name: AccountName) -> Account | None:
        """Return a registered account that may run here, None for an unknown one. Raises AccountMoving."""
        known = self._fresh(name.instance)
        if known is not None and known.leaving is not None:
            raise known.leaving.refused(name.name)
        return known

    async def _remove(self, name: AccountName, move: str = "") -> View:
        async with self._held_to_stop(name.instance):
            if move:
                await asyncio.to_thread(self._materialiser.has_left, self._on_the_move(name, move), int(time.time()))
            else:
                self._staying(name)
            stopped = await self._stop_held(name)
            await self.units.purge(name.instance, self.settings.stop_timeout)
            await asyncio.to_thread(self._materialiser.remove, name.instance)
            self.registry.forget(name.instance)
            self.state_files.forget(name.instance)
            self._confirmed.pop(name.instance, None)
            await asyncio.to_thread(self.logins.forget, name.instance)
            log.info("account %s is removed", name, extra={"WX_ACCOUNT": name.name})
            return stopped.before

    # How

    async def _bring_up(self, unit: UnitRecord, verb: Verb = Verb.START) -> None:
        """Start a unit, whatever it did before. Raises UnitFailed telling what it does now, or StoppedMeanwhile."""
        instance = unit.instance
        if unit.sub.startswith("auto-restart"):
            verb = Verb.RESTART  # a start would only wait for the time of the next automatic one
        try:
            await self._unless_stopped(instance, self._up(unit, verb))
        except StoppedMeanwhile:
            raise
        except UnitFailed as problem:
            now = await record(self.units, instance, 0)
            name = self._name(instance)
            log.error("account %s: %s", name, problem, extra=fields(Event.ACCOUNT_FAILED, name))
            raise UnitFailed(
                N_("{problem}; it is {now} now"), problem.remedy, problem=problem.text, now=now.words
            ) from None
        log.info("%s is up", unit_of(instance), extra=fields(Event.ACCOUNT_STARTED, self._name(instance)))

    async def _up(self, unit: UnitRecord, verb: Verb) -> None:
        if unit.state is not UnitState.ABSENT:
            # Starts by hand count for systemd's start limit too; an admin's drop-in may set one.
            with contextlib.suppress(UnitFailed):
                await self.units.act(Verb.RESET_FAILED, unit.instance, _QUICK)
        await self.units.act(verb, unit.instance, self.settings.start_timeout)

    async def _unless_stopped(self, instance: str, start: Coroutine[object, None, None]) -> None:
        """Wait for a start to be done. Raises StoppedMeanwhile when somebody wants the account stopped."""
        task = asyncio.ensure_future(start)
        if self._stops[instance]:
            task.cancel()
        self._coming_up[instance] = task
        try:
            await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            raise StoppedMeanwhile(
                N_("{unit} was stopped while it came up"), N_("start it again"), unit=unit_of(instance)
            ) from None
        finally:
            del self._coming_up[instance]

    def _name(self, instance: str) -> str:
        known = self.registry.get(instance)
        return known.name.name if known else instance

    @contextlib.asynccontextmanager
    async def _a_place(self, instance: str) -> AsyncIterator[None]:
        """Hold one of max_clients places while an account comes up; the dead hold none."""
        units = await self.units.snapshot()
        taken = {each for each, unit in units.items() if unit.has_process} | self._starting
        if len(taken - {instance}) >= self.settings.max_clients:
            raise TooManyAccounts(
                N_("{max_clients} accounts are running, which is the limit"),
                N_("stop one, or raise max_clients in the settings"),
                max_clients=self.settings.max_clients,
            )
        self._starting.add(instance)
        try:
            yield
        finally:
            self._starting.discard(instance)

    async def _settled(self, instance: str) -> View:
        """Return the account once its client has said something, or after a second."""
        self.registry.forget(instance)
        unit = await record(self.units, instance)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STATE_WAIT):
                # A file in a directory that is not ours: looking is cheaper than a watcher.
                while unit.has_process and self._state(instance) is None:  # noqa: ASYNC110
                    await asyncio.sleep(_STATE_LOOK)
        account = self.registry.get(instance)
        if account is None:
            raise UnknownAccount(
                N_("account {instance}: its file disappeared meanwhile"), N_("start it again"), instance=instance
            )
        return self._view(account, unit)

    def _state(self, instance: str) -> ClientState | None:
        try:
            return self.state_files.get(instance)
        except Unreadable:
            return None

    def _fresh(self, instance: str) -> Account | None:
        self.registry.forget(instance)
        return self.registry.get(instance)

    async def _written(
        self,
        name: AccountName,
        options: Mapping[str, str],
        parameters: Mapping[str, str],
        keep: bool,
        runs: bool = False,
    ) -> None:
        # Locks a file and waits for the disk.
        await asyncio.to_thread(self._materialiser.start, name, options, parameters, keep, runs)
        self.registry.forget(name.instance)

    async def _desire(self, instance: str, desired: Desired) -> None:
        await asyncio.to_thread(self._materialiser.desire, instance, desired)
        self.registry.forget(instance)

    async def _uncancelled(self, action: Coroutine[object, None, T]) -> T:
        """Run an action to its end even when the caller is cancelled."""
        task = asyncio.ensure_future(action)
        self._actions.add(task)
        task.add_done_callback(self._actions.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(log_end)
            raise


def unit_and_stamp(view: View) -> tuple[UnitRecord, Stamp | None]:
    return view.unit, view.state.stamp if view.state is not None else None


def log_end(task: asyncio.Task[object]) -> None:
    """Say how an action ended whose caller is gone."""
    if not task.cancelled() and (problem := task.exception()) is not None:
        log.warning("the caller hung up meanwhile; the action failed: %s", problem)


def unknown_account(given: str) -> UnknownAccount:
    return UnknownAccount(
        N_("there is no account {given}"), N_("GET /v1/accounts or wxctl list shows the accounts"), given=given
    )


def joined(texts: list[Text]) -> Text:
    found = NOTHING
    for each in texts:
        found = Text("{what}; {remedy}", what=found, remedy=each) if found else each
    return found
