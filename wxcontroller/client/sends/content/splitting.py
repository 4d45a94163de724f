"""Splits long texts into several messages: WeChat cuts or refuses texts beyond a length."""

import unicodedata
from collections.abc import Iterator

_JOINERS = frozenset("\u200d\ufe0e\ufe0f")


def split_text(content: str, limit: int) -> Iterator[str]:
    """Yield a text in pieces of at most ``limit`` characters, cut at line ends, else at spaces; 0 for any length.

    A piece never begins with a combining mark, so that no character is split.
    """
    while limit and len(content) > limit:
        cut = _cut(content, limit)
        yield content[:cut]
        content = content[cut:]
    yield content


def _cut(content: str, limit: int) -> int:
    for separator in ("\n", " "):
        found = content.rfind(separator, 0, limit)
        # A piece of only a few words is worse than a line cut in two.
        if found >= limit // 2:
            return found + 1
    cut = limit
    while cut > 1 and belongs_to_previous(content, cut):
        cut -= 1
    # There are only joined characters up to here. Cut anyway, because each piece must shorten the text.
    return cut if cut > 1 else limit


def belongs_to_previous(content: str, place: int) -> bool:
    return (
        bool(unicodedata.combining(content[place]))
        or content[place] in _JOINERS
        or content[place - 1] == "\u200d"
        or 0x1F3FB <= ord(content[place]) <= 0x1F3FF  # skin tones
    )
