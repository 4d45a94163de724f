"""The records of the fleet in etcd, as data.

- ``hosts/NAME``: a living host, bound to its lease. Written by its keeper.
- ``owners/INSTANCE``: the host that may run an account, and its epoch; under the lease of that host.
- ``accounts/INSTANCE``: which host had it last, in which epoch, and what is wanted of it; under no lease.
- ``takeovers/INSTANCE``: a takeover, and whether it is done; under a lease of its own, until the next one is allowed.
- ``schema``: the layout of these records.

All are JSON. ``fleet/recordcache.py`` reads them, and ``fleet/owners.py`` changes those of accounts.
"""

import json
from dataclasses import asdict, dataclass
from typing import TypeAlias

from wxcontroller.core.account import LARGEST_EPOCH
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, obj, one_line, read_json
from wxcontroller.core.names import AccountName
from wxcontroller.core.states import Desired
from wxcontroller.fleet.etcd import EtcdEntry

# Version of the records. A host that knows only versions below ``least`` of the key schema must not take part.
LAYOUT = 1
# Maximum characters of a word, and of a placement.
_WORD, _PLACEMENT = 64, 2048
# Number of adopted epochs in a record: reports of older lost copies are of no use.
_ADOPTIONS = 16


@dataclass(frozen=True, slots=True)
class Wanted:
    """The content of ``accounts/INSTANCE`` for other hosts, besides the owner.

    ``adopted`` is the epoch of its last adoption, 0 for none, ``egress`` that of the owner; ``standby`` is the host
    with the account's standby bundles, "" for none. The record has the epochs of earlier adoptions, too. ``noted`` is
    the epoch in the account's record on its host: a claim raises the one in etcd first.
    """

    name: AccountName
    desired: str
    driver: str
    placement: str
    adopted: int = 0
    policy: str = ""
    standby: str = ""
    egress: str = ""
    noted: int = 0

    def record(self, host: str, epoch: int, before: "AccountRecord | None") -> bytes:
        """Return the value of the key, which has been as ``before``."""
        adopted = adoptions_with(before, self.adopted)
        return value_of({**asdict(self), "name": self.name.name, "host": host, "epoch": epoch, "adopted": adopted})


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """``accounts/INSTANCE``: ``host`` had the account last. ``entry`` is the key. See ``Wanted`` for the others.

    ``adopted`` are the epochs after those of the copies that lost hosts may still have; see ``adoptions_with``.
    """

    name: str
    host: str
    epoch: int
    desired: str
    entry: EtcdEntry
    adopted: tuple[int, ...] = ()
    noted: int = 0
    driver: str = ""
    placement: str = ""
    policy: str = ""
    standby: str = ""
    egress: str = ""

    @property
    def is_wanted(self) -> bool:
        """Whether it is to run."""
        return self.desired == Desired.STARTED.value

    def with_(self, **changed: JsonValue) -> bytes:
        """Return the value of the key with changes."""
        return value_of({**content_of(self.entry), **changed})


@dataclass(frozen=True, slots=True)
class Owner:
    """``owners/INSTANCE``."""

    host: str
    epoch: int
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


FleetRecord: TypeAlias = LivingHost | Owner | AccountRecord | Takeover


def record_of(kind: str, name: str, entry: EtcdEntry) -> FleetRecord | None:
    """Return the record in the key ``KIND/NAME``, None for one that cannot be read, or of another kind."""
    content = content_of(entry)
    if kind == "hosts":
        labels = frozenset(one_line(label) for label in items(content.get("labels")))
        version, capacity = one_line(content.get("version"))[:40], integer(content.get("capacity"))
        return LivingHost(version, labels, capacity, entry, one_line(content.get("egress"))[:_WORD])
    host, epoch = one_line(content.get("host"))[:64], integer(content.get("epoch"))
    if not host or not 0 < epoch < LARGEST_EPOCH:  # the next one is stored in the account's file
        return None
    if kind == "owners":
        return Owner(host, epoch, entry)
    if kind == "accounts":
        words = {key: one_line(content.get(key))[:_WORD] for key in ("driver", "policy", "standby", "egress")}
        return AccountRecord(
            one_line(content.get("name"))[:64] or name,
            host,
            epoch,
            one_line(content.get("desired"))[:16],
            entry,
            tuple(integer(each) for each in items(content.get("adopted"))[-_ADOPTIONS:]),
            integer(content.get("noted")),
            placement=one_line(content.get("placement"))[:_PLACEMENT],
            **words,
        )
    if kind == "takeovers":
        at, made = integer(content.get("at")), integer(content.get("made"))
        return Takeover(
            one_line(content.get("from"))[:_WORD], host, epoch, at, made, content.get("done") is True, entry
        )
    return None


def adoptions_with(record: AccountRecord | None, epoch: int) -> list[JsonValue]:
    """Return an account's ``adopted`` after an adoption in an epoch, 0 for none.

    Each is one more than the epoch of a lost copy. A host that was lost in the middle of a claim may have noted the
    epoch of that claim, or still have the one before: then the account has never run in it.
    """
    adopted = {*record.adopted} if record else set[int]()
    if record and epoch not in adopted | {0}:
        adopted.add(record.noted + 1)
    return [*sorted((adopted | {epoch}) - {0})[-_ADOPTIONS:]]


def value_of(content: JsonObject) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def content_of(entry: EtcdEntry) -> JsonObject:
    try:
        return obj(read_json(entry.value))
    except ValueError:
        return {}
