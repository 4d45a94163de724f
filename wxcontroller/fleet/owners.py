"""Which host may run which account: how the ownership of accounts changes in etcd.

    account      accounts/X                               who may run it
    unknown      does not exist                           nobody; any host may claim it
    free         names no lease, or one that has ended    nobody; the host that it names may claim it
    owned        names the lease of its host              that host, as long as it has this lease
    taken over   as owned, and takeovers/X, not done      nobody: the owner is still importing it
    removed      says so, with the last epoch             nobody; any host may claim the name for a new account

    unknown, free → owned      claim           raises the epoch
    owned → free               release, for a move, or the end of the owner's lease, which ends hosts/H, too
    free → taken over          take_over       only if its host has no lease any more (``fleet/takeoverplan.py``)
    taken over → owned         end_takeover
    taken over → free          undo_takeover   its import has failed
    free, owned → removed      forget          a copy with this epoch or an earlier one cannot be started any more

An account stays owned while it is stopped: starts and stops on its host write only what is wanted of it.

No state is without a way out: where the account runs, or which command of wxctl makes it run there. Host B has
its standby bundle. Without one member of etcd, all is the same; without a quorum, its settings or the package,
a host runs nothing until these are back. The guide has the same table, and tests/unit/fleet/test_ways_out.py
walks it:

    account of A        nothing lost  A lost    B lost    files lost  bundle lost  host renamed
    running             runs A        claim B   runs A    claim B     runs A       claim A
    stopped             start A       claim B   start A   claim B     start A      claim A
    moving to B         move A        claim B   claim A   claim B     move A       claim A
    arrived on B        move A        start B   claim A   start B     move A       start B
    in a takeover by B  runs B        runs B    claim A   runs B      start A      claim A
    taken over by B     runs B        runs B    claim A   claim A     runs B       claim B
    removed on B        claim A       —         claim A   —           claim A      claim A

``fleet/records.py`` lists the records. Each change is one transaction, guarded by the account's record as this host
has read it, and by the absence of its host, or its new lease: of two hosts, one gets an account. Another host than
that of accounts/X may claim it if its own record has a later epoch, as after a move, an adoption, or when etcd was
restored from a snapshot. A taker that has lost its lease claims the account again and goes on, because takeovers/X
still names it.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

from wxcontroller.core.errors import AccountExists
from wxcontroller.core.names import AccountName
from wxcontroller.core.states import Desired
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_
from wxcontroller.fleet.etcd import EtcdEntry, EtcdGuard, Put
from wxcontroller.fleet.recordcache import NotClaimable, RecordCache
from wxcontroller.fleet.records import AccountRecord, FleetRecord, Takeover, adoptions_with

# A change is tried again when the records have changed meanwhile; of two hosts that claim, one is refused then.
_TRIES = 3


class OwnedElsewhere(AccountExists):
    """An account that this host must not run, because another one owns it or had it last."""

    code = "owned-elsewhere"


class Owners(RecordCache):
    """The records of the fleet, and the changes that this host makes to those of accounts."""

    # -- reading

    def is_own(self, instance: str, lease: int) -> bool:
        """Return whether this host owns an account under this lease, as far as is known here."""
        record = self.accounts.get(instance)
        return record is not None and record.host == self.name and self.lease_of(record, instance) == lease != 0

    def is_here(self, instance: str) -> bool:
        """Return whether an account is on this host as far as the other hosts know."""
        record = self.accounts.get(instance)
        return record is not None and record.host == self.name and not record.removed

    def refusal(self, name: AccountName, epoch: int) -> OwnedElsewhere | None:
        """Return why this host must not claim an account. ``epoch`` is that of its record here, 0 for none."""
        record = self.accounts.get(name.instance)
        if record is None:
            return None
        problem, remedy = self._objection(name.instance, record, epoch)
        if not problem:
            return None
        return OwnedElsewhere(
            problem,
            remedy,
            account=name.name,
            host=record.host,
            epoch=record.epoch,
            copies=", ".join(sorted(record.copies)),
            move=command("move", name.name, self.name),
            claim=command("claim", name.name),
            remove=command("remove", name.name),
        )

    def _objection(self, instance: str, record: AccountRecord, epoch: int) -> tuple[str, str]:
        """Return what ``refusal`` says, and its remedy; "" twice if nothing speaks against a claim."""
        if self.is_here(instance):
            if epoch or not record.noted:  # its first claim is not over
                return "", ""
            # A new account in its place would make standby copies and exports worthless.
            problem = N_("account {account} was on this host, which has no files of it any more")
            if record.copies:
                return problem, N_("host {copies} has a standby copy; run there: {claim}")
            return problem, N_("with an export of it: {claim} --from FILE; otherwise, remove it: {remove}")
        if self.owner(instance) is not None:
            return N_("account {account} is owned by {host}"), N_("start it there, or move it: {move}")
        if epoch > record.epoch or (record.removed and not epoch):
            return "", ""
        if record.removed:
            problem = N_("account {account} was removed on {host}, in epoch {epoch}; this is an older copy")
            return problem, N_("remove the copy: {remove}; or let it be the account again: {claim}")
        problem = N_("account {account} was last on {host}, with epoch {epoch}")
        if record.host in self.hosts:
            return problem, N_("start it there, or move it: {move}; if the host has lost it: {claim}")
        return problem, N_("start it there, or move it; if that host is off for good: {claim}")

    def first_epoch(self, instance: str) -> int:
        """Return the first epoch of a new account: copies of one that was removed may have all earlier ones."""
        record = self.accounts.get(instance)
        return record.epoch + 1 if record is not None and record.removed else 1

    def require_known(self, name: AccountName) -> None:
        """Raise NotClaimable while it is not known whether a host owns an account."""
        if self.reason:
            raise NotClaimable(
                N_("it is not known whether a host owns account {account}: {reason}"),
                N_("wait until etcd responds; until then no other host can claim the account either"),
                account=name.name,
                reason=self.reason,
            )

    def adoption(self, name: AccountName, absent: str = "") -> int:
        """Return the epoch in which this host may adopt an account. Raises WxError while another one owns it.

        ``absent`` is the account's host if it responds and has lost the account, "" otherwise.
        """
        self.require_known(name)
        owner, record = self.owner(name.instance), self.accounts.get(name.instance)
        if owner is not None and owner.host != self.name and (refusal := self.refusal(name, 0)) is not None:
            raise refusal
        if record is not None and self.takes_over(name.instance):
            return record.epoch
        if record is not None and record.host not in (self.name, absent, *self._gone(record)):
            raise NotClaimable(
                N_("host {host} has account {account}, and its lease is valid"),
                N_("use it there, or move it: {command}; if the host is off, its lease ends within 30 s"),
                account=name.name,
                host=record.host,
                command=command("move", name.name, self.name),
            )
        return record.epoch + 1 if record else 1

    def _gone(self, record: AccountRecord) -> tuple[str, ...]:
        """Return the host of a record if it has no lease, or has removed the account."""
        return (record.host,) if record.removed or record.host not in self.hosts else ()

    def open_takeover(self, instance: str) -> Takeover | None:
        """Return the takeover of an account that is not done, None if there is none.

        It is over, too, once another host has claimed the account, as for ``wxctl adopt``.
        """
        taken, record = self.takeovers.get(instance), self.accounts.get(instance)
        is_open = taken is not None and not taken.done and record is not None and record.host == taken.to
        return taken if is_open else None

    def takes_over(self, instance: str) -> Takeover | None:
        """Return the takeover of an account by this host that is not done, None if there is none."""
        taken = self.open_takeover(instance)
        return taken if taken is not None and taken.to == self.name else None

    def is_recorded(self, instance: str, wanted: AccountRecord) -> bool:
        """Return whether the record of an account that this host owns is up to date."""
        record = self.accounts.get(instance)
        return record is None or record.entry.value == self._told(instance, wanted, record)

    def _told(self, instance: str, wanted: AccountRecord, record: AccountRecord) -> bytes:
        """Return the value of a record of this host with what is wanted now."""
        return self._owned(wanted, record, record.epoch, self.lease_of(record, instance))

    def _owned(self, wanted: AccountRecord, before: AccountRecord | None, epoch: int, lease: int) -> bytes:
        """Return the value of the record of an account that is owned here from now on, under ``lease`` 0 no more."""
        adopted = adoptions_with(before, max(wanted.adopted, default=0))
        return replace(wanted, host=self.name, epoch=epoch, lease=lease, adopted=adopted).value

    # -- changes

    async def claim(self, name: AccountName, wanted: AccountRecord, epoch: int) -> AccountRecord:
        """Make this host the owner of an account whose record here has an ``epoch``, 0 for none.

        One that it owns already keeps its epoch. Raises OwnedElsewhere, NotClaimable and EtcdFailure.
        """
        if self.reason:
            await self.read_account(name.instance)
        # The watch may lag behind a little. This suffices for a first attempt, because the guards decide.
        for _ in range(_TRIES):
            if await self._try_claim(name, wanted, epoch):
                return self.accounts[name.instance]
        raise _changing(name.name)

    async def _try_claim(self, name: AccountName, wanted: AccountRecord, epoch: int) -> bool:
        """Claim an account, unless its records have changed since they were read: then return False."""
        lease, instance = self._claimable(), name.instance
        record, is_own = self.accounts.get(instance), self.is_own(instance, lease)
        if (refusal := self.refusal(name, epoch)) is not None:
            raise refusal
        # One that is owned is written again: a release that got no answer and is done later then fails by its guard.
        # Otherwise the record may be this host's from an earlier lease, with which its accounts have ended.
        new = max(epoch, record.epoch if record else 0) + (not is_own)
        put = Put(self.key("accounts", instance), self._owned(wanted, record, new, lease))
        return await self._change(instance, record, put, *(self._guards_from(record) if record else ()))

    async def tell(self, instance: str, wanted: AccountRecord) -> None:
        """Bring the record of an account that this host owns up to date. Raises EtcdFailure."""
        for _ in range(_TRIES):
            record = self.accounts.get(instance)
            if record is None or record.host != self.name or record.removed:
                return
            # Perhaps another task has written it meanwhile.
            if (told := self._told(instance, wanted, record)) == record.entry.value:
                return
            if await self._change(instance, record, Put(record.entry.key, told)):
                return

    async def release(self, instance: str, wanted: AccountRecord) -> None:
        """Release an account whose unit is dead; no effect if this host does not own it. Raises EtcdFailure, and
        NotClaimable if it is still owned.
        """
        if self.reason:
            await self.read_account(instance)
        for _ in range(_TRIES):
            record = self.accounts.get(instance)
            if record is None or record.host != self.name or not self.lease_of(record, instance):
                return
            put = Put(record.entry.key, self._owned(wanted, record, record.epoch, 0))
            if await self._change(instance, record, put):
                return
        raise _kept(wanted.name)

    async def forget(self, instance: str) -> None:
        """Note that an account that this host had last was removed. Raises EtcdFailure, and NotClaimable if it is
        still this host's.
        """
        for _ in range(_TRIES):
            record = self.accounts.get(instance)
            if record is None or not self.is_here(instance):
                return
            gone = replace(record, lease=0, removed=True, desired=Desired.STOPPED.value, standby="")
            if await self._change(instance, record, Put(record.entry.key, gone.value)):
                return
        raise _kept(self.accounts[instance].name)

    async def take_over(self, instance: str, source: str, floor: int, made: int, egress: str, pause: int) -> None:
        """Make this host the owner of an account whose host is lost, before it is imported.

        ``source`` is that host, ``floor`` the highest epoch of the account that is known here, ``made`` when the
        bundle was made, and ``pause`` for how many seconds it is not taken over again. Of several hosts one gets it.
        Raises NotClaimable, also when ``source`` has a lease again, and EtcdFailure.
        """
        lease, record, earlier = self._claimable(), self.accounts.get(instance), self.takeovers.get(instance)
        if self.reason or record is None or self.owner(instance) is not None:
            raise _changing(instance)
        new = 1 + max(floor, record.epoch)
        # A separate lease without renewals: when it ends, etcd deletes the record, and another takeover is allowed.
        mark = await self._etcd.grant(pause)
        key = self.key("takeovers", instance)
        taken = Takeover(source, self.name, record.epoch, int(time.time()), made, False, EtcdEntry(key, b"", 0, 0))
        adopted = adoptions_with(record, new)
        changed = replace(record, host=self.name, epoch=new, lease=lease, egress=egress, adopted=adopted)
        put = Put(self.key("accounts", instance), changed.value)
        # The host is still lost: it may have come back since this one looked.
        guards = self._guard("takeovers", instance, earlier), self._guard("hosts", record.host, None)
        if not await self._change(instance, record, put, *guards, more=(Put(key, taken.value(), mark),)):
            await self._etcd.revoke(mark)
            raise _changing(record.name)

    async def end_takeover(self, instance: str) -> None:
        """Note that an account that was taken over is on this host. Raises EtcdFailure."""
        if (taken := self.takes_over(instance)) is not None:
            put = Put(taken.entry.key, taken.value(done=True), taken.entry.lease)
            await self.commit((self._guard("takeovers", instance, taken),), (put,))

    async def undo_takeover(self, instance: str) -> None:
        """Give back an account that could not be imported: it is as before its takeover. Raises EtcdFailure."""
        record, taken = self.accounts.get(instance), self.takes_over(instance)
        if record is not None and taken is not None and self.lease_of(record, instance):
            adopted = tuple(epoch for epoch in record.adopted if epoch <= record.noted)
            before = replace(record, host=taken.source, epoch=taken.epoch, lease=0, adopted=adopted)
            await self._change(instance, record, Put(record.entry.key, before.value), deletes=(taken.entry.key,))

    async def _change(
        self,
        instance: str,
        record: AccountRecord | None,
        put: Put,
        *guards: EtcdGuard,
        more: Sequence[Put] = (),
        deletes: Sequence[str] = (),
    ) -> bool:
        """Replace an account's ``record``. Return False, with its records read again, if it has changed meanwhile.

        Raises EtcdFailure.
        """
        old = self._old_owners.get(instance)
        found = (self._guard("accounts", instance, record), self._guard("owners", instance, old), *guards)
        gone = (*deletes, *((old.entry.key,) if old is not None else ()))
        if is_done := await self.commit(found, (put, *more), gone):
            return is_done
        await self.read_account(instance)
        return False

    # -- conditions

    def _claimable(self) -> int:
        """Return the lease to claim under. Raises NotClaimable."""
        self.require_settled()
        if not (lease := self._lease()):
            raise NotClaimable(
                N_("this host has no lease in etcd"), N_("see: systemctl status wxcontroller-keeper; wxctl fleet")
            )
        return lease

    def _guard(self, kind: str, name: str, record: FleetRecord | None) -> EtcdGuard:
        """Return the condition that a record equals ``record``; None: that it does not exist."""
        return EtcdGuard(self.key(kind, name), record.entry.mod_revision if record else 0)

    def _guards_from(self, record: AccountRecord) -> tuple[EtcdGuard, ...]:
        """Return the additional guard for claiming an account of another host: that this has no lease, or the same
        later one; it may claim the account itself under a lease that is not known here.
        """
        return () if record.host == self.name else (self._guard("hosts", record.host, self.hosts.get(record.host)),)


def _changing(account: str) -> NotClaimable:
    return NotClaimable(
        N_("account {account} cannot be claimed: its records in etcd keep changing or cannot be read"),
        N_("see: wxctl fleet; journalctl -u wxcontroller"),
        account=account,
    )


def _kept(account: str) -> NotClaimable:
    return NotClaimable(
        N_("account {account} cannot be given up: its records in etcd keep changing"),
        N_("see: wxctl fleet; journalctl -u wxcontroller"),
        account=account,
    )
