"""Decoding of what an account or another host answers, into our own types: the only caller of msgspec's decoders.

Nothing of an answer is passed on as it was received. It is decoded into a ``WireRecord``, whose type lists what is
known, and written again from it. So unknown fields end here, a repeated key has one meaning for all readers, and an
answer cannot contain more than its type allows:

- An answer with a wrong type, an invalid word or a number beyond 64 bits is refused. msgspec itself accepts integers
  of 4,300 digits.
- JSON without a type, as the report of an event, is limited by ``check_free`` to the levels and digits that
  ``jsontypes.read_json`` allows. msgspec itself accepts about 1,000 levels.
- The time to decode grows with the number of values, which is bounded before.
- Halves of characters, which a peer on WeChat can send and an account writes as escapes, become U+FFFD: msgspec
  refuses them.

Processes of accounts do not import this module: msgspec would cost each of them memory.
"""

import asyncio
import re
from enum import Enum
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec
from msgspec import UnsetType

from wxcontroller.core.jsontypes import (
    JSON_DEPTH,
    JSON_DIGITS,
    InterruptibleDecoder,
    JsonObject,
    one_line,
    read_json,
    values_in,
)

# Of an answer: a page of the largest history. Its values are decoded in 50 ms at most.
ANSWER_BYTES, ANSWER_VALUES = 4 << 20, 200_000
# Answers with more values are decoded in a thread (10 ms), and above the second limit by a decoder that lets other
# threads run.
_FEW_VALUES, _MANY_VALUES = 20_000, 200_000
_REASON_LENGTH = 200
_BEYOND = 10**JSON_DIGITS
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_HALVES = re.compile(
    rb"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)

# A whole number that any reader can hold.
Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Number = Whole | float
# A word of a closed set, which a later version may extend. Programs choose by it, so it must not be any text.
Word = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{0,64}\Z")]
# JSON of any form, in a FreeRecord.
Free = dict[str, Any]
T = TypeVar("T")
M = TypeVar("M")


class Presence(Enum):
    """What programs of this version do with a field, while its type accepts what others do."""

    ALWAYS = "never left out"
    NOT_NULL = "never null"
    UNDESCRIBED = "not for callers, or described where it is used"


# Fields of records that are passed on. What has no such mark may be left out where its type is a choice with UNSET.
Sent = Annotated[T | UnsetType, Presence.ALWAYS]
SentValue = Annotated[T | None | UnsetType, Presence.ALWAYS, Presence.NOT_NULL]
Maybe = Annotated[T | None | UnsetType, Presence.NOT_NULL]


def given(value: T | UnsetType | None, missing: M) -> T | M:
    """Return the value of a field, or another one where it is null or was left out."""
    return missing if value is None or isinstance(value, UnsetType) else value


class Undecodable(ValueError):
    """An answer that is not of the expected type; the message is a short reason on one line."""


class WireRecord(msgspec.Struct, kw_only=True):
    """A record that crosses processes.

    ``UNSET`` is the value of a field that the sender left out, as older versions do; it is left out again.
    """

    holds_reports: ClassVar[bool] = False  # it may be as large as the largest event
    schema_name: ClassVar[str] = ""  # in the OpenAPI document; "": it is described where it is used
    in_pieces: ClassVar[bool] = False  # its entries stay bytes, and are decoded one by one

    def locate(self, account: str) -> None:
        """Add what a reader needs and the sender may not say: the account's name, and paths made from it."""


class FreeRecord(WireRecord, kw_only=True):
    """A record with fields of type Free, which ``free`` names."""

    free: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for name in self.free:
            check_free(getattr(self, name))


def decode(raw: bytes, kind: type[T], values: int = ANSWER_VALUES) -> T:
    """Return the record that bytes are. Raises Undecodable."""
    count = values_in(raw)
    if count > values:
        raise Undecodable("has too many values")
    if _HALF.search(raw):
        raw = _HALVES.sub(lambda found: found[1] or b"\\ufffd", raw)
    try:
        if count > _MANY_VALUES and not getattr(kind, "in_pieces", False):
            return msgspec.convert(read_json(raw, decoder=InterruptibleDecoder), kind)
        return msgspec.json.decode(raw, type=kind)
    except RecursionError:
        raise Undecodable("is nested too deeply") from None
    except UnicodeDecodeError:
        raise Undecodable("is not UTF-8") from None
    except (msgspec.MsgspecError, ValueError) as problem:
        raise Undecodable(one_line(problem.args[0] if problem.args else "is no JSON")[:_REASON_LENGTH]) from None


async def decode_aside(raw: bytes, kind: type[T], values: int = ANSWER_VALUES) -> T:
    """Return the record that bytes are, without holding up this thread for long. Raises Undecodable."""
    if values_in(raw) <= _FEW_VALUES:
        return decode(raw, kind, values)
    return await asyncio.to_thread(decode, raw, kind, values)


def encode(record: object) -> bytes:
    """Return a record as JSON."""
    return msgspec.json.encode(record)


def as_object(record: WireRecord) -> JsonObject:
    """Return a record as a JSON object, for code that is not typed yet."""
    found: JsonObject = msgspec.to_builtins(record)
    return found


def check_free(value: object) -> None:
    """Check JSON without a type. Raises ValueError when it is too deep to be walked over, or has too long numbers."""
    level, depth = [value], 0
    while level:
        inner: list[object] = []
        for each in level:
            if type(each) is dict:
                inner.extend(each.values())
            elif type(each) is list:
                inner.extend(each)
            elif type(each) is int and not -_BEYOND < each < _BEYOND:
                raise ValueError("has a number that is too long")
        depth += bool(inner)
        if depth > JSON_DEPTH:
            raise ValueError("is nested too deeply")
        level = inner
