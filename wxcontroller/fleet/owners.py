"""Which host owns which account: the fleet's records in etcd, as this host reads and changes them.

- ``hosts/NAME``: a host that lives, under its lease. Its keeper writes it.
- ``owners/INSTANCE``: the host that may run an account, and its epoch; under the lease of that host.
- ``accounts/INSTANCE``: which host had it last, in which epoch, and what is wanted of it; under no lease.
- ``schema``: the layout of these records.

A claim creates ``owners/INSTANCE`` and raises the epoch in one transaction. So one of two hosts gets an account, and
the end of a host's lease gives up what it had. Only the host that had an account last may claim it, or one whose own
record has a later epoch than etcd's, as after a move, an adoption, or when etcd was restored from a snapshot.

The map of all records follows a watch. A claim trusts it no further than the guards of its transaction reach.
"""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from wxcontroller.core.account import LARGEST_EPOCH
from wxcontroller.core.commands import command
from wxcontroller.core.errors import AccountExists, WxError
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, obj, one_line, read_json
from wxcontroller.core.messages import N_, NOTHING, Text, text_fields
from wxcontroller.core.names import AccountName
from wxcontroller.core.states import Desired
from wxcontroller.fleet.etcd import Compacted, Etcd, EtcdChanges, EtcdEntry, EtcdGuard, EtcdMoment, Put, Snapshot

log = logging.getLogger(__name__)
# Of these records. A host that knows only lower ones than ``least`` of the key schema must not take part.
LAYOUT = 1
# Between two tries to read the records.
_PAUSE = 1.0
# A claim is tried again when the records have changed meanwhile; of two hosts that claim, one is refused then.
_TRIES = 3


class OwnedElsewhere(AccountExists):
    """An account that this host must not run, because another one owns it or had it last."""

    code = "owned-elsewhere"


class NotClaimable(WxError):
    """Nothing can be claimed at present."""

    code = "not-claimable"
    status = 503
    exit_code = 3


@dataclass(frozen=True, slots=True)
class Wanted:
    """What ``accounts/INSTANCE`` tells other hosts of an account, besides its owner.

    ``adopted`` is the epoch of its last adoption, 0 for none.
    """

    name: AccountName
    desired: str
    driver: str
    placement: str
    adopted: int = 0

    def record(self, host: str, epoch: int) -> bytes:
        """Return the value of the key."""
        content: JsonObject = {"name": self.name.name, "desired": self.desired, "driver": self.driver}
        content |= {"adopted": self.adopted} if self.adopted else {}
        return _value({**content, "placement": self.placement, "policy": "hold", "host": host, "epoch": epoch})


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """``accounts/INSTANCE``: ``host`` had the account last. ``entry`` is the key."""

    name: str
    host: str
    epoch: int
    desired: str
    entry: EtcdEntry
    adopted: int = 0


@dataclass(frozen=True, slots=True)
class Owner:
    """``owners/INSTANCE``."""

    host: str
    epoch: int
    entry: EtcdEntry


