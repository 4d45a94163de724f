"""The requests of clients, and their violations of the documented protocol. The real service's code is not known, so
most violations are only recorded, not refused: unmodified clients that are known to work against the real service
must work here too (``Options.strict`` refuses all violations)."""

from collections import Counter, deque
from dataclasses import asdict, dataclass, field

from wxcontroller.core.jsontypes import JsonObject


@dataclass(frozen=True, slots=True)
class Violation:
    """One violation of the protocol by a client. ``what`` names the part, never its value. ``refused`` is the code
    that the request was refused with; None when it was served.
    """

    time: float
    uin: int | None
    endpoint: str
    what: str
    refused: int | None = None

    def as_json(self) -> JsonObject:
        """Return it for the scripting API."""
        return {**asdict(self), "time": round(self.time, 3)}


@dataclass(slots=True)
class CallLedger:
    """Counters per account and endpoint, and the latest violations. Holds no secrets."""

    counts: dict[int | None, Counter[str]] = field(default_factory=dict)
    violations: deque[Violation] = field(default_factory=lambda: deque(maxlen=500))

    def count(self, uin: int | None, endpoint: str) -> None:
        """Count one request; ``uin`` None for requests without an account, as before a login."""
        counter = self.counts.get(uin)
        if counter is None:
            counter = self.counts[uin] = Counter()
        counter[endpoint] += 1

    def add(self, violation: Violation) -> None:
        """Record a violation."""
        self.violations.append(violation)

    def as_json(self, uin: int | None) -> JsonObject:
        """Return counters and violations, of one account or (None) of all together."""
        if uin is None:
            total: Counter[str] = Counter()
            for counter in self.counts.values():
                total += counter
        else:
            total = self.counts.get(uin, Counter())
        shown = [v.as_json() for v in self.violations if uin is None or v.uin == uin]
        return {"counts": dict(total), "violations": list(shown)}
