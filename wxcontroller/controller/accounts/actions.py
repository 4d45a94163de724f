"""Starting, stopping, restarting, moving and removing accounts.

An action writes the desired state to the account's file and then has systemd apply it; the result is read again
(``accountviews``). Once begun, it finishes even if its caller disconnects.
"""

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from wxcontroller.controller.accounts.accountviews import AccountViews, unknown_account
from wxcontroller.controller.accounts.units import MAX_AGE, Units, Verb, record
from wxcontroller.controller.accounts.unitstarts import UnitStarts
from wxcontroller.controller.accounts.view import View
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.errors import AccountMoved, AccountMoving, UnitFailed, WxError, reason_of
from wxcontroller.core.names import AccountName
from wxcontroller.core.paths import Paths
from wxcontroller.core.process.journal import Event, fields
from wxcontroller.core.registry.account import Account
from wxcontroller.core.registry.leaving import Leaving
from wxcontroller.core.registry.loginbook import LoginBook
from wxcontroller.core.registry.materialise import Materialiser, stay_on_route
from wxcontroller.core.states import Desired, LoginState, UnitState
from wxcontroller.core.text.templates import N_, NOTHING, Text

if TYPE_CHECKING:
    from wxcontroller.controller.hosts.hostowners import HostOwners

log = logging.getLogger(__name__)
T = TypeVar("T")
P = ParamSpec("P")
_ENABLED = N_("{unit} is enabled, so it starts at the next boot; to prevent that, as root: systemctl disable {unit}")


class UnknownMove(WxError, code="no-such-move", status=409, exit_code=5):
    """The account is not being moved to another host, or is part of another move."""


@dataclass(frozen=True, slots=True)
class Started:
    """The result of a start. ``already``: it was running before, and keeps its options."""

    view: View
    already: bool


@dataclass(frozen=True, slots=True)
class Stopped:
    """The result of a stop: the account before and after it; ``note`` describes a failure along the way."""

    before: View
    after: View
    note: Text = NOTHING


