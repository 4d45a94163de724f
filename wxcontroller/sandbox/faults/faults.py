"""Scripted faults: kind, place, account and number."""

import enum
from dataclasses import asdict, dataclass, field

from wxcontroller.core.jsontypes import JsonObject, JsonValue

ANY = "*"


class FaultKind(enum.Enum):
    """The kinds of faults."""

    DELAY = "delay"  # value: seconds before the request is handled
    STATUS = "status"  # value: 400–599 with an empty body; 0 the line "HTTP/1.1 0 -"; 200–399 the right body under it
    RESET = "reset"  # connection reset; value "after": after the request was handled
    TRUNCATE = "truncate"  # the response breaks off; value: bytes that are sent (default half of it)
    SHORT = "short"  # the response ends early as if it were complete; value: bytes that are sent (default half of it)
    NO_RANGE = "norange"  # the server ignores Range and sends the content from its beginning
    HEADLESS = "headless"  # the response to an upload lacks its essential header
    GARBAGE = "garbage"  # value: the text to send instead (default something unreadable)
    RETCODE = "retcode"  # value: the code to refuse with, in the endpoint's format
    MOVED = "moved"  # value: a domain; requests to the same host of another domain are redirected to it
    DROP = "drop"  # no answer at all; value: seconds until the connection closes (default 600), or "after"


@dataclass(slots=True)
class Fault:
    """One injected fault. ``count`` None: until it is cleared."""

    id: int
    endpoint: str
    kind: FaultKind
    value: JsonValue = None
    count: int | None = 1
    uin: int | None = None
    hits: int = 0

    def as_json(self) -> JsonObject:
        """Return it for the scripting API."""
        return {**asdict(self), "kind": self.kind.value}


@dataclass(slots=True)
class Faults:
    """The pending faults."""

    all: dict[int, Fault] = field(default_factory=dict)
    last_id: int = 0

    def add(self, endpoint: str, kind: FaultKind, value: JsonValue, count: int | None, uin: int | None) -> Fault:
        """Inject a fault into the next ``count`` matching requests (None: into all)."""
        self.last_id += 1
        fault = self.all[self.last_id] = Fault(self.last_id, endpoint, kind, value, count, uin)
        return fault

    def take(self, endpoint: str, uin: int | None) -> list[Fault]:
        """Return the faults of this request: a delay, if any, and the oldest of the others."""
        if not self.all:
            return []
        taken: list[Fault] = []
        for fault in list(self.all.values()):
            if fault.endpoint not in (endpoint, ANY) or (fault.uin is not None and fault.uin != uin):
                continue
            if any((fault.kind is FaultKind.DELAY) == (other.kind is FaultKind.DELAY) for other in taken):
                continue
            taken.append(fault)
            fault.hits += 1
            if fault.count is not None:
                fault.count -= 1
                if fault.count <= 0:
                    del self.all[fault.id]
        return sorted(taken, key=lambda fault: fault.kind is not FaultKind.DELAY)
