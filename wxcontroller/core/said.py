"""What our programs say to people, in the reader's language: they say it in English, and a catalog has the sentences.

In a catalog's sentence {1}, {2} stand for values. What it lacks is shown as it came, so that nothing is lost. The
page does the same in the browser (controller/page/static/said.js).
"""

import gettext
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

LOCALE = Path(__file__).parent / "locale"
# What is joined in English, and how in Chinese, the only language there is a catalog of.
_JOINTS = (("; ", "；"), (": ", "："))
_MOST_PARTS = 8
_MOST_LENGTH = 1000  # of what is looked at: ours is shorter, and what others make up takes its time
_FEW = 3
_VALUE = re.compile(r"\{(\d)\}")
_LEFT = re.compile(r"[a-z']{2,}(?= [a-z]{2})")


def spoken(language: str) -> Mapping[str, str]:
    """Return what the controller and the accounts' programs say in English, with its translation."""
    return entries("said", LOCALE, [language.replace("-", "_")])


def entries(domain: str, locale: Path, languages: Sequence[str] | None = None) -> Mapping[str, str]:
    """Return what is in a catalog, by the English; without ``languages`` the environment says which is wanted."""
    place = gettext.find(domain, locale, languages)
    if place is None:
        return {}
    with Path(place).open("rb") as file:
        catalog = gettext.GNUTranslations(file)
    # There is no other way to ask a catalog what is in it.
    found: Mapping[str, str] = vars(catalog)["_catalog"]
    return {text: translated for text, translated in found.items() if text}


class _Pattern:
    """A sentence with values in it."""

    def __init__(self, sentence: str, translated: str) -> None:
        self.translated = translated
        self._pieces = [piece for piece in _VALUE.split(sentence)[::2] if piece]
        self._sentence = sentence
        self._form: re.Pattern[str] | None = None
        self.fixed = sum(map(len, self._pieces))

    def values(self, text: str) -> Sequence[str] | None:
        if not all(piece in text for piece in self._pieces):  # sooner found out than by an expression
            return None
        if self._form is None:
            # "{1} s" is about numbers: more would be taken for it than is.
            value = "(.*?)" if self.fixed > _FEW else "([0-9.,]+)"
            self._form = re.compile(_VALUE.sub(value, _escaped(self._sentence)), re.DOTALL)
        found = self._form.fullmatch(text)
        return found and ["", *found.groups()]


def _escaped(sentence: str) -> str:
    return "".join(
        part if number % 2 else re.escape(part) for number, part in enumerate(re.split(r"(\{\d\})", sentence))
    )


class Sayer:
    """What finds sentences in a catalog."""

    def __init__(self, sentences: Mapping[str, str]) -> None:
        self.whole = {text: said for text, said in sentences.items() if "{1}" not in text}
        patterns = [_Pattern(text, said) for text, said in sentences.items() if "{1}" in text]
        self._patterns = sorted(patterns, key=lambda each: -each.fixed)  # what says the most is tried first
        self._remembered: dict[str, str] = {}

    def say(self, text: str) -> str:
        """Return a text, or a text made of several, in the reader's language."""
        if not text or not (self.whole or self._patterns) or len(text) > _MOST_LENGTH:
            return text
        if (words := self._remembered.get(text)) is None:
            words = self.whole.get(text)
            if words is None:
                ways = [way for way in (self._matched(text), *self._parted(text), text) if way is not None]
                # The one that leaves the fewest words as they were: a sentence may take the next one for a value.
                words = min(ways, key=lambda way: len(_LEFT.findall(way)))
            self._remembered[text] = words
        return words

    def _matched(self, text: str) -> str | None:
        for pattern in self._patterns:
            if values := pattern.values(text):
                pieces = _VALUE.split(pattern.translated)  # words and numbers by turns
                return "".join(self.say(values[int(each)]) if at % 2 else each for at, each in enumerate(pieces))
        return None

    def _parted(self, text: str) -> Iterator[str]:
        """Yield "what failed; what to do", "whom it is about: what": one of the parts is a sentence of its own."""
        for joint, translated in _JOINTS:
            pieces = text.split(joint)
            if len(pieces) > _MOST_PARTS:
                continue  # nothing of ours
            for at in range(1, len(pieces)):
                given = joint.join(pieces[:at]), joint.join(pieces[at:])
                before, after = map(self.say, given)
                if (before, after) != given:
                    yield before + translated + after
