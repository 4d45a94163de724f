"""Locates the members of a JSON body without decoding it.

A body may be 64 MiB of one string, or of ``[],[],…``, which json.loads would turn into gigabytes. So patterns find
the members of the outermost object, which is all that parameters need: nested values are refused unread.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from typing import TypeAlias

Body: TypeAlias = bytes | mmap

_SPACE = rb"[ \t\r\n]*+"
_NOTHING = re.compile(_SPACE + rb"(?:null|\{" + _SPACE + rb"\})?" + _SPACE + rb"\Z")
_BEGIN = re.compile(rb"(?:\xef\xbb\xbf)?" + _SPACE + rb"\{" + _SPACE)
_COLON = re.compile(_SPACE + rb":" + _SPACE)
_PLAIN = re.compile(rb"(-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|true|false)|(null)|([\[{])")
_NEXT = re.compile(_SPACE + rb"([,}])" + _SPACE)
# A part of a string of some hundred kilobytes at most: other threads wait while a pattern is matched.
_PART = re.compile(rb'[^"\\\x00-\x1f]{0,262144}+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]{0,64}+){0,4096}+')
# The same with whole escapes, and no first half of a pair of surrogates without its second one.
_PIECE = re.compile(rb"(?s)(?:[^\\]|\\u[dD][89abAB]..\\u....|\\u....|\\.){1,65536}+")
# Escapes of UTF-16 in a row are decoded together: a pair of surrogates is one character.
_ESCAPES = re.compile(rb"(?:\\u[0-9a-fA-F]{4})+|\\.")
_SHORT = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


class NotAnObject(ValueError):
    """A body that is not a JSON object."""


class NestedValue(ValueError):
    """A member whose value is an array or an object; ``key`` is its name."""

    def __init__(self, key: bytes) -> None:
        super().__init__(key)
        self.key = key


@dataclass(frozen=True, slots=True)
class JsonMember:
    """One member of the object: its name, where it begins and ends, and where the text of its value does.

    ``quoted``: the value is a string, which may hold escapes. ``null``: it is null.
    """

    key: bytes
    start: int
    end: int
    value: tuple[int, int]
    quoted: bool = False
    null: bool = False


def members(body: Body) -> Iterator[JsonMember]:
    """Yield the members of the object; an empty body and ``null`` have none.

    Raises NotAnObject and NestedValue, also after some members.
    """
    if _NOTHING.match(body):
        return
    at = matched(_BEGIN, body, 0).end()
    while True:
        member = _member(body, at)
        yield member
        following = matched(_NEXT, body, member.end)
        at = following.end()
        if following[1] == b"}":
            break
    if at < len(body):
        raise NotAnObject


def spans_without(body: Body, key: bytes) -> list[tuple[int, int]]:
    """Return the parts of a body, from and to, that are left without the members of this name. Raises as members."""
    found = list(members(body))
    kept = [index for index, member in enumerate(found) if member.key != key]
    if len(kept) == len(found):
        return [(0, len(body))]
    # Each with the comma behind it, but for the last.
    ends = [found[index].end if index == kept[-1] else found[index + 1].start for index in kept]
    spans = [(found[index].start, end) for index, end in zip(kept, ends, strict=True)]
    return [(0, found[0].start), *spans, (found[-1].end, len(body))]


def pieces(body: Body, start: int, end: int) -> Iterator[bytes]:
    """Yield the text of a string that ``members`` has found there, in pieces of bounded size."""
    while start < end:
        piece = matched(_PIECE, body, start, end)
        yield decoded(piece[0])
        start = piece.end()


def decoded(raw: bytes) -> bytes:
    """Return the text of a string with its escapes resolved; a lone surrogate makes it invalid UTF-8."""
    return _ESCAPES.sub(resolved, raw)


def resolved(escapes: re.Match[bytes]) -> bytes:
    found = escapes[0]
    if not found.startswith(b"\\u"):
        return _SHORT.get(found[1:], found[1:])
    units = bytes.fromhex(found.replace(b"\\u", b"").decode())
    return units.decode("utf-16-be", "surrogatepass").encode("utf-8", "surrogatepass")


def _member(body: Body, at: int) -> JsonMember:
    key_end = string_end(body, at)
    key = decoded(body[at + 1 : key_end - 1])
    value = matched(_COLON, body, key_end).end()
    if body[value : value + 1] == b'"':
        end = string_end(body, value)
        return JsonMember(key, at, end, (value + 1, end - 1), quoted=True)
    plain = matched(_PLAIN, body, value)
    if plain[3]:
        raise NestedValue(key)
    return JsonMember(key, at, plain.end(), plain.span(), null=plain[2] is not None)


def string_end(body: Body, at: int) -> int:
    """Return where the string that begins here ends, quotes included."""
    if body[at : at + 1] != b'"':
        raise NotAnObject
    part, at = at, at + 1
    while at > part:
        part, at = at, matched(_PART, body, at).end()
        if body[at : at + 1] == b'"':
            return at + 1
    raise NotAnObject


def matched(pattern: re.Pattern[bytes], body: Body, at: int, end: int | None = None) -> re.Match[bytes]:
    found = pattern.match(body, at, len(body) if end is None else end)
    if found is None:
        raise NotAnObject
    return found
