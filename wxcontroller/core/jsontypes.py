"""JSON from outside: its types, and functions that narrow it without trusting it."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias

JsonValue: TypeAlias = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]
JsonObject: TypeAlias = dict[str, JsonValue]
# Levels of JSON from outside: code that walks over it must not run out of stack. Digits of an integer: no id has
# more, and the time to parse one grows with their square.
JSON_DEPTH = 64
JSON_DIGITS = 40
_BEYOND = 10**JSON_DIGITS
# Levels of stored JSON, which wraps JSON from outside.
_STORED_DEPTH = 200
# Control and direction characters, line ends, and halves of characters.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class InterruptibleDecoder(json.JSONDecoder):
    """A decoder that lets other threads run meanwhile, at a twentieth of the speed.

    The C parser holds the interpreter lock throughout, even in a separate thread.
    """

    def __init__(self, **hooks: Any) -> None:  # the library's
        super().__init__(**hooks)
        self.scan_once = json.scanner.py_make_scanner(self)  # type: ignore[attr-defined]


def values_in(raw: bytes) -> int:
    """Return how many values JSON has at most: the time to parse it grows with them. Counting takes next to none."""
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{") + 1


def read_json(
    raw: bytes | str,
    depth: int = JSON_DEPTH,
    digits: int = JSON_DIGITS,
    values: int | None = None,
    unique: bool = False,
    decoder: type[json.JSONDecoder] = json.JSONDecoder,
) -> JsonValue:
    """Parse JSON from outside such that it can be walked over, compared and written again.

    Raises ValueError for anything but JSON, for NaN and out-of-range numbers, for bytes with more than ``values``
    values, for an object with a repeated key if keys have to be ``unique``, and for nesting deeper than
    ``depth``: code that walks over the result must not run out of stack.
    """
    if values is not None and isinstance(raw, bytes) and values_in(raw) > values:
        raise ValueError("has too many values")
    try:
        value: JsonValue = json.loads(
            raw,
            cls=decoder,
            parse_constant=no_constant,
            parse_float=finite,
            parse_int=partial(limited_int, limit=digits),
            object_pairs_hook=_unique if unique else None,
        )
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    # Counting is fast, and mostly enough.
    brackets = raw.count(b"[") + raw.count(b"{") if isinstance(raw, bytes) else raw.count("[") + raw.count("{")
    if brackets > depth and _depth(value) > depth:
        raise ValueError("is nested too deeply")
    return value


def kept_json(kept: object) -> JsonObject:
    """Return an object that this program wrote, an empty one if its file is damaged."""
    try:
        return obj(read_json(kept, _STORED_DEPTH)) if isinstance(kept, str | bytes) else {}
    except ValueError:
        return {}


def _depth(value: JsonValue) -> int:
    deepest, open_ones = 0, [children(value)]
    while open_ones:
        deepest = max(deepest, len(open_ones) - 1)
        for entry in open_ones[-1]:
            if isinstance(entry, list | dict):
                open_ones.append(children(entry))
                break
        else:
            open_ones.pop()
    return deepest


def children(value: JsonValue) -> Iterator[JsonValue]:
    if isinstance(value, dict):
        return iter(value.values())
    return iter(value if isinstance(value, list) else ())


def _unique(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("has a key twice")
    return found


def no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):  # 1e999: it could not be written as JSON again
        raise ValueError(f"{digits[:32]} is beyond all numbers")
    return number


def limited_int(digits: str, limit: int) -> int:
    if len(digits) > limit:
        raise ValueError(f"{digits[:32]}… is beyond all numbers")
    return int(digits)


def one_line(value: object) -> str:
    """Return a text for people, on one line: nothing in it acts on a terminal, each unfit character is a space."""
    return _UNFIT.sub(" ", text(value))


def obj(value: object) -> JsonObject:
    """Return ``value`` when it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[JsonValue]:
    """Return ``value`` when it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def objects(value: object) -> list[JsonObject]:
    """Return the entries of a JSON array, those that are no objects as empty ones."""
    return [obj(entry) for entry in items(value)]


def text(value: object, default: str = "") -> str:
    """Return a string: strings as they are, numbers in decimal, everything else ``default``."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return default
    return str(value) if isinstance(value, int | float) else default


def integer(value: object, default: int = 0) -> int:
    """Return an int: ints and decimal strings as numbers, everything else ``default``.

    Numbers of more than JSON_DIGITS digits give ``default``, too, because a float cannot hold the largest.
    """
    if isinstance(value, str):
        try:
            value = int(value, 10)
        except ValueError:
            return default
    if isinstance(value, bool) or not isinstance(value, int):
        return default
    return value if abs(value) < _BEYOND else default


def whole_seconds(value: object) -> int:
    """Return a number of seconds without its fraction, 0 for anything else."""
    return int(value) if isinstance(value, float) and abs(value) < 1e12 else integer(value)


def positive_seconds(value: object) -> float:
    """Return a number of seconds, 0.0 for anything else and for invalid times."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:
        return 0.0
    return float(value)


def field(container: object, key: str) -> JsonValue:
    """Return ``container[key]`` if it exists, else None."""
    return container.get(key) if isinstance(container, Mapping) else None
