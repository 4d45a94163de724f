"""The records of the fleet as this host knows them: read from etcd once, then kept up to date by a watch.

What this host writes is known here at once. Reads, writes and the watch overlap: of two versions of a record, the one
with the later revision stays.

An etcd that was restored from a snapshot or rebuilt is noticed because its present cannot follow its past
(``EtcdMoment``). Then this host ends its lease, and ``unsettled`` says for how long it must claim nothing: until all
earlier leases have ended.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import integer
from wxcontroller.core.text.templates import N_, NOTHING, Text
from wxcontroller.fleet.etcd import Compacted, Etcd, EtcdChanges, EtcdEntry, EtcdGuard, EtcdMoment, Put, Snapshot
from wxcontroller.fleet.records import (
    LAYOUT,
    AccountRecord,
    FleetRecord,
    LivingHost,
    OldOwner,
    Takeover,
    content_of,
    record_of,
    value_of,
)

log = logging.getLogger(__name__)
# Between two tries to read the records.
_PAUSE = 1.0


class NotClaimable(WxError):
    """No account can be claimed for now."""

    code = "not-claimable"
    status = 503
    exit_code = 3


class RecordCache:
    """The records. ``run`` keeps them up to date; ``reason`` says why they are not, NOTHING if they are.

    ``name`` is this host's, and ``lease`` returns its lease, 0 if it has none. ``settle`` is the life of a lease in
    seconds. ``latest`` is a moment that was seen before.
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
        self._old_owners: dict[str, OldOwner] = {}
        self.accounts: dict[str, AccountRecord] = {}
        self.takeovers: dict[str, Takeover] = {}
        by_kind = {"hosts": self.hosts, "accounts": self.accounts, "takeovers": self.takeovers}
        by_kind |= {"owners": self._old_owners}
        self._records = cast("Mapping[str, dict[str, FleetRecord]]", by_kind)  # each of what ``record_of`` returns
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

    @property
    def owned(self) -> dict[str, AccountRecord]:
        """The records of all accounts that a host owns."""
        return {instance: record for instance in self.accounts if (record := self.owner(instance)) is not None}

    def owner(self, instance: str) -> AccountRecord | None:
        """Return the record of an account if its host owns it: if the key of the host is under the same lease."""
        record = self.accounts.get(instance)
        if record is None or (lease := self.lease_of(record, instance)) == 0:
            return None
        living = self.hosts.get(record.host)
        return record if living is not None and living.entry.lease == lease else None

    def lease_of(self, record: AccountRecord, instance: str) -> int:
        """Return the lease under which an account was claimed, 0 if it was released since then."""
        old = self._old_owners.get(instance)
        return record.lease or (old.entry.lease if old is not None and old.host == record.host else 0)

    async def until_read(self) -> None:
        """Wait until the records have been read."""
        await self._read.wait()

    @property
    def settled(self) -> EtcdMoment | None:
        """The latest moment that was seen of etcd, None while nothing is claimed because etcd was restored."""
        return None if self._unsettled() else self._latest

    def require_settled(self) -> None:
        """Raise NotClaimable while nothing must be claimed, whatever the records are."""
        self._refuse_newer()
        if (left := self._unsettled()) > 0:
            raise NotClaimable(
                N_("etcd was restored from a snapshot or rebuilt; nothing is claimed for {seconds} s"),
                N_("wait until the earlier leases have ended on all hosts"),
                seconds=int(left) + 1,
            )

    def key(self, kind: str, name: str) -> str:
        """Return the key of a record."""
        return f"{self._prefix}{kind}/{name}"

    async def read_account(self, instance: str) -> None:
        """Read the records of one account, and then that of its host. Raises EtcdFailure."""
        for kind in ("owners", "accounts", "takeovers"):
            await self._read_key(self.key(kind, instance))
        if (record := self.accounts.get(instance)) is not None:
            await self._read_key(self.key("hosts", record.host))

    async def _read_key(self, key: str) -> None:
        snapshot = await self._snapshot(key)
        entry = next((entry for entry in snapshot.entries if entry.key == key), None)
        self._apply(entry) if entry is not None else self._drop(key, snapshot.revision)

    async def commit(self, guards: Sequence[EtcdGuard], puts: Sequence[Put], deletes: Sequence[str] = ()) -> bool:
        """Write and delete records if all guards hold, at once; return whether they do. Raises EtcdFailure."""
        latest = self._latest
        revision = await self._etcd.commit(guards, puts, deletes)
        if revision is None:
            return False
        self._note(latest, replace(latest, revision=revision))
        for put in puts:
            self._apply(EtcdEntry(put.key, put.value, revision, put.lease))
        for key in deletes:
            self._drop(key, revision)
        return True

    async def _load(self) -> None:
        """Read all records. Raises EtcdFailure, and NotClaimable if they are those of a newer version."""
        snapshot = await self._snapshot(self._prefix)
        if self._restored and (lease := self._lease()):
            # Its accounts may run in the name of owners that etcd no longer knows: they all end with the lease.
            await self._etcd.revoke(lease)
        for record in [record for records in self._records.values() for record in records.values()]:
            # Keep data that a claim has written meanwhile.
            self._drop(record.entry.key, record.entry.mod_revision if self._restored else snapshot.revision)
        self._restored = False
        for entry in snapshot.entries:
            self._apply(entry)
        key = f"{self._prefix}schema"
        schema = next((entry for entry in snapshot.entries if entry.key == key), None)
        if schema is None:
            await self.commit((EtcdGuard(key, 0),), (Put(key, value_of({"least": LAYOUT})),))
        self._is_newer = schema is not None and integer(content_of(schema).get("least")) > LAYOUT
        self._refuse_newer()
        self._revision = snapshot.revision
        self.reason, self.changes = NOTHING, self.changes + 1
        self._read.set()

    def _follow(self, changes: EtcdChanges) -> None:
        for entry in changes.puts:
            self._apply(entry)
        for key in changes.deleted:
            self._drop(key, changes.revision)
        self._revision = max(self._revision, changes.revision)
        self._latest = self._latest.joined(EtcdMoment(revision=changes.revision))
        self.changes += 1

    async def _snapshot(self, prefix: str) -> Snapshot:
        latest = self._latest
        snapshot = await self._etcd.read(prefix)
        self._note(latest, snapshot.moment)
        return snapshot

    def _note(self, latest: EtcdMoment, moment: EtcdMoment) -> None:
        """Record a moment of etcd. If it cannot follow the one ``latest`` before the request, etcd was restored or
        rebuilt. Then nothing is claimed until no account started before can still run.
        """
        if not moment.follows(latest):
            log.error("etcd was restored or rebuilt: it was at %s, and is at %s", latest, moment)
            self._restored, self._settled_at = True, time.monotonic() + self._settle
            self._latest = moment
        self._latest = self._latest.joined(moment)

    def _unsettled(self) -> float:
        """Return for how many seconds nothing is claimed because etcd was restored."""
        return max(0.0, self._settled_at - time.monotonic())

    def _refuse_newer(self) -> None:
        if self._is_newer:
            raise NotClaimable(
                N_("the records of the fleet in etcd are those of a newer version"), N_("upgrade this host")
            )

    def _apply(self, entry: EtcdEntry) -> None:
        """Apply a record, unless a later one is known. An unreadable one counts as none."""
        kind, _, name = entry.key.removeprefix(self._prefix).partition("/")
        if (records := self._records.get(kind)) is None:
            return
        new, earlier = record_of(kind, name, entry), records.get(name)
        if new is not None and (earlier is None or earlier.entry.mod_revision <= entry.mod_revision):
            records[name] = new
        elif new is None and entry.key not in self._unreadable:
            self._unreadable.add(entry.key)
            log.warning("etcd: the key %s cannot be read; its account is not claimed", entry.key[:200])

    def _drop(self, key: str, revision: int) -> None:
        """Forget a record, unless a later one is known."""
        kind, _, name = key.removeprefix(self._prefix).partition("/")
        earlier = self._records.get(kind, {}).get(name)
        if earlier is not None and earlier.entry.mod_revision <= revision:
            del self._records[kind][name]
