"""What a decoder's fuzz target is."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum

from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonValue

# Between the parts of an input of several: no text has it, and a mutator moves it like any other byte.
BETWEEN = b"\x1e"
LONG = 1 << 18
Decode = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Target:
    """One decoder, or one edge of several in a row.

    ``decode`` takes any bytes. It returns when they were taken, raises one of ``refusals`` when they were refused in
    an orderly way, and anything else is a finding.
    """

    name: str
    decode: Decode
    seeds: tuple[bytes, ...]
    refusals: tuple[type[Exception], ...] = (WxError,)
    tokens: tuple[bytes, ...] = ()
    weight: int = 2  # share of a run
    longest: int = 1 << 14  # bytes of the longest inputs: as much as is read

    def try_(self, data: bytes) -> bool:
        """Feed an input; return whether it was taken. Raises what is a finding."""
        try:
            self.decode(data)
        except self.refusals as problem:
            if isinstance(problem, WxError):
                assert problem.message, "a refusal without words"
                str(problem).encode("utf-8", "surrogateescape")  # as the journal takes it
            return False
        return True


def parts(data: bytes, count: int) -> list[bytes]:
    """Return an input as exactly ``count`` parts."""
    found = data.split(BETWEEN, count - 1)
    return [*found, *[b""] * (count - len(found))]


def texts(data: bytes, count: int) -> list[str]:
    """Return an input as texts, in which bytes that are no UTF-8 are surrogate escapes, as from a header."""
    return [part.decode("utf-8", "surrogateescape") for part in parts(data, count)]


def joined(*given: str | bytes) -> bytes:
    """Return parts as one input."""
    return BETWEEN.join(part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part for part in given)


def fit(value: object) -> None:
    """Fail unless everything in ``value`` can be written as UTF-8 and as JSON of today's interpreters."""
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, float):
        assert value == value and abs(value) != float("inf"), "a number that JSON has not"
    elif isinstance(value, Enum | bool | int | bytes | None):
        return
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            fit(key)
            fit(entry)
    elif isinstance(value, list | tuple | set | frozenset):
        for entry in value:
            fit(entry)
    elif is_dataclass(value):
        for field in fields(value):
            fit(getattr(value, field.name))


def json_of(data: bytes) -> JsonValue:
    """Return an input that is JSON as what a decoder of values gets; NotJson for others."""
    try:
        value: JsonValue = json.loads(data)
    except (ValueError, RecursionError):
        raise NotJson from None
    return value


class NotJson(Exception):
    """The input says nothing to a decoder of JSON values: not a finding."""
