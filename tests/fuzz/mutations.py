"""Inputs for decoders: seeds with a few changes, by bytes or by the structure of JSON."""

import json
import re
from collections.abc import Sequence
from random import Random
from typing import Any

_LONGEST = 1 << 14
# Texts that break parsers, whatever they parse.
_TOKENS = [
    text.encode("utf-8", "surrogatepass")
    for text in (
        *(
            "",
            "0",
            "-1",
            "--1",
            "1e999",
            "-0",
            "00",
            "1_0",
            "NaN",
            "9" * 25,
            "9" * 5000,
            "255",
            "65536",
            "4294967296",
        ),
        *("\x00", "\x1b[2J", "\r\n", "\n", "\t", " ", "\u2028", "\ufeff", "\U0001f600", "\x85", "\ud800", "\\ud800"),
        *(
            "\\u0000",
            "٣",
            "²",
            "一",
            "İ",
            "%",
            "%00",
            "%ff",
            "%2e%2e",
            "+",
            "&",
            "=",
            ";",
            ",",
            ":",
            "//",
            "../",
            "\\",
        ),
        *('"', "'", "$", "@", "@@", "[", "]", "{", "}", "<", ">", "<!--", "<![CDATA[", "]]>", "&lt;", "&gt;", "&#0;"),
        *("&amp;", "&#xd800;", "<!DOCTYPE a [<!ENTITY b 'c'>]>", "null", "true", "[]", "{}", "http://", "https://["),
        *("http://[::1]:99999/", "//127.1", "javascript:", "127.0.0.1", "localhost", "169.254.169.254", "xn--"),
        *("[::ffff:10.0.0.1]", "a" * 300),
    )
]
_VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1 << 31, 1 << 64, 10**400, 0.5, -0.0, 1e308, "", "0", "-1", "\x00", "\ud800", "@"),
    *("@@a", "&lt;msg&gt;", "a" * 5000, [], {}, [[]], {"": ""}, [None, 1, "a", {}, []]),
]
_FIELD = re.compile(rb"[^\"'<>&;,=:/ \r\n{}\[\]()]+")


def changed(chance: Random, seeds: Sequence[tuple[bytes, ...]]) -> tuple[bytes, ...]:
    """Return a seed with one to four changes."""
    parts = list(chance.choice(seeds))
    for _ in range(chance.choice((1, 1, 1, 2, 2, 4))):
        at = chance.randrange(len(parts))
        change = chance.choice((_json_changed, _bytes_changed))
        parts[at] = change(chance, parts[at], chance.choice(seeds)[at])[:_LONGEST]
    return tuple(parts)


def stretched(chance: Random, seeds: Sequence[tuple[bytes, ...]], longest: int) -> tuple[bytes, ...]:
    """Return a seed in which a piece is repeated up to a total length."""
    parts = list(chance.choice(seeds))
    at = chance.randrange(len(parts))
    begin, end = _slice(chance, parts[at])
    piece = chance.choice((parts[at][begin:end], chance.choice(_TOKENS))) or b" "
    parts[at] = parts[at][:begin] + piece * ((longest - len(parts[at])) // len(piece)) + parts[at][end:]
    return tuple(parts)


def _bytes_changed(chance: Random, data: bytes, other: bytes) -> bytes:
    """Replace a piece or insert before it: other bytes, a piece of another seed, or the piece repeatedly."""
    begin, end = _slice(chance, data)
    match chance.choice(("token", "bytes", "repeat", "splice", "cut")):
        case "token":
            piece = chance.choice(_TOKENS)
        case "bytes":
            piece = chance.randbytes(chance.randint(1, 4))
        case "repeat":
            piece = data[begin:end] * chance.choice((2, 10, 1000))
        case "splice":
            first, last = _slice(chance, other)
            piece = other[first:last]
        case _:
            return data[:begin] + chance.choice((b"", data[end:]))
    return data[:begin] + piece + data[chance.choice((begin, end)) :]


def _slice(chance: Random, data: bytes) -> tuple[int, int]:
    """Return begin and end of a piece: a field between marks of a syntax, or any bytes."""
    at = chance.randint(0, len(data))
    if chance.random() < 0.5 and (match := _FIELD.search(data, at)):
        return match.span()
    return at, min(len(data), at + chance.choice((1, 4, 30, 200)))


def _json_changed(chance: Random, data: bytes, other: bytes) -> bytes:
    """Change a value somewhere in JSON."""
    try:
        value: Any = json.loads(data)
    except (ValueError, RecursionError):
        return _bytes_changed(chance, data, other)
    top, holder = value, None
    key: Any = None
    while isinstance(value, dict | list) and value and (holder is None or chance.random() < 0.75):
        key = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
        holder, value = value, value[key]
    if holder is None:
        return _bytes_changed(chance, data, other)
    match chance.choice(("value", "delete", "deep", "type", "text")):
        case "delete":
            del holder[key]
        case "deep":
            for _ in range(chance.choice((1, 30, 200))):
                value = [value]
            holder[key] = value
        case "type":
            holder[key] = [value] if isinstance(value, str) else json.dumps(value)
        case "text" if isinstance(value, str):
            text = _bytes_changed(chance, value.encode("utf-8", "surrogatepass"), other)
            holder[key] = text.decode("utf-8", "surrogateescape")
        case _:
            holder[key] = chance.choice(_VALUES)
    try:
        return json.dumps(top, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):  # a number of too many digits, or too deep
        return data
