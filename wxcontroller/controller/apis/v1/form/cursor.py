"""The position of a reader of many accounts' events, as a text to resume with.

A stamp at which it began, and for each account the number of the last event that it has had, or after which it began:
an account that is not named did not exist yet, or did not fit. Nothing about readers is kept anywhere else. Other
hosts have their own stamps, as times of two machines are not comparable.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from wxcontroller.core.config.limits import Limits

# In characters: the places of 150 accounts with names of usual length, in a header that any server takes.
CURSOR_LENGTH = 7000
_CURSOR = re.compile(
    r"(?P<stamp>[0-9]{1,18})(?P<hosts>(?:~[A-Za-z0-9-]{1,32}=[0-9]{1,18})*)(?P<places>(?:[.][A-Za-z0-9_-]{1,27}=[0-9a-f]{8}-[0-9]{1,18})*)"
)


def cursor_length(limits: Limits) -> int:
    """Return how long a cursor may be: a reader returns it in a header, ``Last-Event-ID: CURSOR``."""
    return min(CURSOR_LENGTH, limits.request_line_bytes - 100)


class BadCursor(ValueError):
    """A text that is not a cursor."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """``stamp``: microseconds since 1970; ``hosts`` are those of other hosts, by name.

    ``places`` are the ids of the last events by instance.

    As text it has at most ``longest`` characters, what fits into a header. Beyond it those that have been silent for
    longest are left out: a reader that comes back gets their events since its beginning again, and misses none.
    """

    stamp: int
    places: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    longest: int = CURSOR_LENGTH
    hosts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def __str__(self) -> str:
        text = str(self.stamp) + "".join(f"~{host}={stamp}" for host, stamp in self.hosts.items())
        for instance, event_id in reversed(list(self.places.items())):
            place = f".{instance}={event_id}"
            if len(text) + len(place) > self.longest:
                break
            text += place
        return text


def parse(text: str, longest: int = CURSOR_LENGTH) -> Cursor:
    """Read a cursor. Raises BadCursor."""
    found = _CURSOR.fullmatch(text) if len(text) <= longest else None
    if found is None:
        raise BadCursor("it is not one that a stream has given")
    pairs = [place.partition("=") for place in found["places"].split(".")[1:]]
    hosts = {host: int(stamp) for host, _, stamp in (part.partition("=") for part in found["hosts"].split("~")[1:])}
    places = {instance: event for instance, _, event in reversed(pairs)}
    return Cursor(int(found["stamp"]), MappingProxyType(places), hosts=MappingProxyType(hosts))
