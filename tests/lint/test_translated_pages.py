"""A page under docs/zh has all that its English one has, so that one that fell behind is noticed.

Compared are, section by section: headings, blocks of code, rows of tables, items of lists, `code words`, links and
numbers. What is said between them is for those who read both. A page may lag by a paragraph (lag.py).
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lint.lag import differences
from tests.lint.test_translations import CHINESE as WRITING
from tests.lint.test_translations import SPOKEN

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CHINESE = DOCS / "zh"
CHINESE_PAGES = sorted(CHINESE.rglob("*.md"))
PAGES = [str(path.relative_to(CHINESE)) for path in CHINESE_PAGES]
_BLOCK = re.compile(r"^( *)```([^\n]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
# A comment of a block is translated; one that says which file or unit the block is, is not.
_COMMENT = re.compile(r"(^|[ \t]+)#(?! (?:/|systemctl )).*$", re.MULTILINE)
_HEADING = re.compile(r"^(#+) (.*)$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)|<(http[^>\s]+)>")
_CELL = re.compile(r"(?<!\\)\|")
_WORDS = {"yes": "是", "no": "否", "none": "无"}
# What the two versions of a page call each other.
_OTHER = ("English", "中文")


def original(page: Path) -> Path:
    """Return the page that a page is the Chinese of; a page that has no Chinese one, or is English, itself."""
    name = str(page.relative_to(ROOT)).replace(".zh-CN.md", ".md")
    return ROOT / name.replace("docs/zh/", "docs/").replace("docs/man/zh_CN/", "docs/man/")


def content(page: Path) -> tuple[list[str], list[set[str]]]:
    """Return what has to be the same, a line each, and the numbers of each section."""
    text = page.read_text(encoding="utf-8")
    blocks = [code(match[2], match[3]) for match in _BLOCK.finditer(text)]
    text = _BLOCK.sub("⟦block⟧", text)
    lines, numbers, used = [], [], 0
    for count, part in enumerate(re.split(r"^(?=#+ )", text, flags=re.MULTILINE)):
        here = part.count("⟦block⟧")
        lines += [f"section {count}: {line}" for line in section(page, part, blocks[used : used + here])]
        numbers.append(numbers_of(part))
        used += here
    return lines, numbers


def code(language: str, text: str) -> list[str]:
    """Return a block's lines without what is translated: a drawing, which has no language, is one line."""
    if not language:
        return ["drawing"]
    return [language, *SPOKEN.sub("…", _COMMENT.sub("", text)).splitlines()]


def section(page: Path, text: str, blocks: list[list[str]]) -> Iterator[str]:
    for heading in _HEADING.findall(text):
        yield f"heading of level {len(heading[0])}"
    for number, block in enumerate(blocks, 1):
        yield from (f"block {number}: {line}" for line in block)
    for line in text.splitlines():
        if line.startswith("|"):
            yield f"row of {len(_CELL.findall(line)) - 1} cells"
    yield f"{len(re.findall(r'^ *(?:-|[0-9]+[.]) ', text, re.MULTILINE))} items"
    yield from (f"code word: {word}" for word in sorted(words(text)))
    yield from (f"link: {link}" for link in sorted({*links(page, text)}))


def words(text: str) -> set[str]:
    return {" ".join(word.split()) for word in re.findall(r"`([^`]+)`", text)}


def links(page: Path, text: str) -> Iterator[str]:
    """Yield links as they would stand in English; of one to a heading, the how manyth it is."""
    for said, target, address in _LINK.findall(re.sub(r"`[^`]+`", "", text)):
        if address or re.match(r"[a-z]+:", target):
            yield address or target
        elif said not in _OTHER:
            path, _, anchor = target.partition("#")
            found = (page.parent / path).resolve() if path else page
            where = str(original(found).relative_to(ROOT))
            yield f"{where}, heading {anchors(found).index(anchor)}" if anchor else where


def anchors(page: Path) -> list[str]:
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for _, heading in _HEADING.findall(text)]


def numbers_of(text: str) -> set[str]:
    """Return the numbers outside of code words and addresses."""
    bare = re.sub(r"`[^`]+`|\]\([^)]+\)|<http[^>]+>", " ", text)
    return set(re.findall(r"(?<![A-Za-z0-9_.,/-])\d(?:[\d.,:]*\d)?", bare))


def test_each_page_is_there_in_chinese() -> None:
    untranslated = {CHINESE, DOCS / "protocols"}
    english = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if untranslated.isdisjoint(path.parents)}
    assert english - set(PAGES) == set()


@pytest.mark.parametrize("page", PAGES)
def test_a_chinese_page_has_what_the_english_one_has(page: str) -> None:
    chinese = CHINESE / page
    (ours, our_numbers), (theirs, their_numbers) = content(original(chinese)), content(chinese)
    wrong, lacking = differences(ours, theirs)
    assert not wrong, "\n".join(wrong)
    missing = [
        (count, one - other) for count, (one, other) in enumerate(zip(our_numbers, their_numbers, strict=True))
    ]
    # In Chinese numbers are figures that are words in English, so that one of its own tells nothing.
    lags = {int(line.removeprefix("-section ").partition(":")[0]) for line in lacking}
    assert [(count, sorted(numbers)) for count, numbers in missing if numbers and count not in lags] == []


@pytest.mark.parametrize("page", PAGES)
def test_cells_without_chinese_are_those_of_the_english_table(page: str) -> None:
    """A scope, a number, a status that another one stands for in English."""
    chinese = CHINESE / page
    for ours, theirs in zip(rows(original(chinese)), rows(chinese), strict=True):
        for one, other in zip(ours, theirs, strict=True):
            if not WRITING.search(other) or one in _WORDS or other in _WORDS.values():
                assert other == _WORDS.get(one, one), theirs


def rows(page: Path) -> list[list[str]]:
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return [[cell.strip() for cell in _CELL.split(line)] for line in text.splitlines() if line.startswith("|")]


@pytest.mark.parametrize("page", PAGES)
def test_emphasis_is_shown_as_such(page: str) -> None:
    """By Markdown's rules stars between a full-width comma or stop and a word end nothing."""
    text = re.sub(r"`[^`\n]*`", "x", _BLOCK.sub("", (CHINESE / page).read_text(encoding="utf-8")))
    assert re.findall(r"(?<![*\w])\*{1,2}[^*\s][^*\n]*[，。；：、！？）”]\*{1,2}\w", text) == []
