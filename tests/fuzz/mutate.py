"""Turns an input into another one: by bytes, by the structure of JSON, and by what has broken parsers before.

Everything comes from one ``random.Random``: the same seed gives the same inputs.
"""

import json
import random
from collections.abc import Sequence
from typing import Any

from wxcontroller.core.jsontypes import JsonValue

LONGEST = 16 * 1024
# What parsers stumble over, whatever they parse.
_TOKENS = tuple(
    text.encode("utf-8", "surrogatepass")
    for text in (
        *("", "0", "-1", "--1", "1e999", "-0", "00", "0x10", "1_0", "NaN", "Infinity", "9" * 25, "9" * 5000, "1.5"),
        *("\x00", "\x1b[2J", "\r\n", "\n", "\r", "\t", " ", "\u2028", "\ufeff", "\ufffe", "\U0001f600", "\x85"),
        *("\ud800", "\udfff", "\\ud800", "\\u0000", "٣", "²", "一", "İ", "ß"),
        *r"% %00 %ff %c0%80 %2e%2e + & = ; , : / // ../ \ \\ ? #".split(),
        *('"', "'", "`", "$", "@", "@@", "[", "]", "{", "}", "(", ")", "<", ">", "<!--", "-->", "<![CDATA[", "]]>"),
        *("&lt;", "&gt;", "&amp;", "&#0;", "&#x110000;", "&#xd800;", "<br/>", "<!DOCTYPE a [<!ENTITY b 'c'>]>", "/>"),
        *("null", "true", "[]", "{}", '""', "http://", "https://[", "http://[::1]:99999/", "//127.1", "javascript:"),
        *("127.0.0.1", "localhost", "::1", "0.0.0.0", "169.254.169.254", "[::ffff:10.0.0.1]", "xn--", "a" * 300),
    )
)
_NUMBERS: list[JsonValue] = [
    *(None, True, False, 0, -1, 1, 1 << 31, 1 << 63, 1 << 64, 10**400, -(10**30), 0.5, -0.0, 1e308, 1e22)
]
_TEXTS: list[JsonValue] = [
    *("", "0", "-1", " ", "\x00", "\ud800", "a" * 5000, "@", "@@a", "x@chatroom", "<", "&lt;msg&gt;", "1e999", "９")
]
_HOLDERS: list[JsonValue] = [[], {}, [[]], [{}], {"": ""}, {"UserName": "@a"}, [None, 1, "a", {}, []]]
_VALUES = [*_NUMBERS, *_TEXTS, *_HOLDERS]
_WHERE_TEXT_ENDS = b"\"'<>&;,=:/ \r\n{}[]()"


