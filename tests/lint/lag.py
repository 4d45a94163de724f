"""What a Chinese page may lack of its English one, and what it must not.

Somebody who writes no Chinese must be able to add a paragraph: a page may lag by the words and numbers of one, and
``make i18n`` lists these pages. Its structure must be the same, and what it says must not be out of date: so a
section that has a word or number of its own, which the English has not (any more), may lack nothing.
"""

import difflib
from collections.abc import Sequence

# Of lines "section N: WHAT: TEXT": what stands within paragraphs.
_LAGGING = ("code word", "link", "bold", "italic", "number")


def differences(english: Sequence[str], chinese: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the lines of a diff that are wrong, and those that the Chinese page only lacks."""
    changed = list(difflib.unified_diff(english, chinese, n=0, lineterm=""))[2:]
    lines = [line for line in changed if not line.startswith("@@")]
    outdated = {_section(line) for line in lines if line.startswith("+") or not _is_words(line)}
    wrong = [line for line in lines if _section(line) in outdated]
    return wrong, [line for line in lines if line not in wrong]


def _section(line: str) -> str:
    return line[1:].replace(",", ":").partition(":")[0]


def _is_words(line: str) -> bool:
    return any(f"{part}{kind}: " in line for kind in _LAGGING for part in (": ", ", "))