def to_its_end(
    method: Callable[Concatenate["Accounts", P], Coroutine[object, None, T]],
) -> Callable[Concatenate["Accounts", P], Coroutine[object, None, T]]:
    """Return an action that runs to its end even when its caller is cancelled."""

    @functools.wraps(method)
    async def action(accounts: "Accounts", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await accounts.finish(method(accounts, *args, **kwargs))

    return action


class Accounts(AccountViews):
    """All accounts of this machine. Use as an async context manager: it owns the actions under way."""

    def __init__(self, paths: Paths, settings: Settings, units: Units) -> None:
        super().__init__(paths, units, lambda: self.settings.alerts.after)
        self.logins = LoginBook(paths)
        self._materialiser = Materialiser(paths, settings)
        self._starts = UnitStarts(units, self.registry, lambda: self.settings)
        self.ownership: HostOwners | None = None  # in a fleet with etcd
        self._actions: set[asyncio.Task[object]] = set()

    @property
    def settings(self) -> Settings:
        return self._materialiser.settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        """Use other settings from now on; actions under way finish with the old ones."""
        self._materialiser.settings = settings

    async def __aenter__(self) -> "Accounts":
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._actions:
            task.cancel()
        await asyncio.gather(*self._actions, return_exceptions=True)
        self.close()

    async def apply_settings(self) -> None:
        """Write settings that apply to all accounts into the accounts' files. Failed writes are logged."""
        try:
            changed = await asyncio.to_thread(self._materialiser.apply_settings)
        except OSError as problem:
            log.error("cannot read the accounts' files: %s", problem)
            return
        for instance in changed:
            self.registry.forget(instance)
            words = "account %s: the settings' webhook_targets or limits are new, and count from its next start"
            log.info(words, self.registry.shown_name(instance))

    @to_its_end
    async def start(
        self, name: AccountName, options: Mapping[str, str], parameters: Mapping[str, str], keep: bool = False
    ) -> Started:
        """Register an account as wanted and bring its unit up.

        ``options`` and ``parameters`` are as for Materialiser.start; with ``keep`` they are also stored for an
        account that runs (and count from its next start). Waits for starts and stops of the same account. Raises
        TooManyAccounts, NoPort, TemplateError, BadOption, OtherRoute, UnitFailed, OSError. Continues if the caller
        disconnects.
        """
        async with self._starts.held(name.instance):
            # A new query, within the lock: decisions below must not use a state from before another action.
            unit = await record(self.units, name.instance, 0)
            account = self._staying(name)
            parked = account is not None and self.view_of(account, unit).login is LoginState.PARKED
            if account is not None and not parked and unit.has_process and unit.state is not UnitState.DEACTIVATING:
                if "driver" in options:
                    stay_on_route(account, options, options)
                async with self._owned(name) as epoch:
                    await self._raise_epoch(name.instance, epoch)
                if keep and options:
                    await self._written(name, options, parameters, keep, runs=True)
                elif account.desired is not Desired.STARTED:
                    await self._desire(name.instance, Desired.STARTED)
                if unit.state is UnitState.ACTIVATING:  # another caller's start: only wait for it
                    start = self.units.act(Verb.START, name.instance, self.settings.start_timeout)
                    await self._starts.wait_for(name.instance, start)
                return Started(await self.settled(name.instance), already=True)
            # A parked account has a process only to show why it stopped trying, and waits for this call. One whose
            # file was lost or unusable runs with unknown options, on a port that may belong to another.
            restarts = unit.has_process and (parked or account is None)
            async with self._starts.place(name.instance):
                async with self._owned(name) as epoch:
                    await self._written(name, options, parameters, keep, epoch=epoch)
                await self._starts.bring_up(unit, Verb.RESTART if restarts else Verb.START)
            return Started(await self.settled(name.instance), already=False)

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
        async with self._starts.held(name.instance):
            await asyncio.to_thread(self._materialiser.add, name, options, parameters, epoch, arrived, adopted)
            self.registry.forget(name.instance)
        return await self.require(name.name)

    async def change(self, name_or_id: str, set_: Mapping[str, str], unset: Collection[str]) -> View:
        """Store other options with an account, to count from its next start.

        Raises as Materialiser.change, and UnitFailed.
        """
        name = self.registry.name_of(name_or_id)
        async with self._starts.held(name.instance):
            routed = "driver" in set_ or "driver" in unset
            runs = (await record(self.units, name.instance, 0 if routed else MAX_AGE)).has_process
            await asyncio.to_thread(self._materialiser.change, name.instance, set_, unset, runs)
            self.registry.forget(name.instance)
        return await self.require(name.name)

    @to_its_end
    async def start_again(self, instance: str) -> bool:
        """Start the unit of an account whose desired state is started; its file is not changed. Returns False if that
        state has changed. Raises UnknownAccount, TooManyAccounts or UnitFailed.
        """
        async with self._starts.held(instance):
            unit = await record(self.units, instance, 0)
            account = self.reread(instance)
            if account is None:
                raise unknown_account(instance)
            if account.desired is not Desired.STARTED:
                return False
            if not unit.has_process or unit.state is UnitState.DEACTIVATING:
                async with self._starts.place(instance):
                    async with self._owned(account.name) as epoch:
                        await self._raise_epoch(instance, epoch)
                    await self._starts.bring_up(unit)
                await self.settled(instance)
            return True

    @to_its_end
    async def stop(self, name_or_id: str) -> Stopped:
        """Record that an account shall not run, and stop its unit; returns when it has ended.

        Ends a start of the account that is under way. Works for a live unit without a usable file, too.
        Raises UnknownAccount, BadName or UnitFailed. Continues if the caller disconnects.
        """
        name = self.registry.name_of(name_or_id)
        async with self._starts.held_to_stop(name.instance):
            return await self._stop_held(name)

    @to_its_end
    async def forget_login(self, name_or_id: str) -> None:
        """Make an account delete its login at its next start, and release its WeChat user. Raises as ``stop``."""
        name = self.registry.name_of(name_or_id)
        async with self._starts.held_to_stop(name.instance):
            await asyncio.to_thread(self._materialiser.log_out, name.instance)
            self.registry.forget(name.instance)
            await asyncio.to_thread(self.logins.forget, name.instance)

    @to_its_end
    async def restart(self, name_or_id: str) -> View:
        """Restart (or start) an account with its stored options. Raises as ``start``, and UnknownAccount."""
        name = self.registry.name_of(name_or_id)
        async with self._starts.held(name.instance):
            unit = await record(self.units, name.instance, 0)
            if self._staying(name) is None:
                raise unknown_account(name.name)
            async with self._starts.place(name.instance):
                async with self._owned(name) as epoch:
                    await self._written(name, {}, {}, keep=True, epoch=epoch)
                await self._starts.bring_up(unit, Verb.RESTART)
            return await self.settled(name.instance)

    @to_its_end
    async def remove(self, name_or_id: str, move: str | None = None) -> View:
        """Stop an account, delete its private state and remove it; return its record. Raises as ``stop``. After its
        ``move``, its new host is recorded; raises UnknownMove.
        """
        name = self.registry.name_of(name_or_id)
        async with self._starts.held_to_stop(name.instance):
            if move is not None:
                await asyncio.to_thread(self._materialiser.has_left, self._on_the_move(name, move), int(time.time()))
            else:
                self._staying(name)
            # One whose files are lost is removed for the other hosts.
            is_here = self.ownership is not None and self.ownership.is_here(name.instance)
            stopped = await self._stop_held(name, is_here)
            if self.ownership is not None and move is None:
                await self._release(name, self.reread(name.instance))
                await self.ownership.forget(name.instance)
            # After the stop, and before the record is deleted: while the data exist, the name must not be used for
            # another account.
            await self.units.purge(name.instance, self.settings.stop_timeout)
            await asyncio.to_thread(self._materialiser.remove, name.instance)
            self.forget(name.instance)
            await asyncio.to_thread(self.logins.forget, name.instance)
            log.info("account %s is removed", name, extra={"WX_ACCOUNT": name.name})
            return stopped.before

    @to_its_end
    async def leave(self, name_or_id: str, leaving: Leaving) -> View:
        """Mark an account as being moved away, and stop it; returns once it has no process.

        The mark of the same move is only brought up to date. Raises AccountMoving for another one, and as ``stop``.
        """
        name = self.registry.name_of(name_or_id)
        async with self._starts.held_to_stop(name.instance):
            account = self.reread(name.instance)
            if account is None:
                raise unknown_account(name.name)
            if (earlier := account.leaving) is not None and earlier.id != leaving.id:
                raise earlier.refused(name.name)
            if earlier is None and self.ownership is not None:
                self.ownership.refuse_copy(name, account)
            ran = earlier.ran if earlier is not None else account.desired is Desired.STARTED
            sent = leaving.sent or (earlier is not None and earlier.sent)
            # Mark it before the stop, so that neither systemd nor another caller starts the account again.
            await asyncio.to_thread(self._materialiser.leave, name.instance, replace(leaving, ran=ran, sent=sent))
            stopped = await self._stop_held(name)
            if stopped.after.unit.state.has_process:
                raise UnitFailed(
                    N_("{unit} is still {unit2}"), N_("stop it first"), unit=name.unit, unit2=stopped.after.unit.words
                )
            try:
                await self._release(name, account)
            except WxError as problem:  # the other host cannot claim it yet
                raise AccountMoving(
                    N_("account {account} is stopped, and this host still owns it: {reason}"),
                    leaving.refused(name.name).remedy_text,
                    account=name.name,
                    reason=problem.text,
                ) from None
            return stopped.after

    async def claim(self, name_or_id: str, epoch: int) -> View:
        """Let the copy on this host be the account, in an epoch that no other host knows. It is not started.

        Raises as ``stop``, and UnitFailed while it runs.
        """
        name = self.registry.name_of(name_or_id)
        async with self._starts.held_to_stop(name.instance):
            unit = await record(self.units, name.instance, 0)
            if unit.state.has_process and self.ownership is not None:
                # It is not owned here and only settles its reports, which the account sends itself from now on.
                self.ownership.withdraw(name.instance)
                unit = (await self._stop_held(name)).after.unit
            if unit.state.has_process:
                raise UnitFailed(N_("{unit} is still {unit2}"), N_("stop it first"), unit=name.unit, unit2=unit.words)
            await asyncio.to_thread(self._materialiser.claim, name.instance, epoch)
            self.registry.forget(name.instance)
        return await self.require(name.name)

    @to_its_end
    async def stay(self, name_or_id: str, move: str) -> View:
        """Undo ``leave``; the account runs again if it was to. Raises UnknownMove, and as ``start_again``."""
        name = self.registry.name_of(name_or_id)
        async with self._starts.held(name.instance):
            self._on_the_move(name, move)
            await asyncio.to_thread(self._materialiser.leave, name.instance, None)
            self.registry.forget(name.instance)
        await self.start_again(name.instance)
        return await self.require(name.name)

    async def _stop_held(self, name: AccountName, is_known: bool = False) -> Stopped:
        registered = self.reread(name.instance)
        unit = await record(self.units, name.instance, 0)
        if registered is None and not unit.state.has_process and not is_known:
            raise unknown_account(name.name)
        account = registered or Account(name, 0, Desired.STOPPED)
        before = self.view_of(account, unit)
        notes = [] if registered else [Text("its file is missing or damaged")]
        if registered is not None and registered.desired is not Desired.STOPPED:
            try:
                await self._desire(name.instance, Desired.STOPPED)
            except (WxError, OSError) as problem:
                # A full disk or a broken template must not prevent stopping an account.
                notes.append(
                    Text(
                        "cannot record that it stays stopped after a reboot: {problem}",
                        problem=reason_of(problem),
                    )
                )
                log.error("account %s: %s", name, notes[-1], extra={"WX_ACCOUNT": name.name})
        # Also without a process: it ends systemd's waiting to start the unit again.
        await self.units.act(Verb.STOP, name.instance, self.settings.stop_timeout)
        account = self.reread(name.instance) or account
        if self.ownership is not None:
            try:
                await self.ownership.tell(name, account)
            except WxError as problem:  # the controller tries again
                notes.append(
                    Text("other hosts do not know that it is stopped: {problem}", problem=reason_of(problem))
                )
        if self.paths.boot_link(name.instance).is_symlink():  # only root can disable a unit
            notes.append(Text(_ENABLED, unit=name.unit))
        log.info("account %s is stopped", name, extra=fields(Event.ACCOUNT_STOPPED, name.name))
        return Stopped(before, self.view_of(account, await record(self.units, name.instance)), joined(notes))

    def arrived(self, name_or_id: str, move: str) -> Account:
        """Return an account that a move has brought here. Raises UnknownAccount and UnknownMove."""
        account = self.account(name_or_id)
        if not move or account.arrived != move:
            raise UnknownMove(
                N_("account {account} was not received in this move"),
                N_("see: wxctl status {account}"),
                account=account.name.name,
            )
        return account

    async def send_back(self, name_or_id: str, move: str) -> View:
        """Remove an account that a move has brought. Raises AccountMoved if it was started, and as ``remove``."""
        account = self.arrived(name_or_id, move)
        if account.desired is not Desired.STOPPED:
            raise AccountMoved(
                N_("account {account} has been started on this host"),
                N_("move it back: wxctl move"),
                account=account.name.name,
            )
        return await self.remove(name_or_id)

    def _on_the_move(self, name: AccountName, move: str) -> Account:
        """Return an account that this move is taking away. Raises UnknownAccount or UnknownMove."""
        account = self.reread(name.instance)
        if account is None:
            raise unknown_account(name.name)
        if account.leaving is None or account.leaving.id != move:
            raise UnknownMove(
                N_("account {account} is not part of this move"), N_("see: wxctl status {account}"), account=name.name
            )
        return account

    def _staying(self, name: AccountName) -> Account | None:
        """Return a registered account that may run here, None for an unknown one. Raises AccountMoving."""
        account = self.reread(name.instance)
        if account is not None and account.leaving is not None:
            raise account.leaving.refused(name.name)
        return account

    async def _written(
        self,
        name: AccountName,
        options: Mapping[str, str],
        parameters: Mapping[str, str],
        keep: bool,
        runs: bool = False,
        epoch: int = 1,
    ) -> None:
        # Locks a file and waits for the disk.
        await asyncio.to_thread(self._materialiser.start, name, options, parameters, keep, runs, epoch)
        self.registry.forget(name.instance)

    async def _raise_epoch(self, instance: str, epoch: int) -> None:
        if epoch > 1:
            await asyncio.to_thread(self._materialiser.raise_epoch, instance, epoch)
            self.registry.forget(instance)

    # -- the owner, in a fleet with etcd

    @contextlib.asynccontextmanager
    async def _owned(self, name: AccountName) -> AsyncIterator[int]:
        """Claim an account for this host during a block; yields the epoch for its record. Raises WxError when the
        account must not run here.
        """
        if self.ownership is None:
            yield 1
            return
        async with self.ownership.claiming(name, self.reread(name.instance)) as epoch:
            yield epoch

    @to_its_end
    async def own(self, instance: str) -> None:
        """Claim an account whose unit was started with systemctl. Raises WxError if it must not run here."""
        name = self.registry.name_of(instance)
        async with self._starts.held(instance):
            self._staying(name)
            if (await record(self.units, instance, 0)).has_process:
                async with self._owned(name) as epoch:
                    await self._raise_epoch(instance, epoch)

    @to_its_end
    async def retire(self, instance: str) -> None:
        """Record that an account should no longer run here: another host has adopted it, and it is settled here."""
        async with self._starts.held(instance):
            await self._desire(instance, Desired.STOPPED)

    async def _release(self, name: AccountName, account: Account | None) -> None:
        """Release an account that leaves this host, if its unit is dead. Raises WxError if etcd cannot be reached."""
        if self.ownership is not None:
            # From now on no new process is allowed to run. One that was started exists by now.
            self.ownership.withdraw(name.instance)
            if not (await record(self.units, name.instance, 0)).state.has_process:
                await self.ownership.release(name, account)

    async def _desire(self, instance: str, desired: Desired) -> None:
        await asyncio.to_thread(self._materialiser.desire, instance, desired)
        self.registry.forget(instance)

    async def finish(self, action: Coroutine[object, None, T]) -> T:
        """See ``to_its_end``."""
        task = asyncio.ensure_future(action)
        self._actions.add(task)
        task.add_done_callback(self._actions.discard)
        try:
            # Otherwise the account could be half started, with a record that differs from systemd's state.
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(log_end)
            raise


def log_end(task: asyncio.Task[object]) -> None:
    """Log the result of an action whose caller has disconnected."""
    if not task.cancelled() and (problem := task.exception()) is not None:
        log.warning("the caller disconnected; the action failed: %s", problem)


def joined(texts: list[Text]) -> Text:
    found = NOTHING
    for text in texts:
        found = Text("{what}; {remedy}", what=found, remedy=text) if found else text
    return found
