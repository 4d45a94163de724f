"""Which host owns which account: the records of the fleet in etcd, as this host reads and changes them.

``fleet/records.py`` lists the records.

A claim creates ``owners/INSTANCE`` and raises the epoch in one transaction. So one of two hosts gets an account, and
the end of a host's lease releases its accounts. Only the host that had an account last may claim it, or one whose own
record has a later epoch than etcd's, as after a move, an adoption, or when etcd was restored from a snapshot. A
takeover claims an account whose host has no lease any more (``fleet/takeoverplan.py``), before anything is imported.
Until the import is complete, ``takeovers/INSTANCE`` records that it is not: an interrupted controller
continues it.

An account of a host in fail-safe mode is claimed by hosts of its list only, and not while this host has promised not
to (``fleet/failsafe.py``).

The records in memory follow a watch. A claim relies only on the guards of its transaction.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from wxcontroller.core.commands import command
from wxcontroller.core.errors import AccountExists, WxError
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer
from wxcontroller.core.messages import N_, NOTHING, Text
from wxcontroller.core.names import AccountName
from wxcontroller.fleet.etcd import Compacted, Etcd, EtcdChanges, EtcdEntry, EtcdGuard, EtcdMoment, Put, Snapshot
from wxcontroller.fleet.records import (
    LAYOUT,
    AccountRecord,
    FailsafeList,
    FleetRecord,
    LivingHost,
    Owner,
    Takeover,
    Wanted,
    adoptions_with,
    content_of,
    record_of,
    value_of,
)

log = logging.getLogger(__name__)
# Between two tries to read the records.
_PAUSE = 1.0
# A claim is tried again when the records have changed meanwhile; of two hosts that claim, one is refused then.
_TRIES = 3


class OwnedElsewhere(AccountExists):
    """An account that this host must not run, because another one owns it or had it last."""

    code = "owned-elsewhere"


class NotClaimable(WxError):
    """No account can be claimed for now."""

    code = "not-claimable"
    status = 503
    exit_code = 3


@dataclass(frozen=True, slots=True)
class OwnerClaim:
    """A successful claim. ``before`` is the account's record from before; ``is_new``: it was not owned before."""

    owner: Owner
    before: AccountRecord | None
    is_new: bool


