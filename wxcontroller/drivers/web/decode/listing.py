"""Answers with one long list, read an entry at a time.

An answer about 50 groups of 500 holds 25,000 people: read at once it would keep the account's API waiting, and create
objects for everything, most of which are discarded (5.3, 5.4).
"""

import json
import re
from collections.abc import Iterator

from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer
from wxcontroller.core.text.templates import Text
from wxcontroller.drivers.connection.failures import UnreadableResponse
from wxcontroller.drivers.connection.transport import LineResponse
from wxcontroller.drivers.web.decode.answers import accept, text_of, without_halves

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


class Listing:
    """An answer's entries, to be iterated over once.

    Iterating raises WeChatError for an invalid answer, for Ret ≠ 0, and, when entries were given already, for an
    answer that turns out to be damaged. ``seq`` and ``count`` are complete after the last entry.
    """

    def __init__(self, answer: LineResponse, key: str) -> None:
        self._answer = answer
        self._key = key
        self._content = ""
        self._at = 0
        self._rest: JsonObject = {}
        self.count = 0

    @property
    def seq(self) -> int:
        """Return the parameter for the next page, 0 after the last one."""
        return integer(self._rest.get("Seq"))

    def __iter__(self) -> Iterator[JsonObject]:
        self._content = text_of(self._answer)
        try:
            yield from self._object()
        except (ValueError, RecursionError):
            raise UnreadableResponse(self._answer.call, Text("the answer is not JSON")) from None
        finally:
            self._content = ""
        accept(self._answer.call, self._rest)

    def _object(self) -> Iterator[JsonObject]:
        self._expect("{")
        while self._next() != "}":
            name = self._value()
            if not isinstance(name, str):
                raise ValueError
            self._expect(":")
            if name == self._key and self._next() == "[":
                if "BaseResponse" in self._rest:  # a refusal has no entries worth reading
                    accept(self._answer.call, self._rest)
                yield from self._array()
            else:
                self._rest[name] = self._value()
            if self._next() == ",":
                self._at += 1
                if self._next() != '"':
                    raise ValueError
            elif self._next() != "}":
                raise ValueError
        self._at += 1
        if self._next():
            raise ValueError

    def _array(self) -> Iterator[JsonObject]:
        self._expect("[")
        while self._next() != "]":
            entry = self._value()
            if isinstance(entry, dict):
                self.count += 1
                yield entry
            if self._next() == ",":
                self._at += 1
                if self._next() == "]":
                    raise ValueError
            elif self._next() != "]":
                raise ValueError
        self._at += 1

    def _next(self) -> str:
        """Return the next character that is not space, "" at the end."""
        match = _SPACE.match(self._content, self._at)
        self._at = match.end() if match else self._at
        return self._content[self._at : self._at + 1]

    def _expect(self, mark: str) -> None:
        if self._next() != mark:
            raise ValueError
        self._at += 1

    def _value(self) -> JsonValue:
        self._next()
        start = self._at
        value: JsonValue
        value, self._at = _DECODER.raw_decode(self._content, start)
        return without_halves(value, self._content, start, self._at)


def contact_page_of(answer: LineResponse) -> Listing:
    """Read webwxgetcontact."""
    return Listing(answer, "MemberList")


def batch_of(answer: LineResponse) -> Listing:
    """Read webwxbatchgetcontact."""
    return Listing(answer, "ContactList")
