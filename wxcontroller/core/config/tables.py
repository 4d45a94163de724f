"""The one kind of table for all that can be set: settings and their tables, limits, options of accounts.

A row has a name, a kind of value with its range and unit, a default and a meaning. From the rows come the checks of
files, requests and environments, the reference, the manual pages, the settings file as shipped and the page's forms.

A kind is a function of a value of a settings file, and its method ``check`` one of a text in a request or an
environment. Both return the value as it is stored, or raise ValueError with the requirement. A file is read row by
row, so that all its problems are found with their keys. The kinds need no library: each account's process has them.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from wxcontroller.core.errors import WxError, reason_of
from wxcontroller.core.text.templates import N_, Text

T = TypeVar("T")
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?")


@dataclass(frozen=True, slots=True)
class Number:
    """A number, or an integer if it is ``whole``, in a ``unit``: seconds, days or bytes; "" for a count."""

    low: float
    high: float
    unit: str
    whole: bool

    def __call__(self, value: object) -> float:
        right = isinstance(value, int if self.whole else int | float) and not isinstance(value, bool)
        if isinstance(value, int | float) and right and self.low <= value <= self.high:
            return value
        if self.whole:
            must = N_("must be an integer from {low} to {high}")
        elif self.unit == "seconds":
            must = N_("must be a number of seconds from {low} to {high}")
        else:
            must = N_("must be a number from {low} to {high}")
        raise ValueError(Text(must, low=shown(self.low), high=shown(self.high)))

    def number(self, text: str) -> float:
        """Return the number that a text is. Raises ValueError as for a value."""
        if not _NUMBER.fullmatch(text):
            return self(None)
        return self(float(text) if "." in text else int(text))

    def check(self, text: str) -> str:
        number = self.number(text)
        return str(number) if self.whole else text


def integer(low: int, high: int, unit: str = "") -> Number:
    return Number(low, high, unit, whole=True)


def number(low: float, high: float, unit: str = "") -> Number:
    return Number(low, high, unit, whole=False)


def seconds(low: float, high: float) -> Number:
    return Number(low, high, "seconds", whole=False)


class Switch:
    """True or false; as a text, 0 or 1."""

    words = "0", "1"

    def __call__(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError(Text("must be true or false"))
        return value

    def check(self, text: str) -> str:
        word = text.strip().lower()
        if word in ("1", "true", "yes", "on"):
            return "1"
        if word in ("", "0", "false", "no", "off"):  # empty: as in the original
            return "0"
        raise ValueError(Text("must be 0 or 1"))


SWITCH = Switch()


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    def __call__(self, value: object) -> str:
        """Return the word itself, which may be a member of an enum."""
        if value not in self.words:
            raise ValueError(Text("must be one of {allowed}", allowed=", ".join(f'"{one}"' for one in self.words)))
        return self.words[self.words.index(str(value))]

    def check(self, text: str) -> str:
        if text not in self.words:
            raise ValueError(Text("must be one of {allowed}", allowed=", ".join(self.words)))
        return text


@dataclass(frozen=True, slots=True)
class Word:
    """A text of a pattern, or any, which is stored as ``made`` of it.

    ``must`` is the template of the requirement, where ``{item}`` is the value; ``made`` may raise one that is more
    exact.
    """

    must: str = ""
    pattern: str = ""
    made: Callable[[str], Any] = str

    def __call__(self, value: object, must: str = "") -> Any:
        try:
            if isinstance(value, str) and (not self.pattern or re.fullmatch(self.pattern, value)):
                return self.made(value)
        except ValueError as problem:
            if problem.args and isinstance(problem.args[0], Text):
                raise
        must = self.must or must
        # Other values may be secret, and texts are also sent as data.
        raise ValueError(Text(must, item=f"{str(value)[:64]!r}") if "{item}" in must else Text(must))

    def check(self, text: str) -> str:
        return str(self(text))


@dataclass(frozen=True, slots=True)
class Words:
    """From ``least`` to ``most`` words, as a list; as a text, separated by ``separator``.

    An item without a requirement of its own has that of the list.
    """

    must: str
    item: Word
    least: int = 0
    most: int = 1 << 16
    separator: str = ","

    def __call__(self, value: object) -> tuple[Any, ...]:
        found = value if isinstance(value, list) else [None]
        if not self.least <= len(found) <= self.most or not all(isinstance(each, str) for each in found):
            raise ValueError(Text(self.must))
        return tuple(self.item(each, self.must) for each in found)

    def check(self, text: str) -> str:
        found = [part.strip() for part in text.split(self.separator) if part.strip()]
        return self.separator.join(dict.fromkeys(map(str, self(found))))


def web_address(value: str) -> str:
    """Accept an absolute http or https URL, or nothing."""
    if not value:
        return ""
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        (parts.hostname or "").encode("idna")  # not a possible host name
    except ValueError:
        valid = False
    if not valid or any(c.isspace() for c in value):
        raise ValueError(Text("must be an absolute http:// or https:// URL"))
    return value


# The host and port of a URL.
AUTHORITY = r"([0-9A-Za-z.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?"
URL = Word(N_('must be a URL in quotes, or ""'), made=web_address)
FILE = Word(
    N_('must be an absolute path in quotes, the name of a credential of the unit, or ""'), r"/.+|[0-9A-Za-z._-]*"
)


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of a table. ``key`` is its name in files; ``origin``, a member of an enum, says who sets it."""

    name: str
    kind: Any
    default: Any
    meaning: str
    key: str = ""
    origin: Any = None

    @property
    def unit(self) -> str:
        """The unit of its value: seconds, days or bytes; "" for a count and for other values."""
        return str(getattr(self.kind, "unit", ""))

    @property
    def words(self) -> tuple[str, ...]:
        """All texts that it can have, where they are few: 0 and 1 of a switch; () for others."""
        return tuple(getattr(self.kind, "words", ()))


