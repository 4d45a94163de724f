"""What is in Chinese has all that the English has: man pages, the journal's explanations, the README.

Man pages may lag by a paragraph (lag.py).

Others hold the English to the code, so that an option without a Chinese entry fails here.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lint.lag import differences
from wxcontroller.core.journal import MESSAGE_IDS

ROOT = Path(__file__).parents[2]
MAN = ROOT / "docs/man"
CHINESE_PAGES = sorted((MAN / "zh_CN").glob("*.scd"))
PAGES = sorted(path.name.removesuffix(".scd") for path in MAN.glob("*.scd"))
CATALOGS = ROOT / "systemd/wxcontroller.catalog", ROOT / "systemd/wxcontroller.zh_CN.catalog"
READMES = ROOT / "README.md", ROOT / "README.zh-CN.md"
CHINESE = re.compile(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
# Bold, and yet said in other words in Chinese: heads of tables, references to sections, a warning.
PROSE = {"meaning", "problem", "SCRIPTING", "two machines with one login lose it"}
# What stands in quotes for people to read, and comments.
SPOKEN = re.compile(r"""(["'])(?=[^"'\n]*(?: |[^\x00-\x7f]))[\w ?？]+\1|[ \t]+# .*$""", re.MULTILINE)


def roff(page: Path) -> str:
    """The page as scdoc makes it: what it takes for bold is not always what looks so in the source."""
    assert shutil.which("scdoc"), "scdoc is not installed: make test-deps"
    made = subprocess.run(["scdoc"], input=page.read_bytes(), capture_output=True, check=False)
    assert made.returncode == 0, made.stderr
    return made.stdout.decode()


def content(page: Path) -> list[str]:
    """What has to be the same in both languages, section by section, a line each."""
    # A document that is there in Chinese is named in Chinese.
    text = roff(page).replace("\\&", "").replace("/doc/wxcontroller/zh/", "/doc/wxcontroller/")
    parts = re.split(r"^\.SH .*\n", text, flags=re.MULTILINE)[1:]
    return [
        f"section {number}, {line}" for number, part in enumerate(parts, 1) for line in ("begins", *section(part))
    ]


def section(text: str) -> list[str]:
    code = re.findall(r"^\.nf\n\.RS 4\n(.*?)^\.fi", text, re.MULTILINE | re.DOTALL)
    text = re.sub(r"^\.nf\n.*?^\.RE\n", "", text, flags=re.MULTILINE | re.DOTALL)
    entries = [entry.replace(" (空)", " (empty)") for entry in re.findall(r"^(.*)\n\.RS 4", text, re.MULTILINE)]
    words = re.sub(r"^[.'].*$|\\f[BIRP]|\\\(..", " ", text, flags=re.MULTILINE)
    numbers = re.findall(r"(?<![\w.])\d[\d.,:]*\d|(?<![\w.])\d", words)
    return [
        *(f"entry: {entry}" for entry in entries),
        *(f"bold: {word}" for word in sorted(marked("B", text) - PROSE)),
        *(f"italic: {word}" for word in sorted(marked("I", text))),
        *(f"number: {number}" for number in sorted(numbers)),
        *(f"code: {line}" for block in code for line in SPOKEN.sub("…", block).splitlines()),
        "cells: {}".format(text.count("\nT{") + text.count("\tT{")),
    ]


def marked(font: str, text: str) -> set[str]:
    spans = re.findall(rf"\\f{font}(.*?)\\f[RP]", text, re.DOTALL)
    return {" ".join(span.split()) for span in spans if not CHINESE.search(span)}


def test_each_man_page_is_there_in_chinese() -> None:
    assert sorted(path.name.removesuffix(".scd") for path in (MAN / "zh_CN").glob("*.scd")) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_a_chinese_page_has_what_the_english_one_has(page: str) -> None:
    wrong, _ = differences(content(MAN / f"{page}.scd"), content(MAN / f"zh_CN/{page}.scd"))
    assert not wrong, "\n".join(wrong)


def explanations(catalog: Path) -> dict[str, list[str]]:
    """By message id: header lines and text."""
    found: dict[str, list[str]] = {}
    for entry in re.split(r"^-- ", catalog.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        first, *lines = entry.strip().splitlines()
        assert re.fullmatch(r"[0-9a-f]{32}", first), first
        assert first not in found, first
        found[first] = lines
    return found


def test_both_catalogs_explain_each_event() -> None:
    english, chinese = map(explanations, CATALOGS)
    assert set(english) == set(chinese) == set(MESSAGE_IDS.values())
    for message_id, lines in english.items():
        theirs = chinese[message_id]
        assert lines[0].startswith("Subject: ")
        assert theirs[0].startswith("Subject: ")
        assert set(re.findall(r"@\w+@", lines[0])) == set(re.findall(r"@\w+@", theirs[0]))
        assert lines[1:4] == theirs[1:4], message_id
        text, their_text = "\n".join(lines[4:]), "\n".join(theirs[4:])
        assert text, message_id
        assert CHINESE.search(theirs[0]), message_id
        assert CHINESE.search(their_text), message_id
        # Calls, options and numbers of errors, which are the same in both.
        literal = re.compile(
            r"\b(?:wxctl|journalctl|curl|systemctl) [a-z -]*[a-z]|\b[a-z]+_[a-z_]+|\b\d{3,}", re.ASCII
        )
        assert set(literal.findall(text)) == set(literal.findall(their_text)), message_id


def test_systemd_takes_both_catalogs(tmp_path: Path) -> None:
    """It tells of each line that it can't use, and keeps the language that the file's name ends with."""
    for place in ("usr/lib/systemd/catalog", "var/lib/systemd/catalog"):
        (tmp_path / place).mkdir(parents=True)
    for catalog in CATALOGS:
        shutil.copy(catalog, tmp_path / "usr/lib/systemd/catalog")
    command = ["journalctl", f"--root={tmp_path}", "--update-catalog"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (made.returncode, made.stderr) == (0, "")
    database = (tmp_path / "var/lib/systemd/catalog/database").read_bytes()
    assert database.count(b"zh_CN\0") == len(MESSAGE_IDS)


def test_both_readmes_say_the_same() -> None:
    english, chinese = (path.read_text(encoding="utf-8") for path in READMES)
    blocks = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
    assert [(kind, SPOKEN.sub("…", code)) for kind, code in blocks.findall(chinese)] == [
        (kind, SPOKEN.sub("…", code)) for kind, code in blocks.findall(english)
    ]
    ours, theirs = blocks.sub("", english), blocks.sub("", chinese)
    assert re.findall(r"^#+ ", theirs, re.MULTILINE) == re.findall(r"^#+ ", ours, re.MULTILINE)
    assert re.findall(r"^(?:-|\|)", theirs, re.MULTILINE) == re.findall(r"^(?:-|\|)", ours, re.MULTILINE)
    links = re.compile(r"\]\(([^)\s]+)\)|<(http\S+)>")
    other = {READMES[0].name, READMES[1].name}
    # What is there in Chinese is linked to in Chinese.
    theirs = theirs.replace("](docs/zh/", "](docs/").replace(".zh-CN.png)", ".png)")
    found, wanted = ([link for link in links.findall(text) if link[0] not in other] for text in (theirs, ours))
    assert sorted(found) == sorted(wanted)
    literal = re.compile(r"`([^`\n]+)`")
    assert set(literal.findall(ours)) - set(literal.findall(theirs)) == set()
