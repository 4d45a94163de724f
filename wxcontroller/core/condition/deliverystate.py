"""An account's deliveries, as its conditions depend on them: from the ``reports`` of the status that it publishes."""

from dataclasses import dataclass, fields, replace

from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer
from wxcontroller.core.text.templates import NOTHING, Text, text_in

_MAX_COUNT = 1 << 40


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """Counts of reports; times in seconds since 1970, 0 for never.

    ``oldest_since`` is when the oldest of the ``waiting`` ones was queued. ``unacknowledged`` counts dead
    letters not yet acknowledged, the latest of which died at ``dead_at`` of ``dead_error``. ``dropped``
    reports were lost, the last one at ``dropped_at``. ``trouble`` is why nothing can be stored now.
    """

    waiting: int = 0
    oldest_since: int = 0
    dead: int = 0
    unacknowledged: int = 0
    dead_at: int = 0
    dropped: int = 0
    dropped_at: int = 0
    damaged_at: int = 0
    dead_error: Text = NOTHING
    last_error: Text = NOTHING
    trouble: Text = NOTHING


_NUMBERS = tuple(field.name for field in fields(DeliveryState) if isinstance(field.default, int))


def delivery_state_of(content: JsonObject) -> DeliveryState:
    """Read the ``reports`` of a status: missing and invalid numbers become 0, texts one line."""
    return replace(
        DeliveryState(*(number(content.get(name)) for name in _NUMBERS)),  # type: ignore[arg-type]
        dead_error=text_in(content, "dead_error"),
        last_error=text_in(content, "last_error"),
        trouble=text_in(content, "trouble"),
    )


def number(value: JsonValue) -> int:
    return max(0, min(integer(value), _MAX_COUNT))
