"""The accounts: what they are at the moment, and starting, stopping, restarting and removing them.

Nothing is remembered about what was done: files say what is wanted, systemd says what is.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from wxcontroller.controller.known import KnownAccounts
from wxcontroller.controller.locks import Locks
from wxcontroller.controller.statefiles import ClientState, StateFiles, Unreadable
from wxcontroller.controller.units import MAX_AGE, UnitRecord, Units, Verb, absent, record
from wxcontroller.controller.view import View
from wxcontroller.core.account import Account
from wxcontroller.core.errors import UnitFailed, UnknownAccount, WxError
from wxcontroller.core.journal import Event, fields
from wxcontroller.core.materialise import Materialiser
from wxcontroller.core.names import AccountName, unit_of
from wxcontroller.core.paths import Paths
from wxcontroller.core.settings import Settings
from wxcontroller.core.states import Desired, LoginState, UnitState

log = logging.getLogger(__name__)
T = TypeVar("T")

# A unit that is up has written its state before; a program that is not ours may need a moment longer.
_STATE_WAIT = 1.0
_STATE_LOOK = 0.02
_QUICK = 10.0


class TooManyAccounts(WxError):
    """max_clients accounts run already."""

    exit_code = 5


@dataclass(frozen=True, slots=True)
class Started:
    """How a start ended. ``already``: it was up before, and keeps running as it was."""

    view: View
    already: bool


@dataclass(frozen=True, slots=True)
class Stopped:
    """How a stop ended. ``before`` is the account while it still ran, ``note`` what went wrong beside it."""

    before: View
    note: str = ""


class Accounts:
    """All accounts of this machine. Use as an async context manager: it owns the actions under way."""

    def __init__(self, paths: Paths, settings: Settings, units: Units) -> None:
        self.paths = paths
        self.units = units
        self.known = KnownAccounts(paths)
        self.state_files = StateFiles(paths)
        self._materialiser = Materialiser(paths, settings)
        self._locks = Locks()
        self._starting: set[str] = set()
        self._actions: set[asyncio.Task[Any]] = set()

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

    # What is

    async def views(self) -> list[View]:
        """Return all accounts, by id. Raises UnitFailed when systemd can't be asked."""
        accounts = self.known.all()
        views: list[View] = []
        for max_age in (MAX_AGE, 0.0):
            units = await self.units.snapshot(max_age)
            views = [self._view(account, units.get(each) or absent(each)) for each, account in accounts.items()]
            if not any(view.contradictory for view in views):
                break
        return views

    async def view(self, given: str, max_age: float = MAX_AGE) -> View | None:
        """Return one account by name or id, None when there is none. Raises UnitFailed."""
        account = self.known.find(given)
        if account is None:
            return None
        found = self._view(account, await record(self.units, account.name.instance, max_age))
        if found.contradictory and max_age > 0:
            return self._view(account, await record(self.units, account.name.instance, 0))
        return found

    async def the(self, given: str) -> View:
        """Return one account by name or id; raises BadName, UnknownAccount or UnitFailed."""
        name = self.known.name_of(given)
        found = await self.view(name.name)
        if found is None:
            raise _unknown(given)
        return found

    def _view(self, account: Account, unit: UnitRecord) -> View:
        try:
            return View(account, unit, self.state_files.get(account.name.instance))
        except Unreadable as problem:
            return View(account, unit, unreadable=str(problem))

    # What shall be

    async def start(
        self, name: AccountName, options: Mapping[str, str], parameters: Mapping[str, str], keep: bool = False
    ) -> Started:
        """Register an account as wanted and bring its unit up.

        ``options`` and ``parameters`` are as for Materialiser.start; with ``keep`` they are also stored for an
        account that runs (and count from its next start). Waits for starts and stops of the same account. Raises
        TooManyAccounts, NoPort, TemplateError, BadOption, UnitFailed, OSError. Goes on when the caller hangs up.
        """
        return await self._uncancelled(self._start(name, options, parameters, keep))

    async def start_again(self, instance: str) -> Started:
        """Bring up the unit of an account that is wanted; its file stays as it is."""
        return await self._uncancelled(self._start_again(instance))

    async def stop(self, given: str) -> Stopped:
        """Record that an account shall not run, and stop its unit; returns when it has ended.

        Raises UnknownAccount, BadName or UnitFailed. Goes on when the caller hangs up.
        """
        return await self._uncancelled(self._stop(self.known.name_of(given)))

    async def restart(self, given: str) -> View:
        """Restart (or start) an account with what is stored for it. Raises as ``start``, and UnknownAccount."""
        return await self._uncancelled(self._restart(self.known.name_of(given)))

    async def remove(self, given: str) -> View:
        """Stop an account, delete its private state and forget it. Returns what it was. Raises as ``stop``."""
        return await self._uncancelled(self._remove(self.known.name_of(given)))

    async def _start(
        self, name: AccountName, options: Mapping[str, str], parameters: Mapping[str, str], keep: bool
    ) -> Started:
        async with self._locks.held(name.instance):
            unit = await record(self.units, name.instance, 0)
            known = self._fresh(name.instance)
            parked = known is not None and self._view(known, unit).login is LoginState.PARKED
            if known is not None and not parked and unit.has_process and unit.state is not UnitState.DEACTIVATING:
                if keep and options:
                    await self._written(name, options, parameters, keep)
                elif known.desired is not Desired.STARTED:
                    await self._desire(name.instance, Desired.STARTED)
                if unit.state is UnitState.ACTIVATING:  # somebody else's start: this only waits for it
                    await self.units.act(Verb.START, name.instance, self.settings.start_timeout)
                return Started(await self._settled(name.instance), already=True)
            async with self._a_place(name.instance):
                await self._written(name, options, parameters, keep)
                # A parked account has a process, but only to say why it gave up: this is the human it waits for.
                await self._bring_up(unit, Verb.RESTART if parked else Verb.START)
            return Started(await self._settled(name.instance), already=False)

    async def _start_again(self, instance: str) -> Started:
        async with self._locks.held(instance):
            unit = await record(self.units, instance, 0)
            if self._fresh(instance) is None:
                raise _unknown(instance)
            if unit.has_process and unit.state is not UnitState.DEACTIVATING:
                return Started(await self._settled(instance), already=True)
            async with self._a_place(instance):
                await self._bring_up(unit)
            return Started(await self._settled(instance), already=False)

    async def _restart(self, name: AccountName) -> View:
        async with self._locks.held(name.instance):
            unit = await record(self.units, name.instance, 0)
            if self._fresh(name.instance) is None:
                raise _unknown(name.name)
            async with self._a_place(name.instance):
                await self._written(name, {}, {}, keep=True)
                await self._bring_up(unit, Verb.RESTART)
            return await self._settled(name.instance)

    async def _stop(self, name: AccountName) -> Stopped:
        async with self._locks.held(name.instance):
            return await self._stop_held(name)

    async def _stop_held(self, name: AccountName) -> Stopped:
        known = self._fresh(name.instance)
        if known is None:
            raise _unknown(name.name)
        before = self._view(known, await record(self.units, name.instance, 0))
        note = ""
        if known.desired is not Desired.STOPPED:
            try:
                await self._desire(name.instance, Desired.STOPPED)
            except (WxError, OSError) as problem:
                # A full disk or a broken template must not keep anybody from stopping an account.
                note = f"that it shall stay stopped after a reboot could not be recorded: {problem}"
                log.error("account %s: %s", name, note, extra={"WX_ACCOUNT": name.name})
        # Also without a process: it ends systemd's waiting to start the unit again.
        await self.units.act(Verb.STOP, name.instance, self.settings.stop_timeout)
        log.info("account %s is stopped", name, extra=fields(Event.ACCOUNT_STOPPED, name.name))
        self.known.forget(name.instance)
        return Stopped(before, note)

    async def _remove(self, name: AccountName) -> View:
        async with self._locks.held(name.instance):
            stopped = await self._stop_held(name)
            await self.units.purge(name.instance, self.settings.stop_timeout)
            await asyncio.to_thread(self._materialiser.remove, name.instance)
            self.known.forget(name.instance)
            self.state_files.forget(name.instance)
            log.info("account %s is removed", name, extra={"WX_ACCOUNT": name.name})
            return stopped.before

    # How

    async def _bring_up(self, unit: UnitRecord, verb: Verb = Verb.START) -> None:
        """Start a unit, whatever it did before. Raises UnitFailed telling what it does now."""
        instance = unit.instance
        if unit.state is not UnitState.ABSENT:
            # Starts by hand count for systemd's start limit too; an admin's drop-in may set one.
            with contextlib.suppress(UnitFailed):
                await self.units.act(Verb.RESET_FAILED, instance, _QUICK)
        if unit.sub.startswith("auto-restart"):
            verb = Verb.RESTART  # a start would only wait for the time of the next automatic one
        try:
            await self.units.act(verb, instance, self.settings.start_timeout)
        except UnitFailed as problem:
            now = await record(self.units, instance, 0)
            name = self._name(instance)
            log.error("account %s: %s", name, problem, extra=fields(Event.ACCOUNT_FAILED, name))
            raise UnitFailed(f"{problem.message}; it is {now.words} now", problem.remedy) from None
        log.info("%s is up", unit_of(instance), extra=fields(Event.ACCOUNT_STARTED, self._name(instance)))

    def _name(self, instance: str) -> str:
        known = self.known.get(instance)
        return known.name.name if known else instance

    @contextlib.asynccontextmanager
    async def _a_place(self, instance: str) -> AsyncIterator[None]:
        """Hold one of max_clients places while an account comes up; the dead hold none."""
        units = await self.units.snapshot()
        taken = {each for each, unit in units.items() if unit.has_process} | self._starting
        if len(taken - {instance}) >= self.settings.max_clients:
            raise TooManyAccounts(
                f"{self.settings.max_clients} accounts run, more are not allowed",
                "stop one, or raise max_clients in the settings",
            )
        self._starting.add(instance)
        try:
            yield
        finally:
            self._starting.discard(instance)

    async def _settled(self, instance: str) -> View:
        """Return the account once its client has said something, or after a second."""
        self.known.forget(instance)
        unit = await record(self.units, instance)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STATE_WAIT):
                # A file in a directory that is not ours: looking is cheaper than a watcher.
                while unit.has_process and self._state(instance) is None:  # noqa: ASYNC110
                    await asyncio.sleep(_STATE_LOOK)
        account = self.known.get(instance)
        if account is None:
            raise UnknownAccount(f"account {instance}: its file went away meanwhile", "start it again")
        return self._view(account, unit)

    def _state(self, instance: str) -> ClientState | None:
        try:
            return self.state_files.get(instance)
        except Unreadable:
            return None

    def _fresh(self, instance: str) -> Account | None:
        self.known.forget(instance)
        return self.known.get(instance)

    async def _written(
        self, name: AccountName, options: Mapping[str, str], parameters: Mapping[str, str], keep: bool
    ) -> None:
        # Locks a file and waits for the disk.
        await asyncio.to_thread(self._materialiser.start, name, options, parameters, keep)
        self.known.forget(name.instance)

    async def _desire(self, instance: str, desired: Desired) -> None:
        await asyncio.to_thread(self._materialiser.desire, instance, desired)
        self.known.forget(instance)

    async def _uncancelled(self, action: Coroutine[Any, Any, T]) -> T:
        """Run an action to its end even when the caller is cancelled."""
        task = asyncio.ensure_future(action)
        self._actions.add(task)
        task.add_done_callback(self._actions.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_log_end)
            raise


def _log_end(task: asyncio.Task[Any]) -> None:
    """Say how an action ended whose caller is gone."""
    if not task.cancelled() and (problem := task.exception()) is not None:
        log.warning("the caller hung up meanwhile; the action failed: %s", problem)


def _unknown(given: str) -> UnknownAccount:
    return UnknownAccount(f"there is no account {given}", "GET /v1/accounts or wxctl list shows the accounts")
