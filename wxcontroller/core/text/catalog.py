"""The catalogs of messages: one gettext domain for all programs, compiled next to the code."""

import gettext
import struct
from collections.abc import Mapping
from pathlib import Path

from wxcontroller.core.text.templates import Translate

DOMAIN = "wxcontroller"
LOCALE = Path(__file__).parents[2] / "locale"
# As browsers call them; the catalog of the first is the texts themselves.
LANGUAGES = ("en", "zh-CN")


def translate_by(catalog: gettext.NullTranslations) -> Translate:
    """Return a function that looks templates up in a catalog. Missing ones stay English."""

    def translate(template: str, plural: str, number: int) -> str:
        if not template:
            return ""  # gettext has the catalog's header under it
        return catalog.ngettext(template, plural, number) if plural else catalog.gettext(template)

    return translate


def translations(language: str) -> gettext.NullTranslations:
    """Return the catalog of a language, as browsers call it; texts that it lacks stay English."""
    return gettext.translation(DOMAIN, LOCALE, [language.replace("-", "_")], fallback=True)


def language_here() -> str:
    """Return the language of this process by its locale: LANGUAGE, LC_ALL, LC_MESSAGES or LANG."""
    found = gettext.find(DOMAIN, LOCALE)
    return Path(found).parents[1].name.replace("_", "-") if found else LANGUAGES[0]


def entries(language: str, part: str = DOMAIN) -> Mapping[str, str]:
    """Return a language's translations by their English, for scripts; of plural forms the first.

    ``part`` is one of those that setup.py compiles: of everything, or less.

    Read from the compiled file, as gettext's manual describes it (MO Files): gettext looks up single texts only.
    """
    path = gettext.find(part, LOCALE, [language.replace("-", "_")])
    if path is None:
        return {}
    content = Path(path).read_bytes()
    order = "<" if content[:4] == b"\xde\x12\x04\x95" else ">"
    count, originals, translated = struct.unpack_from(f"{order}3I", content, 8)

    def texts(table: int) -> list[str]:
        places = struct.iter_unpack(f"{order}2I", content[table : table + 8 * count])
        return [content[start : start + size].split(b"\0")[0].decode() for size, start in places]

    return {text: words for text, words in zip(texts(originals), texts(translated), strict=True) if text}
