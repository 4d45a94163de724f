"""What the fuzz target of a decoder is, and helpers that decoders share."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path

from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonValue

# CPU seconds. A slower decoder blocks everything else in its process.
_SLOW = 2.0
# Bytes of a long HTTP head, and of a long body.
HEAD, BODY = 1 << 13, 1 << 18
Part = bytes | str | Mapping[str, object]
# Runs what needs an event loop.
run = asyncio.new_event_loop().run_until_complete


class NotJson(Exception):
    """The input is no JSON, and the decoder gets JSON values."""


@dataclass(frozen=True, slots=True)
class Target:
    """A decoder and valid inputs of it, one or more parts each.

    ``decode`` gets the parts: text as str with surrogate escapes if the seeds have str, else bytes. It returns if
    they are valid, and raises one of ``refusals`` if not. Inputs that once broke a decoder are among its seeds.
    """

    name: str
    decode: Callable[..., object]
    seeds: tuple[Part | tuple[Part, ...], ...]
    refusals: tuple[type[Exception], ...] = (WxError,)
    longest: int = BODY

    def inputs(self) -> list[tuple[bytes, ...]]:
        """Return the seeds as bytes."""
        return [tuple(map(_encoded, seed)) if isinstance(seed, tuple) else (_encoded(seed),) for seed in self.seeds]

    def accepts(self, parts: tuple[bytes, ...]) -> bool:
        """Decode an input; return whether it was accepted. Raise what is unexpected, and AssertionError if slow."""
        first = self.seeds[0] if isinstance(self.seeds[0], tuple) else (self.seeds[0],)
        arguments = [
            part.decode("utf-8", "surrogateescape") if isinstance(like, str) else part
            for part, like in zip(parts, first, strict=True)
        ]
        began, accepted = time.process_time(), True
        try:
            self.decode(*arguments)
        except self.refusals as problem:
            accepted = False
            if isinstance(problem, WxError):
                assert problem.message
                str(problem).encode("utf-8", "surrogateescape")  # for the journal
        except Exception as problem:
            problem.add_note(f"input: {parts!r}")
            raise
        assert time.process_time() - began < _SLOW, f"slow: {parts!r}"
        return accepted


def _encoded(part: Part) -> bytes:
    if isinstance(part, bytes):
        return part
    return (part if isinstance(part, str) else json.dumps(part)).encode("utf-8", "surrogatepass")


@cache
def recorded(kind: str) -> tuple[bytes, ...]:
    """Return recorded traffic of one kind: a call to WeChat, or what it is."""
    lines = (Path(__file__).parent / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(entry["content"].encode() for entry in map(json.loads, lines) if entry["kind"] == kind)


def check_encodable(value: object) -> None:
    """Fail unless everything in a value can be written as UTF-8 and as JSON."""
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, float):
        json.dumps(value, allow_nan=False)
    elif isinstance(value, Enum):
        pass
    elif isinstance(value, Mapping):
        check_encodable([*value, *value.values()])
    elif isinstance(value, list | tuple | set | frozenset):
        for entry in value:
            check_encodable(entry)
    elif is_dataclass(value):
        check_encodable([getattr(value, field.name) for field in fields(value)])


def check_printable(text: str) -> None:
    """Fail if a terminal would execute something in a text."""
    assert not [c for c in text if (ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0]


def json_of(data: bytes) -> JsonValue:
    """Return an input as JSON; raise NotJson for others."""
    try:
        value: JsonValue = json.loads(data)
    except (ValueError, RecursionError):
        raise NotJson from None
    return value
