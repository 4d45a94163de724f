"""Messages as data: a template, which is the msgid in the gettext catalogs, and named values.

A text is rendered where it is shown, in the reader's language: ``str`` gives English for the journal and for
programs, ``rendered`` is for wxctl, and the dashboard's i18n.js renders the JSON of ``as_json``. Values are never
translated, except values that are texts themselves. Rendered text is never parsed.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from wxcontroller.core.jsontypes import JsonObject, JsonValue, obj, one_line

Value: TypeAlias = "str | int | float | Path | Text"
# (template, plural or "", number) -> template in the reader's language
Translate: TypeAlias = Callable[[str, str, int], str]
_PLACE = re.compile(r"\{(\w+)\}")
# Nesting accepted from outside. Why an account is offline has five levels in its state file, and two more when it is
# shown; i18n.js of the dashboard has the same limit.
_MAX_DEPTH = 8
# Of a text from outside: it may repeat values, and contain texts in texts.
_MAX_CHARACTERS = 8000


def N_(template: str) -> str:  # noqa: N802 - gettext's name for it
    """Mark a template for xgettext, and return it unchanged."""
    return template


def NP_(template: str, plural: str) -> tuple[str, str]:  # noqa: N802
    """Mark a template with its plural for xgettext, and return both."""
    return template, plural


@dataclass(frozen=True, slots=True, init=False)
class Text:
    """A template with ``{name}`` placeholders, and the values for them.

    ``plural`` is the English template for any number but one, selected by the value ``n``; "" without plural forms. A
    placeholder without a value is not replaced. A template without values is not formatted, so it may contain braces.
    """

    template: str
    values: Mapping[str, Value]
    plural: str

    def __init__(self, template: str, plural: str = "", /, **values: Value) -> None:
        object.__setattr__(self, "template", template)
        object.__setattr__(self, "values", MappingProxyType(values))
        object.__setattr__(self, "plural", plural)

    def __str__(self) -> str:
        return self.rendered(english)

    def __hash__(self) -> int:
        return hash((self.template, self.plural))

    def __bool__(self) -> bool:
        return bool(self.template)

    def rendered(self, translate: Translate) -> str:
        """Return the text in the language of ``translate``, with values filled in."""
        number = self.values.get("n", 1)
        template = translate(self.template, self.plural, number if isinstance(number, int) else 1)

        def value_of(place: re.Match[str]) -> str:
            value = self.values.get(place[1])
            if isinstance(value, Text):
                return value.rendered(translate)
            return place[0] if value is None else str(value)

        return _PLACE.sub(value_of, template) if self.values else template

    def as_json(self) -> JsonObject:
        """Return ``{"template", "values"}``, plus ``plural`` if there is one; texts among the values likewise."""
        found: JsonObject = {
            "template": self.template,
            "values": {name: plain(value) for name, value in self.values.items()},
        }
        return {**found, "plural": self.plural} if self.plural else found


NOTHING = Text("")


def verbatim(words: str) -> Text:
    """Return a text that no catalog translates: another program's words."""
    return Text("{words}", words=words)


def in_file(path: str | Path, problem: Text, key: str = "") -> Text:
    """Return a text about a file, or a key in it; readers that show both elsewhere take its value ``problem``."""
    place = {"key": key} if key else {}
    return Text("{file}: {problem}", file=path, problem=problem, **place)


def text_fields(**texts: Text) -> JsonObject:
    """Return two members for each text: ``NAME`` in English, and ``NAME_text`` to be rendered elsewhere, or null."""
    found: JsonObject = {}
    for name, each in texts.items():
        found[name] = str(each)
        found[f"{name}_text"] = each.as_json() if each else None
    return found


def text_in(container: JsonValue, name: str) -> Text:
    """Return a text that ``text_fields`` wrote; from an older program its English, verbatim."""
    found = obj(container)
    words = one_line(found.get(name))
    return text_from(found.get(f"{name}_text")) or (verbatim(words) if words else NOTHING)


def text_from(value: JsonValue, depth: int = _MAX_DEPTH) -> Text:
    """Read the JSON form, from any source. Invalid or overlong input gives an empty text."""
    found = obj(value)
    values: dict[str, Value] = {}
    for name, stored in obj(found.get("values")).items():
        if isinstance(stored, dict):
            values[name] = text_from(stored, depth - 1) if depth else ""
        elif isinstance(stored, str):
            values[name] = one_line(stored)
        elif isinstance(stored, int | float) and not isinstance(stored, bool):
            values[name] = stored
    read = Text(one_line(found.get("template")), one_line(found.get("plural")))
    object.__setattr__(read, "values", MappingProxyType(values))  # names from outside need not be keywords
    return read if length(read) <= _MAX_CHARACTERS else NOTHING


def length(text: Text) -> int:
    """Return the most characters that a text has in English."""
    sizes = {
        name: length(value) if isinstance(value, Text) else len(str(value)) for name, value in text.values.items()
    }
    return max(
        len(template) + sum(sizes.get(name, 0) for name in _PLACE.findall(template))
        for template in (text.template, text.plural)
    )


def plain(value: Value) -> JsonValue:
    if isinstance(value, Text):
        return value.as_json()
    return value if isinstance(value, str | int | float) else str(value)


def english(template: str, plural: str, number: int) -> str:
    return plural if plural and number != 1 else template