class Mutator:
    """Makes inputs out of ``seeds`` and of each other."""

    def __init__(self, seeds: Sequence[bytes], chance: random.Random, tokens: Sequence[bytes] = ()) -> None:
        self.seeds = list(seeds) or [b""]
        self._chance = chance
        self._tokens = [*tokens, *_TOKENS]

    def next(self) -> bytes:
        """Return another input, from a seed."""
        return self.changed(self._chance.choice(self.seeds))

    def changed(self, data: bytes, longest: int = LONGEST) -> bytes:
        """Return an input that is like ``data``, at most ``longest`` bytes of it."""
        for _ in range(self._chance.choice((1, 1, 1, 2, 2, 3, 5))):
            data = self._structured(data) if self._chance.random() < 0.5 else self._bytewise(data)
        return data[:longest]

    def stretched(self, longest: int) -> bytes:
        """Return a seed in which a piece stands thousands of times: it takes a bad parser longer than it is."""
        data = self._chance.choice(self.seeds)
        at, end = self._slice(data)
        piece = (self._chance.choice(self._tokens) if self._chance.random() < 0.4 else data[at:end]) or b" "
        return data[:at] + piece * ((longest - len(data)) // len(piece)) + data[end:]

    # -- bytes

    def _bytewise(self, data: bytes) -> bytes:
        chance = self._chance
        at, end = self._slice(data)
        piece = data[at:end]
        match chance.randrange(12):
            case 0:  # cut out
                return data[:at] + data[end:]
            case 1:  # end early
                return data[:at]
            case 2:  # again
                return data[:end] + piece + data[end:]
            case 3:  # many times: what takes a parser long
                times = chance.choice((2, 10, 100, 1000, 10_000))
                return data[:at] + piece * min(times, LONGEST // max(1, len(piece))) + data[end:]
            case 4:
                return data[:at] + bytes(chance.randrange(256) for _ in range(chance.randint(1, 4))) + data[end:]
            case 5:  # one bit
                if not data:
                    return b"\x00"
                at = chance.randrange(len(data))
                return data[:at] + bytes((data[at] ^ (1 << chance.randrange(8)),)) + data[at + 1 :]
            case 6 | 7 | 8:
                return data[:at] + chance.choice(self._tokens) + data[chance.choice((at, end)) :]
            case 9:  # a piece of something else
                other = chance.choice(self.seeds)
                begin, stop = self._slice(other)
                return data[:at] + other[begin:stop] + data[end:]
            case 10:  # a piece elsewhere
                to = chance.randint(0, len(data))
                return data[:to] + piece + data[to:]
            case _:  # a number
                return self._number(data)

    def _slice(self, data: bytes) -> tuple[int, int]:
        """Return begin and end of a piece: of bytes, or from one mark of the syntax to another."""
        chance = self._chance
        if not data:
            return 0, 0
        at = chance.randrange(len(data))
        if chance.random() < 0.5:
            return at, min(len(data), at + chance.choice((1, 1, 2, 4, 8, 30, 200)))
        while at and data[at - 1] not in _WHERE_TEXT_ENDS:
            at -= 1
        end = at
        marks = chance.choice((0, 1, 2, 4))
        while end < len(data) and end - at < 2000:
            if data[end] in _WHERE_TEXT_ENDS:
                if not marks:
                    break
                marks -= 1
            end += 1
        return at, end

    def _number(self, data: bytes) -> bytes:
        digits = [at for at, byte in enumerate(data) if 48 <= byte < 58]
        if not digits:
            return data + b"1"
        at = end = self._chance.choice(digits)
        while end < len(data) and 48 <= data[end] < 58:
            end += 1
        number = self._chance.choice(
            (b"0", b"-1", b"1", b"255", b"65536", b"4294967296", b"9" * 19, b"1e5", b"99999")
        )
        return data[:at] + number + data[end:]

    # -- JSON

    def _structured(self, data: bytes) -> bytes:
        try:
            value: JsonValue = json.loads(data)
        except (ValueError, RecursionError):
            return self._bytewise(data)
        place = self._place(value)
        if place is None:
            return self._bytewise(data)
        self._alter(*place, value)
        try:
            return json.dumps(value, ensure_ascii=self._chance.random() < 0.3).encode("utf-8", "surrogatepass")
        except (ValueError, RecursionError):
            return data

    def _place(self, value: Any) -> tuple[Any, Any] | None:
        """Return a place somewhere in a value, as what holds it and its key there; None when it has no inside."""
        chance = self._chance
        place: tuple[Any, Any] | None = None
        while isinstance(value, dict | list) and value and (place is None or chance.random() < 0.75):
            key = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
            place, value = (value, key), value[key]
        return place

    def _alter(self, holder: Any, key: Any, top: JsonValue) -> None:
        chance, old = self._chance, holder[key]
        new: JsonValue = chance.choice(_VALUES)
        match chance.randrange(8):
            case 0 | 1:
                pass
            case 2:
                del holder[key]
                return
            case 3:  # what stands elsewhere
                other = self._place(top)
                new = json.loads(json.dumps(other[0][other[1]] if other else None))  # a copy: it must not hold itself
            case 4:  # deep
                new = old
                for _ in range(chance.choice((1, 30, 200))):
                    new = [new] if chance.random() < 0.5 else {"a": new}
            case 5:  # the same as another type
                others: list[JsonValue] = [len(old), [old], {old[:20]: old}] if isinstance(old, str) else [str(old)]
                new = chance.choice(others)
            case _:
                if isinstance(old, str):
                    changed = self._bytewise(old.encode("utf-8", "surrogatepass"))
                    new = changed.decode("utf-8", "surrogateescape")
        holder[key] = new
