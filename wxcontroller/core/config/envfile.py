"""Environment files as systemd reads them (systemd.exec(5), EnvironmentFile=): quoting and reading back."""

import re
from enum import Enum, auto

from wxcontroller.core.errors import BadEnvironmentFile, BadOption
from wxcontroller.core.text.templates import N_, Text, in_file

# A variable and its name may have 128 KiB for the kernel (MAX_ARG_STRLEN), or the unit does not start.
FILE_VALUE_LENGTH = 100_000
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Inside double quotes systemd undoes a backslash before these four only.
_ESCAPED = '"\\`$'
_SPACE = " \t\r\n"


def printable(character: str) -> bool:
    """Return whether systemd takes a character in a value: neither control nor Unicode noncharacter."""
    code = ord(character)
    return not (code < 32 or 0x7F <= code < 0xA0 or 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE)


def quote(value: str) -> str:
    """Return ``value`` as a double-quoted word that systemd reads back as the same string.

    Raises BadOption for values no environment variable of a unit can hold: newlines, NUL and other control
    characters (systemd drops such assignments silently), invalid Unicode, and overlong values.
    """
    if len(value) > FILE_VALUE_LENGTH:
        raise BadOption(
            N_("a value has {count} characters, at most {most} are allowed"),
            N_("shorten it"),
            count=len(value),
            most=FILE_VALUE_LENGTH,
        )
    for character in value:
        if character != "\t" and not printable(character):
            raise BadOption(
                N_("a value contains the character U+{character}"),
                N_("remove line breaks, control characters and noncharacters"),
                character=f"{ord(character):04X}",
            )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadOption(N_("a value is not valid Unicode text"), N_("send percent-encoded UTF-8")) from None
    return '"' + "".join("\\" + c if c in _ESCAPED else c for c in value) + '"'


class _At(Enum):
    LINE = auto()
    COMMENT = auto()
    KEY = auto()
    BEFORE_VALUE = auto()
    VALUE = auto()
    SINGLE = auto()
    DOUBLE = auto()


def parse(content: str, origin: str = "environment file") -> dict[str, str]:
    """Read an environment file the way systemd does; the last assignment of a name wins.

    Lines without ``=`` and names that cannot be variables are passed over, as systemd does. Raises
    BadEnvironmentFile for an unclosed quote, naming ``origin``.
    """
    return _Reader(origin).read(content)


class _Reader:
    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.found: dict[str, str] = {}
        self.key = ""
        self.value = ""
        self.kept = 0  # length of the value up to its last character that is not trailing space

    def read(self, content: str) -> dict[str, str]:
        at = _At.LINE
        characters = iter(content)
        for c in characters:
            match at:
                case _At.LINE:
                    at = self._line_begins(c)
                case _At.COMMENT:  # a backslash at its end does not continue it (systemd ≥ 254)
                    if c == "\n":
                        at = _At.LINE
                case _At.KEY:
                    at = self._in_key(c)
                case _At.BEFORE_VALUE | _At.VALUE:
                    if c == "\\":
                        following = next(characters, "")
                        if following != "\n":
                            self._add(following)
                        at = _At.VALUE
                    else:
                        at = self._in_value(c, at)
                case _At.SINGLE:
                    at = _At.BEFORE_VALUE if c == "'" else self._quoted(c, at)
                case _At.DOUBLE:
                    if c == "\\":
                        following = next(characters, "")
                        if following in _ESCAPED:
                            self._add(following)
                        elif following != "\n":
                            self._add("\\" + following)
                    else:
                        at = _At.BEFORE_VALUE if c == '"' else self._quoted(c, at)
        if at in (_At.SINGLE, _At.DOUBLE):
            raise BadEnvironmentFile(
                in_file(self.origin, Text("the value of {key} has an unclosed quote", key=self.key)),
                N_("add the closing quote on the same line"),
            )
        if at in (_At.BEFORE_VALUE, _At.VALUE):
            self._store()
        return self.found

    def _line_begins(self, c: str) -> _At:
        if c in _SPACE:
            return _At.LINE
        if c in "#;":
            return _At.COMMENT
        self.key = c
        return _At.KEY

    def _in_key(self, c: str) -> _At:
        if c == "\n":
            return _At.LINE
        if c == "=":
            self.value, self.kept = "", 0
            return _At.BEFORE_VALUE
        self.key += c
        return _At.KEY

    def _in_value(self, c: str, at: _At) -> _At:
        if c == "\n":
            self._store()
            return _At.LINE
        if at is _At.BEFORE_VALUE:
            if c in _SPACE:
                return at
            if c == "'":
                return _At.SINGLE
            if c == '"':
                return _At.DOUBLE
        self.value += c
        if c not in _SPACE:
            self.kept = len(self.value)
        return _At.VALUE

    def _quoted(self, c: str, at: _At) -> _At:
        self._add(c)
        return at

    def _add(self, text: str) -> None:
        self.value += text
        self.kept = len(self.value)

    def _store(self) -> None:
        key = self.key.strip(_SPACE)
        if _KEY.fullmatch(key):
            self.found[key] = self.value[: self.kept]
