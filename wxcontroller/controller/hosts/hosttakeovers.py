"""Taking over accounts of hosts that are lost, in a fleet with etcd, where their option ``takeover`` allows it.

A host is lost when its lease has ended: then none of its accounts runs (fleet/keeper.py). This host waits for some
time, in which the other one may return, claims the account, and has root import its standby bundle, as
``wxctl adopt`` does. ``fleet/takeoverplan.py`` says which hosts may take an account; the second one waits longer. No
account is ever moved back.

etcd remembers a takeover that is not done. If this is interrupted, it is taken up from there: the account is here by
then, or its bundle still is.
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass

from wxcontroller.controller.accounts.importsocket import imported, not_receiving
from wxcontroller.controller.callers.refusals import ArrivalRefused
from wxcontroller.controller.context import Context
from wxcontroller.core.config.fleetsettings import EtcdSettings
from wxcontroller.core.errors import WxError, file_failed
from wxcontroller.core.names import AccountName, name_or_none
from wxcontroller.core.process.journal import Event, fields
from wxcontroller.core.registry.account import Account
from wxcontroller.core.states import Desired
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.fleet.hosts import Hosts
from wxcontroller.fleet.owners import Owners
from wxcontroller.fleet.recordcache import NotClaimable
from wxcontroller.fleet.records import AccountRecord
from wxcontroller.fleet.standby import KeptBundle, kept_bundles
from wxcontroller.fleet.takeoverplan import Outlooks, source_of

log = logging.getLogger(__name__)
# Each further host waits this much longer for its turn: an import takes seconds.
_NEXT_HOST_SECONDS = 15.0
# Before a failed takeover is retried here; another host may succeed meanwhile.
_FAILED_SECONDS = 60.0
# Takeovers at a time. Root's program handles at most eight accounts, including moves and bundles.
_AT_A_TIME = 4


@dataclass(frozen=True, slots=True)
class FailedTakeover:
    """Why this host could not take an account over, and when it tries again, by the steady clock."""

    reason: Text
    again_at: float


class HostTakeovers:
    """The takeovers by this host. ``counts`` are those since the start, by how they have ended."""

    def __init__(
        self, shared: Context, hosts: Hosts, owners: Owners, outlooks: Outlooks, settings: EtcdSettings
    ) -> None:
        self._shared = shared
        self._hosts = hosts
        self._owners = owners
        self._outlooks = outlooks
        self._settings = settings
        self._lost: dict[str, float] = {}  # since when an account has no host, by the steady clock
        self._failed: dict[str, FailedTakeover] = {}
        self._running: set[str] = set()
        self._allowed, self._looked = 1.0, time.monotonic()
        self.counts: Counter[str] = Counter({"done": 0, "failed": 0})

    def due(self, registered: Collection[str]) -> list[str]:
        """Return the accounts whose takeover by this host begins or continues. Raises OSError."""
        now, rate = time.monotonic(), self._settings.takeover_rate
        # A token bucket for one second: after a pause, not all accounts of a host begin at once.
        self._allowed = min(max(1.0, rate), self._allowed + (now - self._looked) * rate)
        self._looked = now
        lost = {
            instance: self._lost.get(instance, now)
            for instance, record in self._owners.accounts.items()
            if record.is_wanted and self._is_lost(instance, record)
        }
        self._lost = lost
        begun = [instance for instance in self._owners.takeovers if self._owners.takes_over(instance)]
        self._failed = {key: each for key, each in self._failed.items() if key in lost or key in begun}
        self._outlooks.failed = {instance: each.reason for instance, each in self._failed.items()}
        found = [instance for instance in begun if not self._rests(instance, now)]
        ripe = [instance for instance, since in lost.items() if self._is_ripe(instance, now - since, now)]
        if ripe:
            kept = kept_bundles(self._shared.accounts.paths)
            found += [each for each in ripe if each not in registered and self._bundle_of(each, kept) is not None]
        due: list[str] = []
        for instance in found:
            if instance not in self._running and len(self._running) + len(due) < _AT_A_TIME and self._allowed >= 1:
                self._allowed -= 1
                due.append(instance)
        return due

    def _rests(self, instance: str, now: float) -> bool:
        """Return whether a takeover has failed here a short time ago."""
        failed = self._failed.get(instance)
        return failed is not None and now < failed.again_at

    def _is_lost(self, instance: str, record: AccountRecord) -> bool:
        """Return whether an account has no host; one that another host fails to take over still has none."""
        owners = self._owners
        if (taken := owners.open_takeover(instance)) is not None:
            return taken.source not in owners.hosts
        return owners.owner(instance) is None and record.host not in (owners.name, *owners.hosts)

    def _is_ripe(self, instance: str, lost: float, now: float) -> bool:
        """Return whether it is this host's turn to take over an account that was ``lost`` so many seconds ago."""
        if self._owners.owner(instance) is not None or self._rests(instance, now):
            return False
        hosts = self._outlooks.of(instance, self._owners.accounts[instance]).hosts
        if self._owners.name not in hosts:
            return False
        waits = hosts.index(self._owners.name) * _NEXT_HOST_SECONDS
        return lost >= self._settings.takeover_after + waits

    def _bundle_of(self, instance: str, kept: Mapping[str, KeptBundle]) -> KeptBundle | None:
        """Return the bundle here from which an account is taken over, None if there is none."""
        record, bundle = self._record(instance), kept.get(instance)
        if bundle is None or bundle.host != source_of(instance, record, self._owners):
            return None
        # A bundle on a host that is no longer the standby host may be old.
        return bundle if self._owners.name == record.standby or bundle.epoch == record.epoch else None

    async def run(self, instance: str) -> None:
        """Take an account over, or continue to do so. Raises WxError and OSError."""
        self._running.add(instance)
        try:
            name = name_or_none(self._record(instance).name)
            if name is None or name.instance != instance:
                raise NotClaimable(N_("the record of account {account} cannot be read"), account=instance)
            if self._owners.takes_over(instance) is None:
                # Claim first, then import: if several hosts have a bundle, only one continues.
                await self._claim(name)
            elif self._owners.owner(instance) is None:  # this host had lost its lease meanwhile
                await self._claim_again(name)
            await self._bring(name)
        except (WxError, OSError) as problem:
            reason = problem.full_text if isinstance(problem, WxError) else Text(str(file_failed(problem)))
            self._failed[instance] = FailedTakeover(reason, time.monotonic() + _FAILED_SECONDS)
            self._shared.accounts.registry.forget(instance)
            if instance not in self._shared.accounts.registry.all():
                with contextlib.suppress(WxError):  # else it is retried here
                    await self._owners.undo_takeover(instance)
            self.counts["failed"] += 1  # once the account is given back
            raise
        finally:
            self._running.discard(instance)

    def _record(self, instance: str) -> AccountRecord:
        """Return an account's record in etcd. Raises NotClaimable if it was removed meanwhile."""
        if (record := self._owners.accounts.get(instance)) is None:
            raise NotClaimable(N_("the record of account {account} cannot be read"), account=instance)
        return record

    async def _claim(self, name: AccountName) -> None:
        record, paths = self._record(name.instance), self._shared.accounts.paths
        if not paths.receive_socket.exists():
            raise not_receiving(Text("the socket does not exist"))
        kept = await asyncio.to_thread(kept_bundles, paths)
        bundle = self._bundle_of(name.instance, kept)
        if bundle is None:
            raise NotClaimable(N_("there is no standby bundle of account {account}"), account=name.name)
        # Also consider other hosts' controllers: etcd may have been restored from before their claims.
        rows = [host.rows[name.instance].epoch for host in self._hosts if name.instance in host.rows]
        await self._owners.take_over(
            name.instance,
            bundle.host,
            max(bundle.epoch, *rows, 0),
            bundle.at,
            self._hosts.settings.egress,
            round(self._settings.takeover_pause),
        )
        log.warning(
            "account %s: host %s is lost, and this host takes it over in epoch %d, from a bundle of epoch %d that is "
            "%d s old",
            *(name, bundle.host, self._owners.accounts[name.instance].epoch, record.epoch),
            int(time.time()) - bundle.at,
            extra={"WX_ACCOUNT": name.name},
        )

    async def _claim_again(self, name: AccountName) -> None:
        record = self._record(name.instance)
        await self._owners.claim(name, record, record.epoch)

    async def _bring(self, name: AccountName) -> None:
        """Import the account and start it. Raises WxError and OSError."""
        accounts, instance = self._shared.accounts, name.instance
        if self._registered(instance) is None or (instance in kept_bundles(accounts.paths)):
            try:
                await imported(accounts.paths.receive_socket, name, f"{instance} takeover", no_content())
            except ArrivalRefused:
                # An import that was interrupted after all was there, is undone by the next one if not.
                if self._registered(instance) is None:
                    raise
        account = self._registered(instance)
        if account is not None and account.desired is not Desired.STARTED:
            try:
                await accounts.start(name, {}, {}, keep=True)
            except WxError as problem:
                marks = fields(Event.ACCOUNT_FAILED, name.name)
                log.error("account %s is taken over and does not start: %s", name, problem, extra=marks)
                if (account := self._registered(instance)) is not None and account.desired is not Desired.STARTED:
                    raise  # it was not tried, because no place or port is free
        taken = self._owners.takes_over(instance)
        # After the start: if interrupted before, the takeover is repeated, and each step detects that it is done.
        await self._owners.end_takeover(instance)
        self._failed.pop(instance, None)
        self.counts["done"] += 1
        if taken is not None:
            log.warning("account %s is taken over from host %s", name, taken.source, extra={"WX_ACCOUNT": name.name})

    def _registered(self, instance: str) -> Account | None:
        self._shared.accounts.registry.forget(instance)
        return self._shared.accounts.registry.all().get(instance)


async def no_content() -> AsyncIterator[bytes]:
    """Yield nothing after the line: the content is on this host."""
    yield b""
