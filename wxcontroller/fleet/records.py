"""The records of the fleet in etcd, as data.

- ``hosts/NAME``: a living host, bound to its lease. Written by its keeper.
- ``accounts/INSTANCE``: all about an account: its host and epoch, the lease under which that host owns it, what is
  wanted of it, and which host has standby bundles; under no lease. It stays after a removal, with the last epoch.
- ``takeovers/INSTANCE``: a takeover, and whether it is done; under a lease of its own, until the next one is allowed.
- ``schema``: the layout of these records.

All are JSON. Version 2.3.0 keeps the lease of an owner in a key of its own, ``owners/INSTANCE``, and cannot read what
later versions write: it claims no account that they have. They read its records, and replace them.

``fleet/recordcache.py`` reads them, and ``fleet/owners.py`` changes those of accounts.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from wxcontroller.core.jsontypes import JsonObject, integer, items, obj, one_line, read_json
from wxcontroller.core.registry.account import LARGEST_EPOCH
from wxcontroller.core.states import Desired
from wxcontroller.fleet.etcd import EtcdEntry

# Version of the records. A host that knows only versions below ``least`` of the key schema must not take part.
LAYOUT = 1
# Maximum characters of a word, and of a placement.
_WORD, _PLACEMENT = 64, 2048
# Number of adopted epochs in a record: reports of older lost copies are of no use.
_ADOPTIONS = 16
_WORDS = ("driver", "policy", "standby", "egress")
NO_ENTRY = EtcdEntry("", b"", 0, 0)


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """``accounts/INSTANCE``: ``host`` has the account, or had it last, and owns it as long as its key is under
    ``lease``, 0 for none. ``removed``: it was removed there. ``entry`` is the key.

    ``adopted`` are the epochs after those of the copies that lost hosts may still have; see ``adoptions_with``.
    ``noted`` is the epoch in the account's record on its host: a claim raises the one in etcd first. ``egress`` is
    that of the host; ``standby`` is the host with the account's standby bundles, "" for none. ``copies`` are all
    hosts that have such, and the epochs of these.
    """

    name: str
    host: str
    epoch: int
    desired: str
    entry: EtcdEntry = NO_ENTRY
    adopted: tuple[int, ...] = ()
    noted: int = 0
    driver: str = ""
    placement: str = ""
    policy: str = ""
    standby: str = ""
    egress: str = ""
    lease: int = 0
    removed: bool = False
    copies: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_wanted(self) -> bool:
        """Whether it is to run."""
        return self.desired == Desired.STARTED.value

    @property
    def value(self) -> bytes:
        """Return the value of the key."""
        own: JsonObject = {"host": self.host, "epoch": self.epoch, "lease": self.lease, "removed": self.removed}
        words: JsonObject = {key: getattr(self, key) for key in ("name", "desired", "noted", *_WORDS, "placement")}
        return value_of({"owner": own, **words, "adopted": [*self.adopted], "copies": {**self.copies}})


@dataclass(frozen=True, slots=True)
class OldOwner:
    """``owners/INSTANCE``, as 2.3.0 writes it."""

    host: str
    entry: EtcdEntry


@dataclass(frozen=True, slots=True)
class LivingHost:
    """``hosts/NAME``. ``capacity`` is how many accounts it takes, 0 for not known. ``egress`` is a label, too."""

    version: str
    labels: frozenset[str]
    capacity: int
    entry: EtcdEntry
    egress: str = ""

    def words(self, name: str) -> set[str]:
        """Return the labels for placement on the host of this ``name``."""
        return {name, self.egress, *self.labels}


@dataclass(frozen=True, slots=True)
class Takeover:
    """``takeovers/INSTANCE``: ``to`` takes the account over from ``source``, which had it in ``epoch``.

    ``at`` is when, and ``made`` when its bundle was made, by the clocks of the hosts.
    """

    source: str
    to: str
    epoch: int
    at: int
    made: int
    done: bool
    entry: EtcdEntry

    def value(self, done: bool = False) -> bytes:
        """Return the value of the key."""
        content: JsonObject = {"from": self.source, "host": self.to, "epoch": self.epoch, "at": self.at}
        return value_of({**content, "made": self.made, "done": done})


FleetRecord: TypeAlias = LivingHost | OldOwner | AccountRecord | Takeover


def record_of(kind: str, name: str, entry: EtcdEntry) -> FleetRecord | None:
    """Return the record in the key ``KIND/NAME``, None for one that cannot be read, or of another kind."""
    content = content_of(entry)
    if kind == "hosts":
        labels = frozenset(one_line(label) for label in items(content.get("labels")))
        version, capacity = one_line(content.get("version"))[:40], integer(content.get("capacity"))
        return LivingHost(version, labels, capacity, entry, one_line(content.get("egress"))[:_WORD])
    # In an account's record of 2.3.0, they are not in a table.
    owner = obj(content.get("owner")) if kind == "accounts" and "owner" in content else content
    host, epoch = one_line(owner.get("host"))[:64], integer(owner.get("epoch"))
    if not host or not 0 < epoch < LARGEST_EPOCH:  # the next one is stored in the account's file
        return None
    if kind == "owners":
        return OldOwner(host, entry)
    if kind == "accounts":
        words = {key: one_line(content.get(key))[:_WORD] for key in _WORDS}
        return AccountRecord(
            one_line(content.get("name"))[:64] or name,
            host,
            epoch,
            one_line(content.get("desired"))[:16],
            entry,
            tuple(integer(each) for each in items(content.get("adopted"))[-_ADOPTIONS:]),
            integer(content.get("noted")),
            placement=one_line(content.get("placement"))[:_PLACEMENT],
            lease=integer(owner.get("lease")),
            removed=owner.get("removed") is True,
            copies={one_line(host)[:_WORD]: integer(at) for host, at in obj(content.get("copies")).items()},
            **words,
        )
    if kind == "takeovers":
        at, made = integer(content.get("at")), integer(content.get("made"))
        return Takeover(
            one_line(content.get("from"))[:_WORD], host, epoch, at, made, content.get("done") is True, entry
        )
    return None


def adoptions_with(record: AccountRecord | None, epoch: int) -> tuple[int, ...]:
    """Return an account's ``adopted`` after an adoption in an epoch, 0 for none, which may be known already.

    Each is one more than the epoch of a lost copy. A host that was lost in the middle of a claim may have noted the
    epoch of that claim, or still have the one before: then the account has never run in it.
    """
    adopted = {*record.adopted} if record else set[int]()
    if record and epoch not in adopted | {0}:
        adopted.add(record.noted + 1)
    return tuple(sorted((adopted | {epoch}) - {0})[-_ADOPTIONS:])


def value_of(content: JsonObject) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def content_of(entry: EtcdEntry) -> JsonObject:
    try:
        return obj(read_json(entry.value))
    except ValueError:
        return {}
