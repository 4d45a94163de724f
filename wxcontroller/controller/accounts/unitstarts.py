"""Starting units: one action per account at a time, no more accounts than max_clients, and a stop ends a start."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from weakref import WeakValueDictionary

from wxcontroller.controller.accounts.registry import Registry
from wxcontroller.controller.accounts.units import UnitRecord, Units, Verb, record
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.errors import UnitFailed, WxError
from wxcontroller.core.names import unit_of
from wxcontroller.core.process.journal import Event, fields
from wxcontroller.core.states import UnitState
from wxcontroller.core.text.templates import N_

log = logging.getLogger(__name__)
# The time limit of reset-failed.
_QUICK = 10.0


class TooManyAccounts(WxError, code="max-clients", status=409, exit_code=5):
    """max_clients accounts are already running."""


class StoppedMeanwhile(UnitFailed):
    """A start was ended by a stop."""


class UnitStarts:
    """The starts under way."""

    def __init__(self, units: Units, registry: Registry, settings: Callable[[], Settings]) -> None:
        self._units = units
        self._registry = registry
        self._settings = settings
        # By account, and only while in use: its holder and waiters keep it alive.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._starting: set[str] = set()
        self._coming_up: dict[str, asyncio.Task[None]] = {}
        self._stops: Counter[str] = Counter()

    def held(self, instance: str) -> asyncio.Lock:
        """Return an account's lock, to be held for a block: later callers wait, in order."""
        return self._locks.setdefault(instance, asyncio.Lock())

    @contextlib.asynccontextmanager
    async def held_to_stop(self, instance: str) -> AsyncIterator[None]:
        """Hold an account's lock without waiting for a hanging start: it is cancelled, and no other one begins."""
        # First, so that a start that begins now ends immediately.
        self._stops[instance] += 1
        try:
            if (coming_up := self._coming_up.get(instance)) is not None:
                coming_up.cancel()
            async with self.held(instance):
                yield
        finally:
            self._stops[instance] -= 1
            self._stops += Counter()  # drops zeros

    @contextlib.asynccontextmanager
    async def place(self, instance: str) -> AsyncIterator[None]:
        """Reserve one of max_clients places while an account starts; stopped accounts use none."""
        units = await self._units.snapshot()
        # Including those being started: systemd does not show these immediately, and starts run concurrently.
        taken = {each for each, unit in units.items() if unit.has_process} | self._starting
        if len(taken - {instance}) >= self._settings().max_clients:
            raise TooManyAccounts(
                N_("{max_clients} accounts are running, which is the limit"),
                N_("stop one, or raise max_clients in the settings"),
                max_clients=self._settings().max_clients,
            )
        self._starting.add(instance)
        try:
            yield
        finally:
            self._starting.discard(instance)

    async def bring_up(self, unit: UnitRecord, verb: Verb = Verb.START) -> None:
        """Start a unit from any state. Raises UnitFailed with its present state, or StoppedMeanwhile."""
        instance, name = unit.instance, self._registry.shown_name(unit.instance)
        if unit.sub.startswith("auto-restart"):
            verb = Verb.RESTART  # a start would only wait for the time of the next automatic one
        try:
            await self.wait_for(instance, self._up(unit, verb))
        except StoppedMeanwhile:
            raise
        except UnitFailed as problem:
            now = await record(self._units, instance, 0)
            if now.state is UnitState.ACTIVE and not unit.has_process:
                # systemctl lost its connection, as while systemd is re-executed, or gave up too early.
                log.info("%s is up, although: %s", unit_of(instance), problem.message)
                return
            failure = UnitFailed(
                N_("{problem}; the unit's state is now {now}"), problem.remedy, problem=problem.text, now=now.words
            )
            if now.state is UnitState.FAILED and (bad := self._registry.bad_settings(instance)) is not None:
                failure = UnitFailed(
                    N_("{unit} cannot start: {reason}"), bad.remedy_text, unit=unit_of(instance), reason=bad.text
                )
            log.error("account %s: %s", name, failure, extra=fields(Event.ACCOUNT_FAILED, name))
            raise failure from None
        log.info("%s is up", unit_of(instance), extra=fields(Event.ACCOUNT_STARTED, name))

    async def _up(self, unit: UnitRecord, verb: Verb) -> None:
        if unit.state is not UnitState.ABSENT:
            # Starts by hand count for systemd's start limit too; an admin's drop-in may set one.
            with contextlib.suppress(UnitFailed):
                await self._units.act(Verb.RESET_FAILED, unit.instance, _QUICK)
        await self._units.act(verb, unit.instance, self._settings().start_timeout)

    async def wait_for(self, instance: str, start: Coroutine[object, None, None]) -> None:
        """Wait for a start to be done. Raises StoppedMeanwhile when the account is to be stopped."""
        task = asyncio.ensure_future(start)
        if self._stops[instance]:
            task.cancel()
        self._coming_up[instance] = task
        try:
            await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            # The caller itself was cancelled, not the start by a stop: both arrive here as the same exception.
            if current is not None and current.cancelling():
                raise
            raise StoppedMeanwhile(
                N_("{unit} was stopped while it was starting"), N_("start it again"), unit=unit_of(instance)
            ) from None
        finally:
            del self._coming_up[instance]
