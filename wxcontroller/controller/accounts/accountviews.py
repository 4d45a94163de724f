"""The present state of the accounts. Past actions are not remembered: files contain the desired state, systemd the
actual one.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Iterable, Mapping

from wxcontroller.controller.accounts import statefiles
from wxcontroller.controller.accounts.registry import Registry
from wxcontroller.controller.accounts.statefiles import ClientState, StateFiles, Unreadable
from wxcontroller.controller.accounts.units import MAX_AGE, UnitRecord, Units, record
from wxcontroller.controller.accounts.view import View
from wxcontroller.controller.accounts.viewcache import Views
from wxcontroller.core.condition.facts import NO_END, LastEnd
from wxcontroller.core.errors import UnknownAccount, WxError
from wxcontroller.core.files.filecache import Stamp
from wxcontroller.core.net.tcptable import listeners, program_of
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import Account
from wxcontroller.core.states import UnitState
from wxcontroller.core.text.templates import N_, NOTHING, Text

# A unit that is up has already written its state; a foreign program may need a moment longer.
_STATE_WAIT = 1.0
_STATE_LOOK = 0.02


class AccountViews:
    """The accounts of this machine. ``patience`` returns the seconds after which a problem is reported."""

    def __init__(self, paths: Paths, units: Units, patience: Callable[[], float]) -> None:
        self.paths = paths
        self.units = units
        self.registry = Registry(paths)
        self.state_files = StateFiles(paths)
        # Accounts whose processes crash repeatedly; updated by the restart counter.
        self.crash_loops: set[str] = set()
        # How the last processes of these accounts ended, and of those whose units have failed or are being restarted.
        self.ends: Mapping[str, LastEnd] = {}
        # Who has the ports of accounts that cannot use them, by instance.
        self.port_users: Mapping[str, Text] = {}
        # This host's name in its fleet, and accounts that other hosts have, too (controller/hosts/otherhosts.py).
        self.host = ""
        self.duplicates: Mapping[str, str] = {}
        # Why accounts cannot be claimed, in a fleet with etcd (controller/hosts/hostowners.py).
        self.unclaimed: Mapping[str, WxError] = {}
        self.halted: WxError | None = None  # why all accounts of this host are stopped
        self._patience = patience
        # Contradictory views that a fresh query has confirmed: not queried again while nothing changes.
        self._confirmed: dict[str, tuple[UnitRecord, Stamp | None]] = {}
        self._views = Views(paths, self.registry, self.view_of)

    def close(self) -> None:
        """Stop watching the accounts' files."""
        self._views.close()

    async def views(self) -> tuple[View, ...]:
        """Return all accounts, by id: the same tuple until something changes.

        Raises UnitFailed when systemd cannot be queried, and OSError.
        """
        views = self._certain(await self.units.snapshot())
        if views is None:
            # The files were read now, the units a second ago: a contradiction may only be a start in between.
            views = self._current(await self.units.snapshot(0))
            self._confirm(self._views.fresh.values())
            self._views.fresh.clear()
        return views

    def recent_views(self) -> tuple[View, ...] | None:
        """Return the result of ``views`` if that needs no query, else None. Raises OSError."""
        units = self.units.recent()
        return None if units is None else self._certain(units)

    def recent_view(self, instance: str) -> View | None:
        """Return an account's view if that needs no query, else None. Raises OSError."""
        return self._views.of(instance) if self.recent_views() is not None else None

    def _certain(self, units: Mapping[str, UnitRecord]) -> tuple[View, ...] | None:
        """Return the views of this moment, None if a new one contradicts its unit, which may have changed since."""
        views, fresh = self._current(units), self._views.fresh
        if any(self._doubtful(view) for view in fresh.values()):
            return None
        fresh.clear()
        return views

    def _current(self, units: Mapping[str, UnitRecord]) -> tuple[View, ...]:
        looked = (frozenset(self.crash_loops), self.ends, self.port_users, self._patience())
        others = (*looked, self.host, self.duplicates, self.unclaimed, self.halted)
        return self._views.current(units, others)

    def _doubtful(self, view: View) -> bool:
        """Return whether a view may be wrong because the unit was looked at a second ago."""
        return view.contradictory and self._confirmed.get(view.instance) != unit_and_stamp(view)

    def _confirm(self, views: Iterable[View]) -> None:
        for view in views:
            if view.contradictory:
                self._confirmed[view.instance] = unit_and_stamp(view)
            else:
                self._confirmed.pop(view.instance, None)

    def account(self, name_or_id: str) -> Account:
        """Return one registered account by name or id. Raises UnknownAccount or BadName."""
        name = self.registry.name_of(name_or_id)
        found = self.registry.get(name.instance)
        if found is None:
            raise unknown_account(name_or_id)
        return found

    async def view(self, name_or_id: str, max_age: float = MAX_AGE) -> View | None:
        """Return an account by name or id, or None. Raises UnitFailed."""
        account = self.registry.find(name_or_id)
        if account is None:
            return None
        found = self.view_of(account, await record(self.units, account.name.instance, max_age))
        if max_age > 0 and self._doubtful(found):
            found = self.view_of(account, await record(self.units, account.name.instance, 0))
            self._confirm([found])
        return found

    async def require(self, name_or_id: str) -> View:
        """Return one account by name or id; raises BadName, UnknownAccount or UnitFailed."""
        name = self.registry.name_of(name_or_id)
        found = await self.view(name.name)
        if found is None:
            raise unknown_account(name_or_id)
        return found

    def view_of(self, account: Account, unit: UnitRecord) -> View:
        """Return the view of an account whose unit is known."""
        instance, state, unreadable = account.name.instance, None, NOTHING
        try:
            state = self.state_files.get(instance)
        except Unreadable as problem:
            unreadable = problem.words
        recent = None
        until = state.until if state is not None else math.inf
        published = self.state_files.published(instance) if unit.has_process else None
        if published is not None and published.heartbeats:
            now = time.time()
            recent = published.heartbeats.at(now)
            until = min(until, statefiles.uptime() + published.heartbeats.until(now) - now)
        loops, patience = instance in self.crash_loops, self._patience()
        host, also_on, obstacle = self.host, self.duplicates.get(instance, ""), self.unclaimed.get(instance)
        if self.halted is not None and not unit.state.has_process:
            obstacle = self.halted
        elif obstacle is None and unit.state is UnitState.FAILED:
            obstacle = self.registry.bad_settings(instance)
        return View(
            *(account, unit, state, unreadable, published, loops, patience, recent, until),
            *(host, also_on, obstacle, self.port_users.get(instance, NOTHING)),
            ended=self.ends.get(instance, NO_END),
        )

    async def look_for_port_users(self, views: Iterable[View]) -> None:
        """Find out who has the ports that accounts cannot use. Raises nothing."""
        taken = [view.account for view in views if view.live and view.live.client.port_error]
        self.port_users = await asyncio.to_thread(self._port_users, taken) if taken else {}

    def _port_users(self, accounts: Iterable[Account]) -> Mapping[str, Text]:
        try:
            users = listeners()
        except OSError:
            return {}
        return {
            account.name.instance: Text(
                N_("port {port} is in use by {who}"), port=account.port, who=program_of(min(others), self.paths)
            )
            for account in accounts
            if (others := users.get(account.port))
        }

    async def settled(self, instance: str) -> View:
        """Return an account once its client has written its state, or after a second."""
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
        return self.view_of(account, unit)

    def _state(self, instance: str) -> ClientState | None:
        try:
            return self.state_files.get(instance)
        except Unreadable:
            return None

    def reread(self, instance: str) -> Account | None:
        """Return a registered account as its file is now, or None."""
        self.registry.forget(instance)
        return self.registry.get(instance)

    def forget(self, instance: str) -> None:
        """Drop cached data of a removed account."""
        self.registry.forget(instance)
        self.state_files.forget(instance)
        self._confirmed.pop(instance, None)


def unit_and_stamp(view: View) -> tuple[UnitRecord, Stamp | None]:
    return view.unit, view.state.stamp if view.state is not None else None


def unknown_account(name: str) -> UnknownAccount:
    return UnknownAccount(
        N_("there is no account {given}"), N_("GET /v1/accounts or wxctl list shows the accounts"), given=name
    )
