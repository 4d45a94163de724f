"""An account's last minutes and hours: whether it was running in each minute, and how many messages it had per hour.

The account records them in its store and publishes them next to its state file, in the file about its deliveries. The
controller does not store it, and reads the file as untrusted.

The file ends with the minute in which it was written. ``at`` shifts that to the time of the reader, so
that an account whose minutes are all alike looks the same from one minute to the next.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, obj, text

MINUTES = 50
HOURS = 24
RUNNING, IDLE, ABSENT = "r", "o", "n"
_BEATS = re.compile(f"[{RUNNING}{IDLE}{ABSENT}]{{0,{MINUTES}}}")
# Each account writes at a different second of the minute, so that hundreds of them do not write at once: the present
# minute, and briefly the one before, may still be missing.
_LATE_MINUTES = 2
_MAX_COUNT = 1 << 40


@dataclass(frozen=True, slots=True)
class Recent:
    """Recent activity. ``beats``: a letter per minute, the last one is now: r running, o not running, n no process.

    ``messages``: received and sent, per hour, the last one is this hour.
    """

    beats: str
    messages: tuple[int, ...]

    def as_json(self) -> JsonObject:
        return {"heartbeats": self.beats, "hourly_messages": [*self.messages]}


@dataclass(frozen=True, slots=True)
class Heartbeats:
    """An account's file: ``beats`` up to ``minute``, and ``messages`` up to the hour of that minute.

    ``minute`` counts since 1970.
    """

    minute: int
    beats: str
    messages: tuple[int, ...]

    @classmethod
    def of(cls, minute: int, running: Mapping[int, bool], messages: Mapping[int, int]) -> "Heartbeats":
        """Build it from stored values, by minute and hour since 1970. A missing minute means no process."""
        letters = {True: RUNNING, False: IDLE, None: ABSENT}
        hour = minute // 60
        return cls(
            minute,
            "".join(letters[running.get(number)] for number in range(minute - MINUTES + 1, minute + 1)),
            tuple(messages.get(number, 0) for number in range(hour - HOURS + 1, hour + 1)),
        )

    def as_json(self) -> JsonObject:
        return {"minute": self.minute, "beats": self.beats, "messages": [*self.messages]}

    def at(self, now: float) -> Recent:
        """Return it as of ``now``, in seconds since 1970; missing minutes count as no process."""
        minute = int(now // 60)
        missing = minute - self.minute
        silent = IDLE * min(missing - 1, MINUTES) if missing >= _LATE_MINUTES else ""
        hours = max(0, min(minute // 60 - self.minute // 60, HOURS))
        return Recent(
            (ABSENT * MINUTES + self.beats + silent)[-MINUTES:],
            ((0,) * HOURS + self.messages + (0,) * hours)[-HOURS:],
        )

    def until(self, now: float) -> float:
        """Return when the result of ``at`` changes if nothing more is published."""
        minute = max(int(now // 60) + 1, self.minute + _LATE_MINUTES)
        return 60.0 * min(minute, 60 * (int(now // 3600) + 1))


def heartbeats_of(content: JsonValue) -> Heartbeats | None:
    """Read a published value of any type; None if it is invalid."""
    fields = obj(content)
    beats = text(fields.get("beats"))
    if not beats or not _BEATS.fullmatch(beats):
        return None
    messages = tuple(max(0, min(integer(count), _MAX_COUNT)) for count in items(fields.get("messages"))[-HOURS:])
    return Heartbeats(max(0, min(integer(fields.get("minute")), _MAX_COUNT)), beats, messages)
