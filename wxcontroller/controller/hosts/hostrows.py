"""Accounts of other hosts as this host shows them: rows like its own, built on changes."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from wxcontroller.core.condition.facts import Assessment, Condition, assessment_of
from wxcontroller.core.condition.hostchecks import duplicate_name, host_unreachable
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.names import AccountName
from wxcontroller.core.states import Desired, UnitState
from wxcontroller.core.text.templates import NOTHING, Text, text_fields
from wxcontroller.fleet.host import HostRow, OtherHost
from wxcontroller.fleet.hosts import Hosts
from wxcontroller.openwx.contract.replies import to_bytes

# Fields that are unknown while an account's host does not answer.
_UNKNOWN = ("login_state", "state", "pid", "qrcode_number", "qrcode_try", "qrcode_limit", "qrcode_until", "input")
_NOT_KEPT = ("since", "user", "avatar", "start_time", "heartbeats", "hourly_messages", "leaving", "arrived")


@dataclass(frozen=True, slots=True, eq=False)
class ShownRow:
    """An account of another host. ``listed`` is its ACCOUNT, ``body`` the same with its activity.

    ``wanted``: it should run. ``source`` is the data it was built from.
    """

    instance: str
    name: str
    host: str
    is_up: bool
    wanted: bool
    listed: bytes
    body: bytes
    source: tuple[object, ...]


class HostRows:
    """The rows of all accounts that other hosts have and this one has not, by instance.

    ``held`` returns why no host runs an account, and ``changes`` a number that grows when that may be new.
    """

    def __init__(
        self,
        hosts: Hosts,
        held: Callable[[str], Text] = lambda _: NOTHING,
        changes: Callable[[], int] = lambda: 0,
    ) -> None:
        self._hosts = hosts
        self._held = held
        self._changes = changes
        self._rows: dict[str, ShownRow] = {}
        self._seen: object = None

    def current(self, own: Collection[str]) -> Mapping[str, ShownRow]:
        """Return the rows. ``own`` are the instances of this host's accounts; a name is shown once."""
        seen = (self._hosts.changes, frozenset(own), self._changes())
        if seen != self._seen:
            rows = self._rows
            self._rows = {
                instance: self._row(instance, having, rows.get(instance))
                for instance, having in sorted(self._hosts.all().items())
                if instance not in own
            }
            self._seen = seen
        return self._rows

    def _row(self, instance: str, having: tuple[OtherHost, ...], earlier: ShownRow | None) -> ShownRow:
        host = having[0]
        row = host.rows[instance]
        held = NOTHING if host.is_up else self._held(instance)
        source = (row, host.state, host.reason, having, str(held))
        if earlier is not None and earlier.source == source:
            return earlier
        others = ", ".join(each.name for each in having[1:])
        return host_row(host, row, others, source, held)


def host_row(
    host: OtherHost, row: HostRow, others: str, source: tuple[object, ...], held: Text = NOTHING
) -> ShownRow:
    content = {**blank(row.name), **row.content, "host": host.name}
    assessment = assessment_of(content)
    if not host.is_up:
        assessment = host_unreachable(host.name, host.why, host.since, held)
        status = assessment.issues[0].headline
        content |= {**dict.fromkeys(_UNKNOWN), "qrcode": False, "activity": None}
        content |= text_fields(status=status, reason=NOTHING)
    if others:
        assessment = assessment or Assessment(Condition.UP)
        assessment = Assessment(assessment.condition, (duplicate_name(row.name, others), *assessment.issues))
    if assessment is not None and (others or not host.is_up):
        content |= assessment.as_json()
    body = to_bytes(content)
    listed = to_bytes({key: value for key, value in content.items() if key != "activity"})
    wanted = content.get("desired") == Desired.STARTED.value
    return ShownRow(row.name.instance, row.name.name, host.name, host.is_up, wanted, listed, body, source)


def blank(name: AccountName) -> JsonObject:
    """Return an ACCOUNT of which nothing is known but its name."""
    return {
        **{"name": name.name, "instance": name.instance, "unit": name.unit, "driver": "", "unit_sub": ""},
        **{"desired": Desired.STOPPED.value, "unit_state": UnitState.INACTIVE.value, "port": 0, "epoch": 1},
        **{"post_api": "", "proxy": "", "qrcode": False, "activity": None},
        **text_fields(status=Text("its host has not responded yet"), reason=NOTHING),
        **dict.fromkeys((*_UNKNOWN, *_NOT_KEPT)),
        **Assessment(Condition.UP).as_json(),
    }
