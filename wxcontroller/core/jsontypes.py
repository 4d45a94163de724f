"""What JSON from outside may be, and how to narrow it without trusting it."""

from collections.abc import Mapping
from typing import TypeAlias

JsonValue: TypeAlias = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]
JsonObject: TypeAlias = dict[str, JsonValue]


def obj(value: object) -> JsonObject:
    """Return ``value`` when it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[JsonValue]:
    """Return ``value`` when it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: object, default: str = "") -> str:
    """Return a string: strings as they are, numbers in decimal, everything else ``default``."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return default
    return str(value) if isinstance(value, int | float) else default


def integer(value: object, default: int = 0) -> int:
    """Return an int: ints and decimal strings as numbers, everything else ``default``."""
    if isinstance(value, bool):
        return default
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        try:
            return int(value, 10)
        except ValueError:
            return default
    return default


def field(container: object, key: str) -> JsonValue:
    """Return ``container[key]`` when there is such a thing, else None."""
    return container.get(key) if isinstance(container, Mapping) else None
