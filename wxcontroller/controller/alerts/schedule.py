"""When an alert is due: after the problem has lasted, once, not too often, and not again after a restart.

Kept over restarts: sent alerts, their times, and how long problems have lasted. Durations use the boot-time
clock, and only while the controller runs: neither a wrong clock nor a night without a controller causes an alert.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from wxcontroller.controller.alerts.findings import Healthy, Ignored, Problem, Track, Verdict
from wxcontroller.core.alerts import Kind
from wxcontroller.core.config.alertsettings import AlertSettings
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, obj, read_json, text
from wxcontroller.core.text.templates import NOTHING, text_from

# Least time between two alerts: problems that begin together are one alert, the first is sent at once.
SPACING = 30.0
_HOUR = 3600.0
_VERSION = 1

# Instance ("" for the machine) and area of trouble.
Key = tuple[str, Track]


@dataclass(slots=True)
class Record:
    """The state of one possible problem.

    ``finding`` is the problem, ``age`` its duration in seconds; ``alerted`` are the kinds that were alerted since all
    was well, with their levels; ``sent`` is the time of each kind's last alert (seconds since 1970). ``recovered`` is
    the news of its end that is still to be sent, ``before`` the kinds alerted until then. ``was_well``: all was well
    at some time since the account is wanted.
    """

    finding: Problem | None = None
    age: float = 0.0
    alerted: dict[Kind, int] = field(default_factory=dict)
    sent: dict[Kind, float] = field(default_factory=dict)
    recovered: Healthy | None = None
    before: dict[Kind, int] = field(default_factory=dict)
    was_well: bool = False

    @property
    def empty(self) -> bool:
        return not (self.finding or self.alerted or self.sent or self.recovered or self.was_well)


@dataclass(frozen=True, slots=True)
class Due:
    """An alert that is due, with the kind of its problem; ``age`` is how long it has lasted."""

    key: Key
    kind: Kind
    what: Problem | Healthy
    age: float = 0.0


class Ledger:
    """All records. ``look`` takes the current findings, ``due`` returns the alerts to send, ``note_sent`` notes them.

    ``restarts`` is kept with them, for ``Crashes``.
    """

    def __init__(self) -> None:
        self.records: dict[Key, Record] = {}
        self.restarts: JsonObject = {}
        self._changed = False
        self._sent: list[float] = []  # alerts of the last hour
        self._since = SPACING  # the last one, in seconds of ours

    def look(self, verdicts: Mapping[Key, Verdict], elapsed: float) -> None:
        """Record the current problems, ``elapsed`` seconds after the last call."""
        self._since += elapsed
        for key, verdict in verdicts.items():
            record = self.records.setdefault(key, Record())
            before = outline(record)
            judge(record, verdict, elapsed)
            self._changed = self._changed or before != outline(record)
            if record.empty:
                del self.records[key]

    def forget(self, instances: Iterable[str]) -> None:
        """Drop the records of all other accounts: they no longer exist."""
        kept = {"", *instances}
        for key in [key for key in self.records if key[0] not in kept]:
            del self.records[key]
            self._changed = True

    def due(self, settings: AlertSettings, now: float) -> tuple[list[Due], list[Due]]:
        """Return the problems and recoveries to alert now, each as one list; nothing while it is too early."""
        if self._since < SPACING:
            return [], []
        left = settings.per_hour - sum(0 <= now - each < _HOUR for each in self._sent)
        problems = [
            Due(key, record.finding.kind, record.finding, record.age)
            for key, record in self.records.items()
            if record.finding and is_due(record, record.finding, settings.interval, now)
        ]
        recoveries = [
            Due(key, list(record.before)[-1], record.recovered)
            for key, record in self.records.items()
            if record.recovered and record.before
        ]
        if left < 1:
            return [], []
        # The last one of this hour is for problems.
        if problems and left < 2:
            return problems, []
        return problems, recoveries

    def note_sent(self, dues: Iterable[Due], now: float) -> None:
        """Note that these were sent, in one alert."""
        for due in dues:
            record = self.records.setdefault(due.key, Record())
            if isinstance(due.what, Problem):
                record.alerted[due.what.kind] = due.what.level
                record.sent[due.what.kind] = now
            else:
                record.recovered = None
        self._sent = [each for each in self._sent if 0 <= now - each < _HOUR] + [now]
        self._since = 0.0
        self._changed = True

    def forget_sent(self) -> None:
        """Forget past alerts because no channel is left: a channel that is added later gets all problems of that
        time.
        """
        for record in self.records.values():
            if record.alerted or record.sent or record.recovered:
                record.alerted, record.sent, record.recovered, record.before = {}, {}, None, {}
                self._changed = True

    @property
    def has_problems(self) -> bool:
        """Whether anything is wrong, with an age that grows."""
        return any(record.finding for record in self.records.values())

    def take_changed(self) -> bool:
        """Return whether anything worth a write has changed since the last call."""
        changed, self._changed = self._changed, False
        return changed

    def dump(self) -> bytes:
        """Return the state to store."""
        entries: list[JsonValue] = [entry(key, record) for key, record in self.records.items()]
        sent: list[JsonValue] = list(self._sent)
        kept: JsonObject = {"version": _VERSION, "sent": sent, "records": entries, "restarts": self.restarts}
        return json.dumps(kept).encode()

    def load(self, content: bytes) -> None:
        """Load stored state. Raises ValueError if it cannot be used."""
        kept = obj(read_json(content))
        if kept.get("version") != _VERSION:
            raise ValueError("it is of another version")
        self._sent = [float(each) for each in items(kept.get("sent")) if isinstance(each, int | float)]
        self.restarts = obj(kept.get("restarts"))
        for each in items(kept.get("records")):
            key, record = _record(obj(each))
            self.records[key] = record


def outline(record: Record) -> tuple[object, ...]:
    """Return the parts whose change is worth a write; ages are not."""
    return record.finding and record.finding.kind, record.was_well, dict(record.alerted), record.recovered is None


def judge(record: Record, verdict: Verdict, elapsed: float) -> None:
    match verdict:
        case None:
            return
        case Healthy():
            if record.alerted:
                record.recovered, record.before, record.alerted = verdict, record.alerted, {}
            record.finding, record.age, record.was_well = None, 0.0, True
        case Ignored():
            record.finding, record.age, record.was_well = None, 0.0, False
            record.recovered, record.alerted = None, {}
        case Problem():
            if record.recovered:  # it recovered only briefly, without an alert
                record.recovered, record.alerted = None, record.before
            same = record.finding is not None and record.finding.kind is verdict.kind
            record.age = record.age + elapsed if same and not restarts_hold(record.finding, verdict) else 0.0
            record.finding = verdict
            if verdict.level < record.alerted.get(verdict.kind, 0):
                record.alerted[verdict.kind] = verdict.level  # a higher level is alerted again


def restarts_hold(before: Problem | None, now: Problem) -> bool:
    """Whether the hold starts now: the time a unit was stopped by hand does not count for a failed start."""
    return before is not None and before.hold == float("inf") and 0 < now.hold < float("inf")


def is_due(record: Record, finding: Problem, interval: float, now: float) -> bool:
    if finding.first and not record.was_well:
        return False  # the person who started it is present with the phone
    if finding.kind is Kind.CONFIRM and Kind.SCAN in record.alerted:
        return False  # a person has scanned
    if record.age < finding.hold or record.alerted.get(finding.kind, -1) >= finding.level:
        return False
    # A time in the future was recorded by a wrong clock.
    return not 0 <= now - record.sent.get(finding.kind, float("-inf")) < interval


def entry(key: Key, record: Record) -> JsonObject:
    finding = record.finding
    return {
        "instance": key[0],
        "track": key[1].value,
        "kind": finding.kind.value if finding else None,
        "age": round(record.age, 1),
        "never": finding is not None and finding.hold == float("inf"),
        "told": {kind.value: level for kind, level in record.alerted.items()},
        "sent": {kind.value: moment for kind, moment in record.sent.items()},
        "recovered": [record.recovered.account, record.recovered.message.as_json()] if record.recovered else None,
        "before": {kind.value: level for kind, level in record.before.items()},
        "was_well": record.was_well,
    }


def _record(content: JsonObject) -> tuple[Key, Record]:
    record = Record(was_well=content.get("was_well") is True)
    if kind := text(content.get("kind")):
        # Its text follows with the next check.
        hold = float("inf") if content.get("never") is True else 0.0
        record.finding = Problem(Kind(kind), "", NOTHING, NOTHING, hold)
        age = content.get("age")
        record.age = float(age) if isinstance(age, int | float) else 0.0
    record.alerted, record.before = (
        {Kind(name): integer(level) for name, level in obj(content.get(which)).items()}
        for which in ("told", "before")
    )
    for name, moment in obj(content.get("sent")).items():
        if isinstance(moment, int | float):
            record.sent[Kind(name)] = float(moment)
    if recovered := items(content.get("recovered")):
        record.recovered = Healthy(text(recovered[0]), text_from(recovered[-1]))
    return (text(content.get("instance")), Track(text(content.get("track")))), record
