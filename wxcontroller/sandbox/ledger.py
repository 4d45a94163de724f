"""What was asked for, and what a real server would not have liked."""

from collections import Counter, deque
from dataclasses import dataclass, field

from wxcontroller.core.jsontypes import JsonObject


@dataclass(frozen=True, slots=True)
class Violation:
    """One breach of the protocol by a client. ``what`` names the part, never its value."""

    time: float
    uin: int | None
    endpoint: str
    what: str

    def as_json(self) -> JsonObject:
        """Return it for the scripting API."""
        return {"time": round(self.time, 3), "uin": self.uin, "endpoint": self.endpoint, "what": self.what}


@dataclass(slots=True)
class Ledger:
    """Counters per account and endpoint, and the latest violations. Holds no secrets."""

    counts: dict[int | None, Counter[str]] = field(default_factory=dict)
    violations: deque[Violation] = field(default_factory=lambda: deque(maxlen=500))

    def count(self, uin: int | None, endpoint: str) -> None:
        """Count one request; ``uin`` None for requests of nobody in particular, as before a login."""
        counter = self.counts.get(uin)
        if counter is None:
            counter = self.counts[uin] = Counter()
        counter[endpoint] += 1

    def note(self, time: float, uin: int | None, endpoint: str, what: str) -> None:
        """Write down a violation."""
        self.violations.append(Violation(time, uin, endpoint, what))

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
