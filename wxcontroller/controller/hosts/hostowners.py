"""Keeps the accounts that run on this host in step with those that it owns in etcd (``fleet/owners.py``).

Once a second, units, owner files (``controller/hosts/hostfiles.py``) and the records of etcd are compared:

    process  owned here  action
    any      yes         its record in etcd is brought up to date
    yes      no          claimed, because it was started with systemctl; stopped if another host owns it
    no       any         started, if it is wanted and due under a new lease, or could not be claimed before
    no       no          a leftover owner file is removed

An account that another host has adopted meanwhile is started once more, to settle its reports and sends here
(client/login/settling.py). After it has succeeded, it is no longer wanted here.

While etcd does not respond, nothing is claimed, released or stopped here: accounts that run under a valid permit are
systemd's business.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from pathlib import Path

from wxcontroller.controller.accounts.units import UnitRecord, Verb
from wxcontroller.controller.context import Context
from wxcontroller.controller.hosts.hostfiles import KeeperFiles, OwnerFile, owner_files
from wxcontroller.controller.hosts.hoststandbys import HostStandbys
from wxcontroller.controller.hosts.hoststarts import HostStarts
from wxcontroller.controller.hosts.hosttakeovers import HostTakeovers
from wxcontroller.core.config.fleetsettings import EtcdSettings
from wxcontroller.core.errors import AccountMoving, WxError, file_failed
from wxcontroller.core.files.atomic import replace_file
from wxcontroller.core.jsontypes import JsonObject, JsonValue, text
from wxcontroller.core.names import AccountName
from wxcontroller.core.registry.account import Account
from wxcontroller.core.registry.materialise import aside
from wxcontroller.core.states import Desired, UnitState
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, NOTHING, Text, text_fields
from wxcontroller.fleet.credentials import PeerCredentials
from wxcontroller.fleet.etcd import Etcd, EtcdMember, EtcdMoment
from wxcontroller.fleet.hosts import Hosts
from wxcontroller.fleet.owners import OwnedElsewhere, Owners
from wxcontroller.fleet.recordcache import NotClaimable
from wxcontroller.fleet.records import AccountRecord
from wxcontroller.fleet.takeoverplan import Outlooks

log = logging.getLogger(__name__)
# Between two looks. An account that systemctl starts waits 10 s for its owner.
_LOOK_SECONDS = 1.0
# Between two looks at the members of etcd.
_MEMBERS_SECONDS = 10.0
# Between two looks at the certificates for etcd, and how long before it expires one is reported.
_CERTIFICATES_SECONDS, ENDING_SECONDS = 3600.0, 30 * 86400.0
# A permit has 15 to 20 s left while renewals succeed.
LATE_SECONDS = 10.0
# The keeper's value with the package's WatchdogSec=15 (``fleet.keeper.Times``).
LEASE_SECONDS = 30.0


class HostOwners:
    """The accounts that this host owns. ``run`` keeps them up to date.

    An account runs here only while this host owns it. It is claimed before its unit is started for the first time
    under a lease, and stays this host's when it is stopped. It is given up only when it is moved or removed.

    ``unclaimed`` says why accounts cannot be claimed. They are started once that is possible, if they are wanted.
    """

    def __init__(
        self,
        shared: Context,
        hosts: Hosts,
        standbys: HostStandbys,
        settings: EtcdSettings,
        credentials: PeerCredentials,
    ) -> None:
        self._shared = shared
        self._hosts = hosts
        self._paths = shared.accounts.paths
        self._standbys = standbys
        self.keeper = KeeperFiles(self._paths, hosts.name)
        self._etcd = Etcd(settings, credentials)
        # The keeper's last known state of etcd, and that from before the last boot.
        self._noted = latest = self._moment(self._paths.etcd_state)
        latest = latest.joined(self._moment(self._paths.fleet_runtime / "etcd"))
        self.records = Owners(self._etcd, settings.prefix, hosts.name, self.keeper.lease, LEASE_SECONDS, latest)
        self.outlooks = Outlooks(self.records, settings, standbys.made)
        self.takeovers = HostTakeovers(shared, hosts, self.records, self.outlooks, settings)
        self.starts = HostStarts(shared)
        self.unclaimed: dict[str, WxError] = {}
        self._acting: dict[str, asyncio.Task[None]] = {}
        # Leases under which accounts were started for settling, and whether they came up.
        self._settling: dict[str, tuple[int, bool]] = {}
        self._runs = False
        self._complaint = ""
        self._members: Mapping[str, EtcdMember] = {}
        self._certificate_ends: Mapping[str, int] = {}

    async def run(self) -> None:
        """Follow the owners, and keep the running accounts in step with them, until cancelled."""
        async with self._etcd, asyncio.TaskGroup() as group:
            self._runs = True
            _ = group.create_task(self.records.run(), name="owners")
            _ = group.create_task(self._watch_members(), name="members of etcd")
            _ = group.create_task(self._watch_certificates(), name="certificates for etcd")
            try:
                await self._synchronize(group)
            finally:
                self._runs = False

    async def _watch_members(self) -> None:
        # While the others form a quorum, everything works without one, and nothing else shows that it is down.
        while True:
            self._members = await self._etcd.members()
            await asyncio.sleep(_MEMBERS_SECONDS)

    async def _watch_certificates(self) -> None:
        while True:
            # The end of a member's that is not reached now stays known: otherwise the alert would end and come again.
            self._certificate_ends = {**self._certificate_ends, **await self._etcd.certificate_ends()}
            await asyncio.sleep(_CERTIFICATES_SECONDS)

    async def _synchronize(self, group: asyncio.TaskGroup) -> None:
        while True:
            complaint = ""
            self._note_halt()
            try:
                self._note_moment()
                await self._compare(group)
            except (WxError, OSError) as problem:
                complaint = f"the owners of accounts cannot be compared with their units: {problem}"
            if complaint and complaint != self._complaint:
                log.error("%s", complaint)
            self._complaint = complaint
            await asyncio.sleep(_LOOK_SECONDS)

    def _obstacle(self) -> tuple[Text, Text]:
        """Return why this host has no lease, and what to do."""
        reason, remedy = self.keeper.obstacle()
        down = {url: why for url, why in self.members.items() if why}
        if down and len(self.members) - len(down) < self._quorum:
            # All may be well, and this host not: its certificate, its password or its network.
            words = N_(
                "etcd has no quorum for this host: {down} of {count} members cannot be used, as {url}: {reason}"
            )
            url, why = next(iter(down.items()))
            reason = Text(words, down=len(down), count=len(self.members), url=url, reason=why)
            remedy = Text(N_("repair them, see wxctl fleet; then the accounts start again"))
        return reason, remedy

    def _note_halt(self) -> None:
        """Have the accounts say why they are stopped while this host has no lease."""
        accounts = self._shared.accounts
        if self.keeper.lease():
            accounts.halted = None
            return
        reason, remedy = self._obstacle()
        words = N_("the accounts of this host are stopped, because it has no lease: {reason}")
        halted = NotClaimable(words, remedy, reason=reason)
        if str(halted.full_text) != str(accounts.halted and accounts.halted.full_text):
            # Only a new reason: with each other object, the views of all accounts are rendered again.
            accounts.halted = halted

    async def may_claim(self) -> None:
        """Wait until accounts can be claimed."""
        await self.records.until_read()
        while not self.keeper.lease():  # noqa: ASYNC110 - a file of another process
            await asyncio.sleep(_LOOK_SECONDS)

    # -- status

    @property
    def trouble(self) -> Text:
        """Why accounts of this host cannot be claimed, or soon cannot be; NOTHING if they can."""
        if self.records.reason:
            return self.records.reason
        left = self.keeper.permit_left()
        if not self.keeper.lease() or left is None:
            reason, remedy = self.keeper.obstacle()
            return Text(N_("this host has no lease: {reason}; {remedy}"), reason=reason, remedy=remedy)
        if left < LATE_SECONDS:
            words = N_("the lease of this host was not renewed; its accounts stop in {seconds} s")
            return Text(words, seconds=max(0, int(left)))
        return NOTHING

    @property
    def held(self) -> Mapping[str, Text]:
        """The accounts of lost hosts that no host takes over, with the reasons, by name."""
        return {self.records.accounts[instance].name: reason for instance, reason in self.outlooks.lost().items()}

    @property
    def taken_over(self) -> Mapping[str, str]:
        """The accounts that this host has taken over lately, with their hosts of before, by name."""
        return {
            record.name: taken.source
            for instance, taken in sorted(self.records.takeovers.items())
            if taken.to == self._hosts.name and taken.done
            if (record := self.records.accounts.get(instance)) is not None and record.host == taken.to
        }

    @property
    def members(self) -> Mapping[str, Text]:
        """Why the members of etcd cannot be used, NOTHING for those that can."""
        return {url: member.reason for url, member in self._members.items()}

    @property
    def _quorum(self) -> int:
        return len(self._members) // 2 + 1

    @property
    def ending(self) -> Mapping[str, int]:
        """When the certificates for etcd end that expire soon, by setting or URL of a member."""
        soon = time.time() + ENDING_SECONDS
        return {of: end for of, end in self._certificate_ends.items() if end < soon}

    def as_json(self) -> JsonObject:
        """Return etcd, this host's lease and all owners, as /v1/fleet shows them."""
        left = self.keeper.permit_left()
        counts: JsonObject = {**self.takeovers.counts}
        members: list[JsonValue] = [
            {"url": url, "leader": each.is_leader, "behind": each.behind, **text_fields(reason=each.reason)}
            for url, each in self._members.items()
        ]
        ending = self.ending
        certificates: list[JsonValue] = [
            {"of": of, "ends": end, "ending": of in ending} for of, end in self._certificate_ends.items()
        ]
        return {
            **text_fields(reason=self.trouble),
            "members": members,
            "quorum": self._quorum,
            "certificates": certificates,
            "permit_seconds": None if left is None else max(0, int(left)),
            **self.outlooks.as_json(),
            "takeovers": counts,
        }

    # -- for starts, stops, moves and removals; ``account`` is the record here, None if there is none

    @contextlib.asynccontextmanager
    async def claiming(self, name: AccountName, account: Account | None) -> AsyncIterator[int]:
        """Claim an account, unless this host owns it, and yield its epoch; after the block its process may run.

        After a block that fails, the name of an account that is not here is free. Raises WxError when this host must
        not run it, or does not know.
        """
        claim = await self._claimed(name, account)
        try:
            yield claim.epoch
            if isinstance(claim, AccountRecord):
                await self._note(name)
        except BaseException:
            if account is None and not self._has(name, self._shared.accounts.reread(name.instance)):
                with contextlib.suppress(WxError):  # else its name is this host's
                    await self.records.forget(name.instance)
            raise
        if isinstance(claim, AccountRecord):
            # Last, after etcd and the account's record: a process connects to WeChat once this file exists.
            self._write(name.instance, OwnerFile(self._hosts.name, claim.epoch, claim.lease))
        self._set_unclaimed(name.instance, None)

    async def _note(self, name: AccountName) -> None:
        """Note in etcd that the account's record here has the epoch of its claim. Raises WxError."""
        if (account := self._shared.accounts.reread(name.instance)) is not None:
            wanted = self._wanted(name, account, Desired.STARTED)
            try:
                if not self.records.is_recorded(name.instance, wanted):
                    await self.records.tell(name.instance, wanted)
            except WxError as problem:
                self._set_unclaimed(name.instance, problem)
                raise

    async def _claimed(self, name: AccountName, account: Account | None) -> AccountRecord | OwnerFile:
        """Return a new claim, or the file of an existing one. Raises WxError."""
        file, lease = OwnerFile.read(self._paths.owner_file(name.instance)), self.keeper.lease()
        has_it = self._has(name, account)
        if has_it and file is not None and lease and self._is_valid(name.instance, file, lease):
            return file
        try:
            if account is not None and (others := self._hosts.later(account)):
                raise OwnedElsewhere(
                    N_("host {host} has account {account} with a later epoch"),
                    N_("use it there; if that host is off for good: {claim}"),
                    account=name.name,
                    host=others,
                    claim=command("claim", name.name),
                )
            self._require_running()
            self.records.require_settled()
            if not lease:
                reason, remedy = self._obstacle()
                raise NotClaimable(N_("this host has no lease: {reason}"), remedy, reason=reason)
            wanted = self._wanted(name, account, Desired.STARTED)
            return await self.records.claim(name, wanted, account.epoch if account else int(has_it))
        except WxError as problem:
            self._set_unclaimed(name.instance, problem)
            raise

    def _has(self, name: AccountName, account: Account | None) -> bool:
        """Return whether an account is on this host.

        Of one whose file is damaged, or was when a start has failed, its login and messages are here, and the epoch
        is not known.
        """
        file = self._paths.account_file(name.instance)
        return account is not None or file.exists() or aside(file).exists()

    def _write(self, instance: str, file: OwnerFile) -> None:
        file.write(self._paths.owner_file(instance))

    def refuse_copy(self, name: AccountName, account: Account) -> None:
        """Raise WxError for an account that another host had last: what is here is an older copy."""
        if (refusal := self.records.refusal(name, account.epoch)) is not None:
            raise refusal

    def withdraw(self, instance: str) -> None:
        """Have no process of an account run that is started from now on. Raises OSError."""
        self._paths.owner_file(instance).unlink(missing_ok=True)

    async def tell(self, name: AccountName, account: Account) -> None:
        """Tell the other hosts what is wanted of an account, if this host owns it. Raises WxError."""
        self._require_running()
        self._set_unclaimed(name.instance, None)
        wanted = self._wanted(name, account, account.desired)
        if self.records.takes_over(name.instance) is None and not self.records.is_recorded(name.instance, wanted):
            await self.records.tell(name.instance, wanted)

    def is_here(self, instance: str) -> bool:
        """Return whether an account is on this host as far as the other hosts know, also if its files are lost."""
        return self.records.is_here(instance)

    async def release(self, name: AccountName, account: Account | None) -> None:
        """Release an account whose unit is dead, if this host owns it. Raises WxError."""
        self._require_running()
        self._set_unclaimed(name.instance, None)
        # The record of a takeover says that it is not complete: if released now, no host would finish it.
        if self.records.takes_over(name.instance) is None:
            wanted = self._wanted(name, account, account.desired if account else Desired.STOPPED)
            await self.records.release(name.instance, wanted)

    async def forget(self, instance: str) -> None:
        """Forget an account that is removed, so that any host may use its name. Raises WxError."""
        self._require_running()
        if self.records.takes_over(instance) is None:
            await self.records.forget(instance)

    def _is_valid(self, instance: str, file: OwnerFile, lease: int) -> bool:
        """Return whether an owner file is valid: this host owns the account under its present lease."""
        # While etcd does not respond, its confirmation under this lease is valid: only this host can release it.
        return file.lease == lease and (bool(self.records.reason) or self.records.is_own(instance, lease))

    def _wanted(self, name: AccountName, account: Account | None, desired: Desired) -> AccountRecord:
        """Return what the fleet's record is to say about an account, besides epoch and lease; ``account`` is that of
        this host, or None.
        """
        driver, options = (account.driver, account.options) if account else ("", {})
        return AccountRecord(
            name.name,
            self._hosts.name,
            0,
            desired.value,
            adopted=(account.adopted,) if account else (),
            driver=driver,
            placement=options.get("placement", ""),
            policy=options.get("takeover", ""),
            standby=options.get("standby", ""),
            egress=self._hosts.settings.egress,
            noted=account.epoch if account else 0,
            copies=self._standbys.copies(name.name),
        )

    def _require_running(self) -> None:
        """Raise NotClaimable outside of ``run``: while the controller starts, ends, or changes its settings."""
        if not self._runs:
            raise NotClaimable(N_("this controller has just started"), N_("try again in a moment"))

    def _set_unclaimed(self, instance: str, problem: WxError | None) -> None:
        if problem is not None:
            self.unclaimed = {**self.unclaimed, instance: problem}
        elif instance in self.unclaimed:
            self.unclaimed = {key: each for key, each in self.unclaimed.items() if key != instance}
        self._shared.accounts.unclaimed = self.unclaimed

    # -- keeping in step

    async def _compare(self, group: asyncio.TaskGroup) -> None:
        """Compare units, files and owners once. Raises WxError and OSError."""
        accounts = self._shared.accounts
        units, registered = await accounts.units.snapshot(), accounts.registry.all()
        if not (lease := self.keeper.lease()):
            return
        # After the units: an account may have been started meanwhile, and its file must not be taken for an old one.
        files, has_etcd = owner_files(self._paths), not self.records.reason
        adopted = self._check_adopted(group, units, files, registered)
        wanted = {name for name, account in registered.items() if account.desired is Desired.STARTED} - adopted
        self.starts.begin(lease, wanted)
        own = {instance for instance, record in self.records.owned.items() if record.host == self._hosts.name}
        down: set[str] = set()
        # An action in progress may end its process, so the account stays due until the action is done.
        for instance in {*units, *files, *own, *self.unclaimed, *self.starts.due} - (adopted | self._acting.keys()):
            unit, file = units.get(instance), files.get(instance)
            if unit is not None and unit.state.has_process:
                self._check_running(group, unit, file, registered.get(instance), lease)
            elif self.records.takes_over(instance) is not None:
                continue  # it is being brought up
            elif instance in wanted and (self.starts.has(instance) or self._waits(instance)):
                down.add(instance)
            elif self.records.is_own(instance, lease) or (file and self._is_valid(instance, file, lease)):
                if has_etcd and (account := registered.get(instance)) is not None:
                    self._keep_recorded(group, instance, self._wanted(account.name, account, account.desired))
            else:
                if file is not None:
                    self.withdraw(instance)
                if instance not in wanted:
                    self._set_unclaimed(instance, None)
        if has_etcd:
            for instance in self.takeovers.due(registered.keys()):
                if instance not in self._acting:
                    self._act(group, instance, self.takeovers.run(instance))
        self.starts.go_on(group, down, has_etcd)

    def _check_running(
        self, group: asyncio.TaskGroup, unit: UnitRecord, file: OwnerFile | None, account: Account | None, lease: int
    ) -> None:
        """Claim an account whose unit has a process, unless it is owned here; keep its record up to date."""
        instance = unit.instance
        is_valid = file is not None and self._is_valid(instance, file, lease)
        if is_valid and unit.state is UnitState.ACTIVE:
            self.starts.runs(instance)
        if not is_valid and unit.has_process and unit.state is not UnitState.DEACTIVATING:
            self._act(group, instance, self._claim(unit, file))
        elif self.records.is_own(instance, lease) and account is not None and not self.records.reason:
            # As it was claimed.
            self._keep_recorded(group, instance, self._wanted(account.name, account, Desired.STARTED))

    def _keep_recorded(self, group: asyncio.TaskGroup, instance: str, wanted: AccountRecord) -> None:
        if not self.records.is_recorded(instance, wanted):
            self._act(group, instance, self.records.tell(instance, wanted))

    async def _claim(self, unit: UnitRecord, file: OwnerFile | None) -> None:
        """Claim an account whose unit was started by others, or which this host no longer owns. Raises WxError."""
        accounts, instance = self._shared.accounts, unit.instance
        is_old = file is not None and file.host == self._hosts.name and unit.state is UnitState.ACTIVE
        if is_old and file is not None and file.lease != self.keeper.lease():
            # Its lease has ended: systemd stops it, and it is started again under the new one.
            await accounts.units.act(Verb.STOP, instance, accounts.settings.stop_timeout)
            return
        try:
            await accounts.own(instance)
        except OwnedElsewhere as problem:
            # A process that is starting finds this and reports it.
            self._write(instance, OwnerFile(text(problem.text.values.get("host")), 0, 0))
            if unit.state is UnitState.ACTIVE:
                log.error("account %s is stopped: %s", accounts.registry.shown_name(instance), problem)
                await accounts.units.act(Verb.STOP, instance, accounts.settings.stop_timeout)

    def _check_adopted(
        self,
        group: asyncio.TaskGroup,
        units: Mapping[str, UnitRecord],
        files: Mapping[str, OwnerFile],
        registered: Mapping[str, Account],
    ) -> set[str]:
        """Start settling for accounts that another host has adopted; return these accounts."""
        adopted = {instance for instance, account in registered.items() if self._is_adopted(account)}
        for instance in adopted - self._acting.keys():
            unit, file = units.get(instance), files.get(instance)
            if unit is None or not unit.state.has_process:
                self._act(group, instance, self._settle(instance, unit, self.keeper.lease()))
            elif file is None or not file.settles:
                adopted.discard(instance)  # it is ended as any process of an account that is not owned
        return adopted

    def _is_adopted(self, account: Account) -> bool:
        """Return whether an account desired here was adopted by another host while this one was away. An older copy,
        as from a backup, has an older epoch: its queued sends may have been sent here since. An open takeover may
        still return the account to this host.
        """
        instance = account.name.instance
        record = self.records.accounts.get(instance)
        if self.records.open_takeover(instance) is not None:
            return False
        is_later = record is not None and record.host != self._hosts.name and account.epoch + 1 in record.adopted
        return is_later and account.desired is Desired.STARTED and not self.records.reason

    async def _settle(self, instance: str, unit: UnitRecord | None, lease: int) -> None:
        """Start the settling of an account, or record that it is done. Raises WxError and OSError."""
        accounts, (under, is_up) = self._shared.accounts, self._settling.get(instance, (0, False))
        if under != lease:  # it ends with the lease
            record = self.records.accounts[instance]
            self._settling[instance] = lease, False
            self._write(instance, OwnerFile(record.host, record.epoch, 0, settles=True))
            await accounts.units.act(Verb.START, instance, accounts.settings.start_timeout)
            self._settling[instance] = lease, True
        elif is_up and (unit is None or unit.state is not UnitState.FAILED):
            await accounts.retire(instance)
            del self._settling[instance]

    def _waits(self, instance: str) -> bool:
        """Return whether an account could not be claimed because etcd did not answer, or there was no lease."""
        return instance in self.unclaimed and not isinstance(self.unclaimed[instance], OwnedElsewhere)

    def _act(self, group: asyncio.TaskGroup, instance: str, action: Coroutine[object, None, None]) -> None:
        """Act on an account, unless an action is under way."""

        async def done() -> None:
            try:
                await action
            except AccountMoving:
                pass
            except (WxError, OSError) as problem:
                log.warning("account %s: %s", self._shared.accounts.registry.shown_name(instance), problem)
            finally:
                del self._acting[instance]

        self._acting[instance] = group.create_task(done())

    # -- the last moment of etcd, for the next process

    def _moment(self, file: Path) -> EtcdMoment:
        try:
            return EtcdMoment.read(file)
        except OSError as problem:
            log.warning("%s", file_failed(problem))
            return EtcdMoment()

    def _note_moment(self) -> None:
        """Store the last moment of etcd. Raises OSError."""
        moment = self.records.settled
        if moment is not None and moment != self._noted:
            replace_file(self._paths.etcd_state, json.dumps(moment.as_json()).encode())
            self._noted = moment