@dataclass(frozen=True, slots=True)
class LivingHost:
    """``hosts/NAME``. ``capacity`` is how many accounts it takes, 0 for not known."""

    version: str
    labels: frozenset[str]
    capacity: int
    entry: EtcdEntry


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
    seen before.
    """

    def __init__(
        self,
        etcd: Etcd,
        prefix: str,
        name: str,
        lease: Callable[[], int],
        settle: float,
        latest: EtcdMoment = EtcdMoment(),  # noqa: B008 - it is frozen
    ) -> None:
        self._etcd = etcd
        self._prefix = prefix
        self.name = name
        self._lease = lease
        self._settle = settle
        self.hosts: dict[str, LivingHost] = {}
        self.owners: dict[str, Owner] = {}
        self.records: dict[str, AccountRecord] = {}
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

    def is_own(self, instance: str, lease: int) -> bool:
        """Return whether this host owns an account under this lease, as far as is known here."""
        owner = self.owners.get(instance)
        return owner is not None and owner.host == self.name and owner.entry.lease == lease

    def refusal(self, name: AccountName, epoch: int) -> OwnedElsewhere | None:
        """Return why this host, whose own record has an ``epoch`` (0: it has none), must not claim an account."""
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

    def require_known(self, name: AccountName) -> None:
        """Raise NotClaimable while it is not known whether a host owns an account."""
        if self.reason:
            raise NotClaimable(
                N_("it is not known whether a host owns account {account}: {reason}"),
                N_("wait until etcd responds; nobody else can claim the account until then either"),
                account=name.name,
                reason=self.reason,
            )

    def adoption(self, name: AccountName) -> int:
        """Return the epoch in which this host may adopt an account. Raises WxError while another one owns it."""
        self.require_known(name)
        if name.instance in self.owners and (refusal := self.refusal(name, 0)) is not None:
            raise refusal
        record = self.records.get(name.instance)
        return record.epoch + 1 if record else 1

    def unowned(self) -> dict[str, Text]:
        """Return the accounts that are to run and that no host owns, by instance, with the reasons."""
        return {
            instance: self.held(instance)
            for instance, record in sorted(self.records.items())
            if record.desired == Desired.STARTED.value and instance not in self.owners
        }

    def held(self, instance: str) -> Text:
        """Return why no host takes an account over from the one that had it last, NOTHING if it is not known here."""
        record = self.records.get(instance)
        if record is None:
            return NOTHING
        if instance in self.owners:
            return Text(N_("host {host} owns it, and its lease is valid"), host=self.owners[instance].host)
        if record.host in self.hosts:
            return Text(N_("host {host} has a lease, and has not claimed it"), host=record.host)
        return Text(
            N_("no host takes it over (policy hold); if host {host} is off for good: {adopt}"),
            host=record.host,
            adopt=command("adopt", record.name),
        )

    def as_json(self) -> JsonObject:
        """Return the hosts that have a lease and all accounts, as /v1/fleet shows them."""
        counts = Counter(owner.host for owner in self.owners.values())
        hosts: list[JsonValue] = [
            {
                **{"name": name, "version": host.version or None, "labels": [*sorted(host.labels)]},
                **{"capacity": host.capacity or None, "owned": counts[name]},
            }
            for name, host in sorted(self.hosts.items())
        ]
        unowned = self.unowned()
        accounts: list[JsonValue] = [
            {
                **{"account": record.name, "host": record.host, "owned": instance in self.owners},
                **{"epoch": record.epoch, "desired": record.desired},
                **text_fields(reason=unowned.get(instance, NOTHING)),
            }
            for instance, record in sorted(self.records.items())
        ]
        return {"hosts": hosts, "accounts": accounts}

    async def claim(self, wanted: Wanted, epoch: int) -> OwnerClaim:
        """Make this host the owner of an account whose record here has an ``epoch``, 0 for none.

        One that it owns already keeps its epoch. Raises OwnedElsewhere, NotClaimable and EtcdFailure.
        """
        instance = wanted.name.instance
        for attempt in range(_TRIES):
            if attempt or self.reason:
                await self._look(instance)
            lease = self._claimable()
            owner, record = self.owners.get(instance), self.records.get(instance)
            is_own = self.is_own(instance, lease)
            if not is_own and (refusal := self.refusal(wanted.name, epoch)) is not None:
                raise refusal
            if owner is not None and is_own:
                # It is written again: a release that got no answer and is done later then fails by its guard.
                new = owner.epoch
            else:
                # An owner is this host itself, under an earlier lease. Its accounts have ended with that.
                new = 1 + max(epoch, record.epoch if record else 0, owner.epoch if owner else 0)
            puts = (
                Put(self._owner_key(instance), _value({"host": self.name, "epoch": new}), lease),
                Put(self._record_key(instance), wanted.record(self.name, new)),
            )
            guards = (
                EtcdGuard(self._owner_key(instance), mod_revision=owner.entry.mod_revision if owner else 0),
                EtcdGuard(self._record_key(instance), mod_revision=record.entry.mod_revision if record else 0),
            )
            if (revision := await self._commit(guards, puts)) is not None:
                for put, known in zip(puts, (owner, record), strict=True):
                    created = known.entry.create_revision if known else revision
                    self._take(EtcdEntry(put.key, put.value, created, revision, put.lease))
                return OwnerClaim(self.owners[instance], record, not is_own)
        raise NotClaimable(
            N_("account {account} cannot be claimed: its records in etcd keep changing or cannot be read"),
            N_("see: wxctl fleet; journalctl -u wxcontroller"),
            account=wanted.name.name,
        )

    async def release(self, wanted: Wanted) -> None:
        """Give up an account whose unit is dead; nothing happens if this host does not own it.

        Raises EtcdFailure, and NotClaimable if it is owned still.
        """
        instance = wanted.name.instance
        if self.reason:
            await self._look(instance)
        for _ in range(_TRIES):
            owner = self.owners.get(instance)
            if owner is None or owner.host != self.name:
                return
            put = Put(self._record_key(instance), wanted.record(self.name, owner.epoch))
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
                await self._look(instance)

    async def _give_up(self, instance: str, owner: Owner, puts: tuple[Put, ...], deletes: tuple[str, ...]) -> bool:
        """Return whether the owner was as it is known here. Raises EtcdFailure."""
        guards = (EtcdGuard(owner.entry.key, mod_revision=owner.entry.mod_revision),)
        revision = await self._commit(guards, puts, (owner.entry.key, *deletes))
        await self._look(instance)
        return revision is not None

    def _claimable(self) -> int:
        """Return the lease to claim under. Raises NotClaimable."""
        self._refuse_newer()
        if (left := self._settled_at - time.monotonic()) > 0:
            raise NotClaimable(
                N_("etcd was restored from a snapshot or rebuilt; nothing is claimed for {seconds} s"),
                N_("wait until the leases of before have ended on all hosts"),
                seconds=int(left) + 1,
            )
        if not (lease := self._lease()):
            raise NotClaimable(
                N_("this host has no lease in etcd"), N_("see: systemctl status wxcontroller-keeper; wxctl fleet")
            )
        return lease

    def _refuse_newer(self) -> None:
        if self._is_newer:
            raise NotClaimable(
                N_("the records of the fleet in etcd are those of a newer version"), N_("upgrade this host")
            )

    def _owner_key(self, instance: str) -> str:
        return f"{self._prefix}owners/{instance}"

    def _record_key(self, instance: str) -> str:
        return f"{self._prefix}accounts/{instance}"

    # -- reading

    async def _load(self) -> None:
        """Read all records. Raises EtcdFailure."""
        snapshot = await self._snapshot(self._prefix)
        if self._restored and (lease := self._lease()):
            # Its accounts may run in the name of owners that etcd no longer knows: they all end with the lease.
            await self._etcd.revoke(lease)
        all_known: list[LivingHost | Owner | AccountRecord] = [*self.hosts.values(), *self.owners.values()]
        for known in (*all_known, *self.records.values()):
            # Not what a claim has written meanwhile.
            self._drop(known.entry.key, known.entry.mod_revision if self._restored else snapshot.revision)
        self._restored = False
        for entry in snapshot.entries:
            self._take(entry)
        key = f"{self._prefix}schema"
        schema = next((each for each in snapshot.entries if each.key == key), None)
        if schema is None:
            await self._commit((EtcdGuard(key, create_revision=0),), (Put(key, _value({"least": LAYOUT})),))
        self._is_newer = schema is not None and integer(_content(schema).get("least")) > LAYOUT
        self._refuse_newer()
        self._revision = snapshot.revision
        self.reason, self.changes = NOTHING, self.changes + 1
        self._read.set()

    async def _look(self, instance: str) -> None:
        """Read the records of one account. Raises EtcdFailure."""
        for key in (self._owner_key(instance), self._record_key(instance)):
            snapshot = await self._snapshot(key)
            entry = next((each for each in snapshot.entries if each.key == key), None)
            self._take(entry) if entry is not None else self._drop(key, snapshot.revision)

    def _follow(self, changes: EtcdChanges) -> None:
        for entry in changes.puts:
            self._take(entry)
        for key in changes.deleted:
            self._drop(key, changes.revision)
        self._revision = max(self._revision, changes.revision)
        self._latest = self._latest.joined(EtcdMoment(revision=changes.revision))
        self.changes += 1

    @property
    def settled(self) -> EtcdMoment | None:
        """The latest moment that was seen of etcd, None while nothing is claimed because etcd was restored."""
        return self._latest if time.monotonic() >= self._settled_at else None

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
        """Note a moment of etcd. If it cannot follow one ``known`` before the question, etcd was restored or rebuilt.

        Then nothing is claimed until no account of before can run.
        """
        if not moment.follows(known):
            log.error("etcd was restored or rebuilt: it was at %s, and is at %s", known, moment)
            self._restored, self._settled_at = True, time.monotonic() + self._settle
            self._latest = moment
        self._latest = self._latest.joined(moment)

    def _take(self, entry: EtcdEntry) -> None:
        """Take over a record, unless a later one is known here. One that cannot be read is as good as none."""
        kind, _, name = entry.key.removeprefix(self._prefix).partition("/")
        content = _content(entry)
        host, epoch = one_line(content.get("host"))[:64], integer(content.get("epoch"))
        is_readable = host != "" and 0 < epoch < LARGEST_EPOCH  # the next one goes into the account's file
        if kind == "hosts":
            labels = frozenset(one_line(each) for each in items(content.get("labels")))
            version, capacity = one_line(content.get("version"))[:40], integer(content.get("capacity"))
            _put(self.hosts, name, LivingHost(version, labels, capacity, entry))
        elif kind == "owners" and is_readable:
            _put(self.owners, name, Owner(host, epoch, entry))
        elif kind == "accounts" and is_readable:
            shown, desired = one_line(content.get("name"))[:64], one_line(content.get("desired"))[:16]
            adopted = integer(content.get("adopted"))
            _put(self.records, name, AccountRecord(shown or name, host, epoch, desired, entry, adopted))
        elif kind in ("owners", "accounts") and entry.key not in self._unreadable:
            self._unreadable.add(entry.key)
            log.warning("etcd: the key %s cannot be read; its account is not claimed", entry.key[:200])

    def _drop(self, key: str, revision: int) -> None:
        kind, _, name = key.removeprefix(self._prefix).partition("/")
        for records, each in ((self.hosts, "hosts"), (self.owners, "owners"), (self.records, "accounts")):
            if kind == each and (known := records.get(name)) is not None and known.entry.mod_revision <= revision:
                del records[name]


R = TypeVar("R", LivingHost, Owner, AccountRecord)


def _put(records: dict[str, R], name: str, new: R) -> None:
    known = records.get(name)
    if known is None or known.entry.mod_revision <= new.entry.mod_revision:
        records[name] = new


def _value(content: JsonObject) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def _content(entry: EtcdEntry) -> JsonObject:
    try:
        return obj(read_json(entry.value))
    except ValueError:
        return {}