class Owners:
    """The records of the fleet. ``run`` keeps them up to date; ``reason`` says why they are not, NOTHING if they are.

    ``lease`` returns this host's lease, 0 if it has none. ``settle`` is for how many seconds nothing is claimed after
    etcd was restored or rebuilt: until each lease of before has ended on all hosts. ``latest`` is a moment that was
    seen before. ``promised`` returns for how many seconds this host has promised not to claim accounts of a host, or
    of any host (None).
    """

    def __init__(
        self,
        etcd: Etcd,
        prefix: str,
        name: str,
        lease: Callable[[], int],
        settle: float,
        latest: EtcdMoment = EtcdMoment(),  # noqa: B008 - it is frozen
        promised: Callable[[str | None], float] = lambda _: 0.0,
    ) -> None:
        self._etcd = etcd
        self._prefix = prefix
        self.name = name
        self._lease = lease
        self._settle = settle
        self.hosts: dict[str, LivingHost] = {}
        self.owners: dict[str, Owner] = {}
        self.records: dict[str, AccountRecord] = {}
        self.failsafes: dict[str, FailsafeList] = {}
        self.takeovers: dict[str, Takeover] = {}
        self._promised = promised
        self.reason = Text(N_("this controller has just started"))
        self.changes = 0  # grows with every change
        self._revision = 0  # up to which the watch has come
        self._latest = latest  # of all that etcd has answered
        self._restored = False
        self._settled_at = 0.0
        self._is_newer = False
        self._unreadable: set[str] = set()
        self._read = asyncio.Event()

    async def run(self) -> None:
        """Keep the records up to date, until cancelled."""
        while True:
            try:
                await self._load()
                async for changes in self._etcd.watch(self._prefix, self._revision):
                    self._follow(changes)
            # Too far behind, or etcd was restored: everything is read again.
            except Compacted:
                continue
            except WxError as problem:
                if str(problem.full_text) != str(self.reason):
                    log.warning("the owners of accounts cannot be followed: %s", problem)
                self.reason, self.changes = problem.full_text, self.changes + 1
            self._read.clear()
            await asyncio.sleep(_PAUSE)

    async def known(self) -> None:
        """Wait until the records are known."""
        await self._read.wait()

    @property
    def was_read(self) -> bool:
        """Whether the records have been known at least once."""
        return self._revision > 0

    def is_own(self, instance: str, lease: int) -> bool:
        """Return whether this host owns an account under this lease, as far as is known here."""
        owner = self.owners.get(instance)
        return owner is not None and owner.host == self.name and owner.entry.lease == lease

    def refusal(self, name: AccountName, epoch: int) -> OwnedElsewhere | None:
        """Return why this host must not claim an account. ``epoch`` is that of its record here, 0 for none."""
        owner, record = self.owners.get(name.instance), self.records.get(name.instance)
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

    def promise_left(self, host: str) -> float:
        """Return for how many seconds a host may run its accounts without etcd, as far as is known here."""
        return self._promised(host) if host in self.failsafes and host not in self.hosts else 0.0

    def _from(self, host: str) -> tuple[EtcdGuard, ...]:
        """Return the guards for claiming an account that another host had last.

        Raises NotClaimable if the host may still run it without etcd.
        """
        living, listed = self.hosts.get(host), self.failsafes.get(host)
        if left := self.promise_left(host):
            raise NotClaimable(
                N_("host {host} runs its accounts without etcd, and this host has confirmed it"),
                N_("try again in {seconds} s; if the host is to stop: systemctl stop wxcontroller-keeper there"),
                host=host,
                seconds=int(left) + 1,
            )
        if living is None and listed is not None and self.name not in listed.hosts:
            raise NotClaimable(
                N_("host {host} may run its accounts without etcd, and does not ask this host"),
                N_("use one of {hosts}; if the host is off for good: etcdctl del {key}"),
                host=host,
                hosts=", ".join(listed.hosts),
                key=listed.entry.key,
            )
        return (
            EtcdGuard(self._key("hosts", host), mod_revision=living.entry.mod_revision if living else 0),
            EtcdGuard(self._key("failsafe", host), mod_revision=listed.entry.mod_revision if listed else 0),
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
        record = self.records.get(name.instance)
        if record is not None and self.takes_over(name.instance):
            return record.epoch
        if record is not None and record.host != self.name:
            self._from(record.host)
        return record.epoch + 1 if record else 1

    def open_takeover(self, instance: str) -> Takeover | None:
        """Return the takeover of an account that is not done, None if there is none.

        It is over, too, once another host has claimed the account, as for ``wxctl adopt``.
        """
        taken, record = self.takeovers.get(instance), self.records.get(instance)
        is_open = taken is not None and not taken.done and record is not None and record.host == taken.to
        return taken if is_open else None

    def takes_over(self, instance: str) -> Takeover | None:
        """Return the takeover of an account by this host that is not done, None if there is none."""
        taken = self.open_takeover(instance)
        return taken if taken is not None and taken.to == self.name else None

    async def claim(self, wanted: Wanted, epoch: int) -> OwnerClaim:
        """Make this host the owner of an account whose record here has an ``epoch``, 0 for none.

        One that it owns already keeps its epoch. Raises OwnedElsewhere, NotClaimable and EtcdFailure.
        """
        instance = wanted.name.instance
        for attempt in range(_TRIES):
            # The watch may lag behind a little. This suffices for a first attempt, because the guards decide.
            if attempt or self.reason:
                await self._read_account(instance)
            lease = self._claimable()
            owner, record = self.owners.get(instance), self.records.get(instance)
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
                Put(self._owner_key(instance), value_of({"host": self.name, "epoch": new}), lease),
                Put(self._record_key(instance), wanted.record(self.name, new, record)),
            )
            # Guard both keys as read: if one has changed meanwhile, the claim is decided again.
            guards = (
                EtcdGuard(self._owner_key(instance), mod_revision=owner.entry.mod_revision if owner else 0),
                EtcdGuard(self._record_key(instance), mod_revision=record.entry.mod_revision if record else 0),
                *(self._from(record.host) if record is not None and record.host != self.name else ()),
            )
            if (revision := await self._commit(guards, puts)) is not None:
                for put, known in zip(puts, (owner, record), strict=True):
                    created = known.entry.create_revision if known else revision
                    self._apply(EtcdEntry(put.key, put.value, created, revision, put.lease))
                return OwnerClaim(self.owners[instance], record, not is_own)
        raise _changing(wanted.name.name)

    async def take_over(self, instance: str, source: str, floor: int, made: int, egress: str, pause: int) -> None:
        """Make this host the owner of an account whose host is lost, before it is imported.

        ``source`` is that host, ``floor`` the highest epoch of the account that is known here, ``made`` when the
        bundle was made, and ``pause`` for how many seconds it is not taken over again. Of several hosts one gets it.
        Raises NotClaimable, also when ``source`` has a lease again, and EtcdFailure.
        """
        lease, record, earlier = self._claimable(), self.records.get(instance), self.takeovers.get(instance)
        if self.reason or record is None or instance in self.owners:
            raise _changing(instance)
        self._from(record.host)  # which may refuse
        new = 1 + max(floor, record.epoch)
        # A separate lease without renewals: when it ends, etcd deletes the record, and another takeover is allowed.
        mark = await self._etcd.grant(pause)
        key = self._key("takeovers", instance)
        taken = Takeover(source, self.name, record.epoch, int(time.time()), made, False, EtcdEntry(key, b"", 0, 0, 0))
        owner: JsonObject = {"host": self.name, "epoch": new}
        changed = record.with_(**owner, egress=egress, adopted=adoptions_with(record, new))
        puts = (
            Put(self._owner_key(instance), value_of(owner), lease),
            Put(self._record_key(instance), changed),
            Put(key, taken.value(), mark),
        )
        guards = (
            EtcdGuard(self._owner_key(instance), mod_revision=0),
            EtcdGuard(self._record_key(instance), mod_revision=record.entry.mod_revision),
            EtcdGuard(key, mod_revision=earlier.entry.mod_revision if earlier else 0),
            # The host is still lost: it may have come back since this one looked.
            EtcdGuard(self._key("hosts", record.host), mod_revision=0),
            *self._from(record.host),
        )
        revision = await self._commit(guards, puts)
        if revision is None:
            await self._etcd.revoke(mark)
            await self._read_account(instance)
            raise _changing(record.name)
        for put, created in zip(puts, (revision, record.entry.create_revision, revision), strict=True):
            self._apply(EtcdEntry(put.key, put.value, created, revision, put.lease))

    async def end_takeover(self, instance: str) -> None:
        """Note that an account that was taken over is on this host. Raises EtcdFailure."""
        if (taken := self.takes_over(instance)) is not None:
            put = Put(taken.entry.key, taken.value(done=True), taken.entry.lease)
            guards = (EtcdGuard(taken.entry.key, mod_revision=taken.entry.mod_revision),)
            await self._commit(guards, (put,))
            await self._read_account(instance)

    async def undo_takeover(self, instance: str) -> None:
        """Give back an account that could not be imported: it is as before its takeover. Raises EtcdFailure."""
        owner, record, taken = self.owners.get(instance), self.records.get(instance), self.takes_over(instance)
        if owner is not None and owner.host == self.name and record is not None and taken is not None:
            adopted: list[JsonValue] = [epoch for epoch in record.adopted if epoch <= record.noted]
            put = Put(record.entry.key, record.with_(host=taken.source, epoch=taken.epoch, adopted=adopted))
            await self._give_up(instance, owner, (put,), (taken.entry.key,))

    async def tell(self, wanted: Wanted) -> None:
        """Bring the record of an account that this host owns up to date. Raises EtcdFailure."""
        for _ in range(_TRIES):
            owner, record = self.owners.get(wanted.name.instance), self.records.get(wanted.name.instance)
            if owner is None or record is None:
                return
            keys = (owner.entry, record.entry)
            guards = tuple(EtcdGuard(entry.key, mod_revision=entry.mod_revision) for entry in keys)
            put = Put(record.entry.key, wanted.record(self.name, owner.epoch, record))
            if (revision := await self._commit(guards, (put,))) is not None:
                self._apply(EtcdEntry(put.key, put.value, record.entry.create_revision, revision, 0))
                return
            await self._read_account(wanted.name.instance)

    def is_told(self, wanted: Wanted) -> bool:
        """Return whether the record of an account that this host owns is up to date."""
        owner, record = self.owners.get(wanted.name.instance), self.records.get(wanted.name.instance)
        return owner is None or record is None or record.entry.value == wanted.record(self.name, owner.epoch, record)

    async def release(self, wanted: Wanted) -> None:
        """Release an account whose unit is dead; no effect if this host does not own it. Raises EtcdFailure, and
        NotClaimable if it is still owned.
        """
        instance = wanted.name.instance
        if self.reason:
            await self._read_account(instance)
        for _ in range(_TRIES):
            owner = self.owners.get(instance)
            if owner is None or owner.host != self.name:
                return
            put = Put(self._record_key(instance), wanted.record(self.name, owner.epoch, self.records.get(instance)))
            if await self._give_up(instance, owner, (put,), ()):
                return
        raise NotClaimable(
            N_("account {account} cannot be given up: its records in etcd keep changing"),
            N_("see: wxctl fleet; journalctl -u wxcontroller"),
            account=wanted.name.name,
        )

    async def undo(self, instance: str, claim: OwnerClaim) -> None:
        """Take back a new claim of an account that was not started. Raises EtcdFailure."""
        before, key = claim.before, self._record_key(instance)
        puts = (Put(key, before.entry.value),) if before is not None else ()
        await self._give_up(instance, claim.owner, puts, () if before is not None else (key,))

    async def forget(self, instance: str) -> None:
        """Delete the record of an account that this host had last and has removed. Raises EtcdFailure."""
        record = self.records.get(instance)
        if record is not None and record.host == self.name:
            guards = (EtcdGuard(record.entry.key, mod_revision=record.entry.mod_revision),)
            if await self._commit(guards, (), (record.entry.key,)) is None:
                await self._read_account(instance)

    async def _give_up(self, instance: str, owner: Owner, puts: tuple[Put, ...], deletes: tuple[str, ...]) -> bool:
        """Return whether the owner is still the one known here. Raises EtcdFailure."""
        guards = (EtcdGuard(owner.entry.key, mod_revision=owner.entry.mod_revision),)
        revision = await self._commit(guards, puts, (owner.entry.key, *deletes))
        await self._read_account(instance)
        return revision is not None

    def _claimable(self) -> int:
        """Return the lease to claim under. Raises NotClaimable."""
        self._refuse_newer()
        if (left := self._unsettled()) > 0:
            raise NotClaimable(
                N_("etcd was restored from a snapshot or rebuilt; nothing is claimed for {seconds} s"),
                N_("wait until the earlier leases have ended on all hosts"),
                seconds=int(left) + 1,
            )
        if not (lease := self._lease()):
            raise NotClaimable(
                N_("this host has no lease in etcd"), N_("see: systemctl status wxcontroller-keeper; wxctl fleet")
            )
        return lease

    def _unsettled(self) -> float:
        """Return for how many seconds nothing is claimed because etcd was restored. This lasts until all promises
        have ended, because a record of an owner may have been lost.
        """
        if self._settled_at:
            left = max(self._settled_at - time.monotonic(), self._promised(None))
            if left > 0:
                return left
            self._settled_at = 0.0
        return 0.0

    def _refuse_newer(self) -> None:
        if self._is_newer:
            raise NotClaimable(
                N_("the records of the fleet in etcd are those of a newer version"), N_("upgrade this host")
            )

    def _key(self, kind: str, name: str) -> str:
        return f"{self._prefix}{kind}/{name}"

    def _owner_key(self, instance: str) -> str:
        return self._key("owners", instance)

    def _record_key(self, instance: str) -> str:
        return self._key("accounts", instance)

    # -- reading

    async def _load(self) -> None:
        """Read all records. Raises EtcdFailure."""
        snapshot = await self._snapshot(self._prefix)
        if self._restored and (lease := self._lease()):
            # Its accounts may run in the name of owners that etcd no longer knows: they all end with the lease.
            await self._etcd.revoke(lease)
        lists = self.hosts, self.owners, self.records, self.failsafes, self.takeovers
        all_known: list[FleetRecord] = []
        for each in lists:
            all_known += each.values()
        for known in all_known:
            # Keep data that a claim has written meanwhile.
            self._drop(known.entry.key, known.entry.mod_revision if self._restored else snapshot.revision)
        self._restored = False
        for entry in snapshot.entries:
            self._apply(entry)
        key = f"{self._prefix}schema"
        schema = next((each for each in snapshot.entries if each.key == key), None)
        if schema is None:
            await self._commit((EtcdGuard(key, create_revision=0),), (Put(key, value_of({"least": LAYOUT})),))
        self._is_newer = schema is not None and integer(content_of(schema).get("least")) > LAYOUT
        self._refuse_newer()
        self._revision = snapshot.revision
        self.reason, self.changes = NOTHING, self.changes + 1
        self._read.set()

    async def _read_account(self, instance: str) -> None:
        """Read the records of one account. Raises EtcdFailure."""
        for kind in ("owners", "accounts", "takeovers"):
            key = self._key(kind, instance)
            snapshot = await self._snapshot(key)
            entry = next((each for each in snapshot.entries if each.key == key), None)
            self._apply(entry) if entry is not None else self._drop(key, snapshot.revision)

    def _follow(self, changes: EtcdChanges) -> None:
        for entry in changes.puts:
            self._apply(entry)
        for key in changes.deleted:
            self._drop(key, changes.revision)
        self._revision = max(self._revision, changes.revision)
        self._latest = self._latest.joined(EtcdMoment(revision=changes.revision))
        self.changes += 1

    @property
    def settled(self) -> EtcdMoment | None:
        """The latest moment that was seen of etcd, None while nothing is claimed because etcd was restored."""
        return None if self._unsettled() else self._latest

    async def _snapshot(self, prefix: str) -> Snapshot:
        known = self._latest
        snapshot = await self._etcd.read(prefix)
        self._seen(known, snapshot.moment)
        return snapshot

    async def _commit(
        self, guards: Sequence[EtcdGuard], puts: Sequence[Put], deletes: Sequence[str] = ()
    ) -> int | None:
        known = self._latest
        revision = await self._etcd.commit(guards, puts, deletes)
        if revision is not None:
            self._seen(known, replace(known, revision=revision))
        return revision

    def _seen(self, known: EtcdMoment, moment: EtcdMoment) -> None:
        """Record a moment of etcd. If it cannot follow the one ``known`` before the request, etcd was restored or
        rebuilt. Then nothing is claimed until no account started before can still run.
        """
        if not moment.follows(known):
            log.error("etcd was restored or rebuilt: it was at %s, and is at %s", known, moment)
            self._restored, self._settled_at = True, time.monotonic() + self._settle
            self._latest = moment
        self._latest = self._latest.joined(moment)

    def _apply(self, entry: EtcdEntry) -> None:
        """Apply a record, unless a later one is known here. An unreadable one counts as none."""
        kind, _, name = entry.key.removeprefix(self._prefix).partition("/")
        match record_of(kind, name, entry):
            case LivingHost() as host:
                _put(self.hosts, name, host)
            case FailsafeList() as listed:
                _put(self.failsafes, name, listed)
            case Owner() as owner:
                _put(self.owners, name, owner)
            case AccountRecord() as record:
                _put(self.records, name, record)
            case Takeover() as taken:
                _put(self.takeovers, name, taken)
            case None if kind in ("owners", "accounts", "takeovers") and entry.key not in self._unreadable:
                self._unreadable.add(entry.key)
                log.warning("etcd: the key %s cannot be read; its account is not claimed", entry.key[:200])

    def _drop(self, key: str, revision: int) -> None:
        kind, _, name = key.removeprefix(self._prefix).partition("/")
        for records, each in (
            *((self.hosts, "hosts"), (self.owners, "owners"), (self.failsafes, "failsafe")),
            *((self.records, "accounts"), (self.takeovers, "takeovers")),
        ):
            if kind == each and (known := records.get(name)) is not None and known.entry.mod_revision <= revision:
                del records[name]


R = TypeVar("R", LivingHost, Owner, AccountRecord, FailsafeList, Takeover)


def _put(records: dict[str, R], name: str, new: R) -> None:
    known = records.get(name)
    # Reads, commits and the watch overlap; revisions determine the order of their results.
    if known is None or known.entry.mod_revision <= new.entry.mod_revision:
        records[name] = new


def _changing(account: str) -> NotClaimable:
    return NotClaimable(
        N_("account {account} cannot be claimed: its records in etcd keep changing or cannot be read"),
        N_("see: wxctl fleet; journalctl -u wxcontroller"),
        account=account,
    )