def row(default: T, kind: Callable[[Any], object], meaning: str = "", key: str = "", origin: object = None) -> T:
    """Make a field of a dataclass a row of its table."""
    metadata = {"kind": kind, "meaning": meaning, "key": key, "origin": origin}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)  # type: ignore[return-value]  # an empty one
    return field(default=default, metadata=metadata)


def rows(of: Any) -> dict[str, TableRow]:
    """Return the rows of a table, a dataclass, by key."""
    found = [
        TableRow(each.name, default=each.default, **{**each.metadata, "key": each.metadata["key"] or each.name})
        for each in fields(of)
        if each.metadata
    ]
    return {each.key: each for each in found}


# -- reading tables


@dataclass(frozen=True, slots=True)
class KeyProblem:
    """A problem of the table ``place``, at the first of ``keys`` that is set; "" is the table as a whole."""

    reason: Text
    keys: tuple[str, ...] = ("",)
    remedy: Text = Text(N_("wxcontroller.toml(5) explains each key"))
    place: str = ""

    @property
    def text(self) -> Text:
        return Text("{key} {problem}", key=self.place, problem=self.reason) if self.place else self.reason

    def within(self, table: str) -> "KeyProblem":
        """Return it as a problem of the table around its own."""
        place, *keys = (f"{table}.{key}" if key else table for key in (self.place, *self.keys))
        return replace(self, keys=tuple(keys), place=place)


class Wrong(ValueError):
    """A table with problems."""

    def __init__(self, problems: list[KeyProblem]) -> None:
        super().__init__(problems[0].text)
        self.problems = problems


class CheckedTable:
    """A table with requirements on several of its values."""

    __slots__ = ()

    def problems(self) -> Iterator[KeyProblem]:
        """Yield what is wrong with the values together."""
        yield from ()


def pair(table: object, one: str, other: str) -> Iterator[KeyProblem]:
    """Yield the problem that only one of two values is set."""
    if bool(getattr(table, one)) != bool(getattr(table, other)):
        yield KeyProblem(Text("needs both {one} and {other}, or neither", one=one, other=other), (one, other))


def entries(content: object, must: Text, read: Callable[[str, Any], Mapping[str, T]]) -> dict[str, T]:
    """Read a table of a file, entry by entry. Raises Wrong with the problems of all, ValueError if it is no table."""
    if not isinstance(content, dict):
        raise ValueError(must)
    found, problems = dict[str, T](), list[KeyProblem]()
    for key, value in content.items():
        try:
            found |= read(key, value)
        except Wrong as wrong:
            problems += [problem.within(key) for problem in wrong.problems]
        except WxError as problem:  # names the key itself
            problems.append(KeyProblem(problem.text, (key,), problem.remedy_text))
        except ValueError as problem:
            problems.append(KeyProblem(reason_of(problem)).within(key))
    if problems:
        raise Wrong(problems)
    return found


@dataclass(frozen=True, slots=True)
class Table:
    """A table in a file, as a kind: its values make a dataclass of rows. ``name`` is how the file names it."""

    of: type
    name: str

    def __call__(self, content: object, **more: object) -> Any:
        """Return the dataclass; ``more`` are fields that are no rows. Raises as ``entries``."""
        known = rows(self.of)

        def read(key: str, value: object) -> Mapping[str, Any]:
            if key not in known:
                raise ValueError(Text("is not a known key"))
            return {known[key].name: known[key].kind(value)}

        found = entries(content, Text("must be a table, as [{table}]", table=self.name), read)
        made = self.of(**found, **more)
        if isinstance(made, CheckedTable) and (problems := list(made.problems())):
            raise Wrong(problems)
        return made


def shown(number: float) -> str:
    """Return a number as people and files write it: never with an exponent."""
    return str(int(number)) if number == int(number) else f"{number:.6f}".rstrip("0")
