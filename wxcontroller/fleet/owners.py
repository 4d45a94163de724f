"""Which host may run which account: how the ownership of accounts changes in etcd.

    account      records in etcd                          who may run it
    unknown      none                                     nobody; any host may claim it
    free         accounts/X                               nobody; the host that it names may claim it
    owned        accounts/X, owners/X                     the owner, as long as the lease of owners/X lives
    taken over   as owned, and takeovers/X, not done      nobody: the owner is still importing it

    unknown, free → owned      claim           raises the epoch, in the same transaction
    owned → free               release, or the end of the owner's lease
    owned → as before          undo            of a claim whose account was not started
    free → taken over          take_over       only if its host has no lease any more (``fleet/takeoverplan.py``)
    taken over → owned         end_takeover
    taken over → free          undo_takeover   its import has failed
    free → unknown             forget          it was removed

``fleet/records.py`` lists the records. Each change is one transaction, guarded by the records as this host has read
them: of two hosts, one gets an account. Another host than that of accounts/X may claim it if its own record has a
later epoch, as after a move, an adoption, or when etcd was restored from a snapshot. A taker that has lost its lease
claims the account again and goes on, because takeovers/X still names it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from wxcontroller.core.commands import command
from wxcontroller.core.errors import AccountExists
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.messages import N_
from wxcontroller.core.names import AccountName
from wxcontroller.fleet.etcd import EtcdEntry, EtcdGuard, Put
from wxcontroller.fleet.recordcache import NotClaimable, RecordCache
from wxcontroller.fleet.records import AccountRecord, FleetRecord, Owner, Takeover, Wanted, adoptions_with, value_of

# A change is tried again when the records have changed meanwhile; of two hosts that claim, one is refused then.
_TRIES = 3


class OwnedElsewhere(AccountExists):
    """An account that this host must not run, because another one owns it or had it last."""

    code = "owned-elsewhere"


@dataclass(frozen=True, slots=True)
class OwnerClaim:
    """A successful claim. ``before`` is the account's record from before; ``is_new``: it was not owned before."""

    owner: Owner
    before: AccountRecord | None
    is_new: bool


