"""What happens to an account when its host is lost, in a fleet with etcd: which hosts take it over, or why none does.

Every host derives this from the records in etcd, so that all get the same result, and none decides for the others.
etcd does not record standby bundles: only the account's host and its standby host know them. Others assume that there
is one.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wxcontroller.core.config.fleetsettings import EtcdSettings
from wxcontroller.core.config.options import ANY_ADDRESS
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.states import TakeoverPolicy
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, NOTHING, Text, text_fields
from wxcontroller.fleet.owners import Owners
from wxcontroller.fleet.placement import free_places
from wxcontroller.fleet.records import AccountRecord

# When the standby bundle of an account (its instance) from a host on another one was made; 0: there is none, and a
# negative number: that is not known here.
BundleAge = Callable[[str, str, str], int]


@dataclass(frozen=True, slots=True)
class Outlook:
    """The hosts that can take an account over, in order; ``reason`` is why there are none."""

    hosts: tuple[str, ...] = ()
    reason: Text = NOTHING
    bundle_at: int = 0  # when its standby bundle was made, 0 for not known here


class Outlooks:
    """The outlooks of all accounts. ``made`` returns this host's data about standby bundles."""

    def __init__(self, owners: Owners, settings: EtcdSettings, made: BundleAge) -> None:
        self._owners = owners
        self._settings = settings
        self._made = made
        self._free: dict[str, int] = {}
        self._seen = -1
        self.failed: Mapping[str, Text] = {}  # why this host could not take accounts over, by instance

    def of(self, instance: str, record: AccountRecord) -> Outlook:
        """Return what happens to an account without its host."""
        source = source_of(instance, record, self._owners)
        made = self._made(instance, source, record.standby)
        if reason := self._held(instance, record, source, made):
            return Outlook((), reason, max(0, made))
        free = self._free_places()
        others = [name for name in free if name not in (record.standby, source) and not self._unfit(name, record)]
        # A host that had its bundles before may still have one of this epoch. The order follows from records that all
        # hosts have, so that all come to the same one.
        ordered = sorted(others, key=lambda name: (-free[name], name))
        return Outlook((record.standby, *ordered), NOTHING, max(0, made))

    def sentence(self, instance: str, record: AccountRecord) -> Text:
        """Return the outlook of an account if its host is lost, as text."""
        found = self.of(instance, record)
        if found.reason:
            return Text(N_("held: {reason}"), reason=found.reason)
        words = N_("{host} takes it over {seconds} s after the end of the lease of {source}")
        if not found.bundle_at:
            words = N_("{host} takes it over {seconds} s after the end of the lease of {source}, if it has a bundle")
        return Text(words, host=found.hosts[0], seconds=round(self._settings.takeover_after), source=record.host)

    def held(self, instance: str) -> Text:
        """Return why no host runs an account, NOTHING if it is not known here."""
        record = self._owners.accounts.get(instance)
        if record is None:
            return NOTHING
        if failed := self.failed.get(instance):
            return Text(N_("this host cannot take it over: {reason}"), reason=failed)
        if (owner := self._owners.owner(instance)) is not None:
            return Text(N_("host {host} owns it, and its lease is valid"), host=owner.host)
        if record.host in self._owners.hosts:
            return Text(N_("host {host} has a lease and has not claimed the account"), host=record.host)
        if self.of(instance, record).hosts:
            return self.sentence(instance, record)
        return Text(
            N_("{outlook}; if host {host} is off for good: {claim}"),
            outlook=self.sentence(instance, record),
            host=record.host,
            claim=command("claim", record.name),
        )

    def unowned(self) -> dict[str, Text]:
        """Return the accounts that are to run and that no host owns or brings up, by instance, with the reasons."""
        return {
            instance: self.held(instance)
            for instance, record in sorted(self._owners.accounts.items())
            if record.is_wanted and (self._owners.owner(instance) is None or instance in self.failed)
        }

    def lost(self) -> dict[str, Text]:
        """Return the accounts that are held because their host is lost, by instance, with the reasons."""
        records, hosts = self._owners.accounts, self._owners.hosts
        return {
            instance: reason
            for instance, reason in self.unowned().items()
            if instance in self.failed
            or (records[instance].host not in hosts and not self.of(instance, records[instance]).hosts)
        }

    def as_json(self) -> JsonObject:
        """Return the hosts that have a lease and all accounts, as /v1/fleet shows them."""
        counts = Counter(record.host for record in self._owners.owned.values())
        hosts: list[JsonValue] = [
            {
                **{"name": name, "version": host.version or None, "labels": [*sorted(host.labels)]},
                **{"egress": host.egress or None, "capacity": host.capacity or None, "owned": counts[name]},
            }
            for name, host in sorted(self._owners.hosts.items())
        ]
        unowned, lost = self.unowned(), self.lost()
        accounts: list[JsonValue] = [
            {**self._row(instance, record, unowned.get(instance, NOTHING)), "held": instance in lost}
            for instance, record in sorted(self._owners.accounts.items())
            if not record.removed
        ]
        return {"hosts": hosts, "accounts": accounts}

    def _row(self, instance: str, record: AccountRecord, reason: Text) -> JsonObject:
        found, taken = self.of(instance, record), self._owners.takeovers.get(instance)
        return {
            **{"account": record.name, "host": record.host, "owned": self._owners.owner(instance) is not None},
            **{"epoch": record.epoch, "desired": record.desired},
            **text_fields(reason=reason),
            "policy": record.policy if record.policy in [*TakeoverPolicy] else TakeoverPolicy.HOLD.value,
            "taker": found.hosts[0] if found.hosts else None,
            "bundle_at": found.bundle_at or None,
            **text_fields(outlook=self.sentence(instance, record) if record.is_wanted else NOTHING),
            "taken_from": taken.source if taken else None,
            "taken_at": taken.at if taken else None,
        }

    def _held(self, instance: str, record: AccountRecord, source: str, made: int) -> Text:
        """Return why no host takes an account over, NOTHING if the standby host does."""
        owners, taken = self._owners, self._owners.takeovers.get(instance)
        if record.policy not in (TakeoverPolicy.ANY, TakeoverPolicy.SAME_EGRESS):
            return Text(N_("policy hold; for others see the option takeover"))
        if record.policy == TakeoverPolicy.ANY and record.driver not in ANY_ADDRESS:
            return Text(N_("policy any is only for driver=ilink; set takeover=same-egress"))
        if taken is not None and taken.done:
            words = N_(
                "it was taken over from {host} less than {hours} h ago and is not taken over again before that"
            )
            return Text(words, host=taken.source, hours=f"{self._settings.takeover_pause / 3600:g}")
        another = command("set", record.name, "standby=HOST")
        if not record.standby:
            return Text(N_("it has no standby host; name one: {another}"), another=another)
        if record.standby == source:
            return Text(N_("its standby host is its own; name another one: {another}"), another=another)
        if record.standby not in owners.hosts:
            return Text(N_("its standby host {host} has no lease"), host=record.standby)
        if not made:
            return Text(N_("no standby bundle: {host} has none yet; see: wxctl fleet"), host=record.standby)
        return self._unfit(record.standby, record)

    def _unfit(self, name: str, record: AccountRecord) -> Text:
        """Return why a living host does not take an account over, NOTHING if it may."""
        host = self._owners.hosts[name]
        if missing := sorted(set(record.placement.split()) - host.words(name)):
            words = N_("host {host} does not match {words} of its option placement")
            return Text(words, host=name, words=" ".join(missing))
        if record.policy == TakeoverPolicy.SAME_EGRESS and (not record.egress or host.egress != record.egress):
            words = N_("host {host} has egress {egress}, and its host {own}; see the key egress of [fleet]")
            return Text(words, host=name, egress=host.egress or "-", own=record.egress or "-")
        if self._free_places()[name] <= 0:
            return Text(N_("host {host} has no free place (max_clients)"), host=name)
        return NOTHING

    def _free_places(self) -> Mapping[str, int]:
        if self._seen != self._owners.changes:
            self._free, self._seen = free_places(self._owners), self._owners.changes
        return self._free


def source_of(instance: str, record: AccountRecord, owners: Owners) -> str:
    """Return the host of whose bundles an account is taken over: its last one, or that of a takeover under way."""
    taken = owners.open_takeover(instance)
    return taken.source if taken is not None else record.host