class Owners(RecordCache):
    """The records of the fleet, and the changes that this host makes to those of accounts."""

    # -- reading

    def is_own(self, instance: str, lease: int) -> bool:
        """Return whether this host owns an account under this lease, as far as is known here."""
        owner = self.owners.get(instance)
        return owner is not None and owner.host == self.name and owner.entry.lease == lease

    def refusal(self, name: AccountName, epoch: int) -> OwnedElsewhere | None:
        """Return why this host must not claim an account. ``epoch`` is that of its record here, 0 for none."""
        owner, record = self.owners.get(name.instance), self.accounts.get(name.instance)
        if owner is not None and owner.host != self.name:
            return OwnedElsewhere(
                N_("account {account} is owned by {host}"),
                N_("start it there, or move it: {command}"),
                account=name.name,
                host=owner.host,
                command=command("move", name.name, self.name),
            )
        if record is None or record.host == self.name or epoch > record.epoch:
            return None
        return OwnedElsewhere(
            N_("account {account} was last on {host}, with epoch {epoch}"),
            N_("start it there, or move it; if that host is off for good: {adopt}"),
            account=name.name,
            host=record.host,
            epoch=record.epoch,
            adopt=command("adopt", name.name),
        )

    def require_known(self, name: AccountName) -> None:
        """Raise NotClaimable while it is not known whether a host owns an account."""
        if self.reason:
            raise NotClaimable(
                N_("it is not known whether a host owns account {account}: {reason}"),
                N_("wait until etcd responds; until then no other host can claim the account either"),
                account=name.name,
                reason=self.reason,
            )

    def adoption(self, name: AccountName) -> int:
        """Return the epoch in which this host may adopt an account. Raises WxError while another one owns it."""
        self.require_known(name)
        if name.instance in self.owners and (refusal := self.refusal(name, 0)) is not None:
            raise refusal
        record = self.accounts.get(name.instance)
        if record is not None and self.takes_over(name.instance):
            return record.epoch
        return record.epoch + 1 if record else 1

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

    def is_recorded(self, wanted: Wanted) -> bool:
        """Return whether the record of an account that this host owns is up to date."""
        owner, record = self.owners.get(wanted.name.instance), self.accounts.get(wanted.name.instance)
        return owner is None or record is None or record.entry.value == wanted.record(self.name, owner.epoch, record)

    # -- changes

    async def claim(self, wanted: Wanted, epoch: int) -> OwnerClaim:
        """Make this host the owner of an account whose record here has an ``epoch``, 0 for none.

        One that it owns already keeps its epoch. Raises OwnedElsewhere, NotClaimable and EtcdFailure.
        """
        if self.reason:
            await self.read_account(wanted.name.instance)
        # The watch may lag behind a little. This suffices for a first attempt, because the guards decide.
        for _ in range(_TRIES):
            if (claim := await self._try_claim(wanted, epoch)) is not None:
                return claim
        raise _changing(wanted.name.name)

    async def _try_claim(self, wanted: Wanted, epoch: int) -> OwnerClaim | None:
        """Claim an account, unless its records have changed since they were read: then return None."""
        lease, instance = self._claimable(), wanted.name.instance
        owner, record = self.owners.get(instance), self.accounts.get(instance)
        is_own = self.is_own(instance, lease)
        if not is_own and (refusal := self.refusal(wanted.name, epoch)) is not None:
            raise refusal
        if owner is not None and is_own:
            # It is written again: a release that got no answer and is done later then fails by its guard.
            new = max(owner.epoch, epoch)
        else:
            # An owner is this host itself, under an earlier lease. Its accounts have ended with that.
            new = 1 + max(epoch, record.epoch if record else 0, owner.epoch if owner else 0)
        puts = (
            Put(self.key("owners", instance), value_of({"host": self.name, "epoch": new}), lease),
            Put(self.key("accounts", instance), wanted.record(self.name, new, record)),
        )
        guards = (
            self._guard("owners", instance, owner),
            self._guard("accounts", instance, record),
            *(self._guards_from(record.host) if record is not None else ()),
        )
        is_done = await self._change(instance, guards, puts)
        return OwnerClaim(self.owners[instance], record, not is_own) if is_done else None

    async def undo(self, instance: str, claim: OwnerClaim) -> None:
        """Take back a new claim of an account that was not started. Raises EtcdFailure."""
        key, before = self.key("accounts", instance), claim.before
        put, deletes = (Put(key, before.entry.value), ()) if before is not None else (None, (key,))
        await self._give_up(instance, claim.owner, put, *deletes)

    async def tell(self, wanted: Wanted) -> None:
        """Bring the record of an account that this host owns up to date. Raises EtcdFailure."""
        instance = wanted.name.instance
        for _ in range(_TRIES):
            owner, record = self.owners.get(instance), self.accounts.get(instance)
            if owner is None or record is None:
                return
            guards = self._guard("owners", instance, owner), self._guard("accounts", instance, record)
            put = Put(record.entry.key, wanted.record(self.name, owner.epoch, record))
            if await self._change(instance, guards, (put,)):
                return

    async def release(self, wanted: Wanted) -> None:
        """Release an account whose unit is dead; no effect if this host does not own it. Raises EtcdFailure, and
        NotClaimable if it is still owned.
        """
        instance = wanted.name.instance
        if self.reason:
            await self.read_account(instance)
        for _ in range(_TRIES):
            owner, record = self.owners.get(instance), self.accounts.get(instance)
            if owner is None or owner.host != self.name:
                return
            put = Put(self.key("accounts", instance), wanted.record(self.name, owner.epoch, record))
            if await self._give_up(instance, owner, put):
                return
        raise NotClaimable(
            N_("account {account} cannot be given up: its records in etcd keep changing"),
            N_("see: wxctl fleet; journalctl -u wxcontroller"),
            account=wanted.name.name,
        )

    async def forget(self, instance: str) -> None:
        """Delete the record of an account that this host had last and has removed. Raises EtcdFailure."""
        record = self.accounts.get(instance)
        if record is not None and record.host == self.name:
            await self._change(instance, (self._guard("accounts", instance, record),), (), (record.entry.key,))

    async def take_over(self, instance: str, source: str, floor: int, made: int, egress: str, pause: int) -> None:
        """Make this host the owner of an account whose host is lost, before it is imported.

        ``source`` is that host, ``floor`` the highest epoch of the account that is known here, ``made`` when the
        bundle was made, and ``pause`` for how many seconds it is not taken over again. Of several hosts one gets it.
        Raises NotClaimable, also when ``source`` has a lease again, and EtcdFailure.
        """
        lease, record, earlier = self._claimable(), self.accounts.get(instance), self.takeovers.get(instance)
        if self.reason or record is None or instance in self.owners:
            raise _changing(instance)
        new = 1 + max(floor, record.epoch)
        # A separate lease without renewals: when it ends, etcd deletes the record, and another takeover is allowed.
        mark = await self._etcd.grant(pause)
        key = self.key("takeovers", instance)
        taken = Takeover(source, self.name, record.epoch, int(time.time()), made, False, EtcdEntry(key, b"", 0, 0))
        owner: JsonObject = {"host": self.name, "epoch": new}
        changed = record.with_(**owner, egress=egress, adopted=adoptions_with(record, new))
        puts = (
            Put(self.key("owners", instance), value_of(owner), lease),
            Put(self.key("accounts", instance), changed),
            Put(key, taken.value(), mark),
        )
        guards = (
            self._guard("owners", instance, None),
            self._guard("accounts", instance, record),
            self._guard("takeovers", instance, earlier),
            # The host is still lost: it may have come back since this one looked.
            self._guard("hosts", record.host, None),
        )
        if not await self.commit(guards, puts):
            await self._etcd.revoke(mark)
            await self.read_account(instance)
            raise _changing(record.name)

    async def end_takeover(self, instance: str) -> None:
        """Note that an account that was taken over is on this host. Raises EtcdFailure."""
        if (taken := self.takes_over(instance)) is not None:
            put = Put(taken.entry.key, taken.value(done=True), taken.entry.lease)
            await self._change(instance, (self._guard("takeovers", instance, taken),), (put,))

    async def undo_takeover(self, instance: str) -> None:
        """Give back an account that could not be imported: it is as before its takeover. Raises EtcdFailure."""
        owner, record, taken = self.owners.get(instance), self.accounts.get(instance), self.takes_over(instance)
        if owner is not None and owner.host == self.name and record is not None and taken is not None:
            adopted: list[JsonValue] = [epoch for epoch in record.adopted if epoch <= record.noted]
            put = Put(record.entry.key, record.with_(host=taken.source, epoch=taken.epoch, adopted=adopted))
            await self._give_up(instance, owner, put, taken.entry.key)

    async def _give_up(self, instance: str, owner: Owner, put: Put | None, *deletes: str) -> bool:
        """Delete the owner of an account, and what else changes with it; see ``_change``."""
        puts, guards = [put] if put is not None else [], [self._guard("owners", instance, owner)]
        return await self._change(instance, guards, puts, (owner.entry.key, *deletes))

    async def _change(
        self, instance: str, guards: Sequence[EtcdGuard], puts: Sequence[Put], deletes: Sequence[str] = ()
    ) -> bool:
        """Return False, with an account's records read again, if they have changed meanwhile. Raises EtcdFailure."""
        if is_done := await self.commit(guards, puts, deletes):
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
        return EtcdGuard(self.key(kind, name), mod_revision=record.entry.mod_revision if record else 0)

    def _guards_from(self, host: str) -> tuple[EtcdGuard, ...]:
        """Return the additional guards for claiming an account that another host had last; none for this host."""
        return () if host == self.name else (self._guard("hosts", host, self.hosts.get(host)),)


def _changing(account: str) -> NotClaimable:
    return NotClaimable(
        N_("account {account} cannot be claimed: its records in etcd keep changing or cannot be read"),
        N_("see: wxctl fleet; journalctl -u wxcontroller"),
        account=account,
    )
