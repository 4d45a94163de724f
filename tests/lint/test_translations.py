"""Translations have what a program or a reader of the English relies on: values, structure, commands.

An untranslated text is not a failure, and no test judges wording.
"""

import re
import shutil
from pathlib import Path

import pytest

from tests.i18n import CATALOGS
from tests.programs import output_of, run
from wxcontroller.core.condition.facts import Condition
from wxcontroller.core.process.journal import MESSAGE_IDS

ROOT = Path(__file__).parents[2]
DOCS, MAN = ROOT / "docs", ROOT / "docs/man"
PAGES = {
    "README.md": "README.zh-CN.md",
    **{
        str(path.relative_to(ROOT)): str((DOCS / "zh" / path.relative_to(DOCS)).relative_to(ROOT))
        for path in sorted(DOCS.rglob("*.md"))
        if {DOCS / "zh", DOCS / "protocols"}.isdisjoint(path.parents)
    },
    **{str(path.relative_to(ROOT)): f"docs/man/zh_CN/{path.name}" for path in sorted(MAN.glob("*.scd"))},
}
STATES = ROOT / "wxcontroller/controller/page/static/states.js"
JOURNAL = ROOT / "systemd/wxcontroller.catalog", ROOT / "systemd/wxcontroller.zh_CN.catalog"
_STRING = r'((?:"(?:[^"\\]|\\.)*"\n)+)'
_ENTRY = re.compile(rf"^msgid {_STRING}(?:msgid_plural {_STRING})?((?:msgstr(?:\[\d\])? {_STRING})+)", re.MULTILINE)
_VALUE = re.compile(r"\{\w+(?:!r)?\}")
_BLOCK = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
# Words of states that were used for several, or beside the one word, with the one to use.
_OTHER_WORDS = {
    "待处理": "已搁置 (parked)",
    "已放弃": "已搁置 (parked), 已清除 (purged) or 投递失败 (failed)",
    "未送达": "未投递 (undelivered)",
    "(?<!可能)(?<!可能已经)已送达": "已投递 (a report), 已接受 (a send)",
    "被保留": "被暂缓 (held)",
    "连接方式": "线路 (route)",
    "结果不明": "结果未知 (unknown)",
}
_CELL = re.compile(r"(?<!\\)\|")
# What a translator changes in code: comments, but for those that name a file or unit, and quoted words.
_SPOKEN = re.compile(
    r"""(["'])(?=[^"'\n]*(?: |[^\x00-\x7f]))[\w ?？]+\1|(?:^|[ \t]+)# (?!/|systemctl ).*$""", re.MULTILINE
)


@pytest.mark.parametrize("catalog", CATALOGS, ids=lambda path: path.parts[-3])
def test_translated_messages_have_the_same_values(catalog: Path) -> None:
    output_of("msgfmt", "--check", "-o", "/dev/null", catalog)
    entries = _ENTRY.findall(catalog.read_text(encoding="utf-8") + "\n")
    assert entries
    for singular, plural, translated, _ in entries:
        for form in re.split(r"^msgstr(?:\[\d\])? ", translated, flags=re.MULTILINE)[1:]:
            if form.strip() != '""' and singular.strip() != '""':
                assert set(_VALUE.findall(form)) == set(_VALUE.findall(plural or singular)), form


def test_a_state_has_one_word() -> None:
    texts = [*CATALOGS, JOURNAL[1], *(ROOT / page for page in PAGES.values())]
    found = {
        f"{path.relative_to(ROOT)}: {word}, use {instead}"
        for path in texts
        for word, instead in _OTHER_WORDS.items()
        if re.search(word, path.read_text(encoding="utf-8"))
    }
    assert found == set()


def test_dashboard_and_wxctl_have_the_same_words_for_conditions() -> None:
    [words] = re.findall(
        r"^const WORDS = \{$(.*?)^\};$", STATES.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    labels = dict(re.findall(r'(\w+): \(\) => t\("([^"]+)"\)', words))
    entries = dict(
        re.findall(r'^msgid "(.+)"\nmsgstr "(.+)"$', CATALOGS[0].read_text(encoding="utf-8"), re.MULTILINE)
    )
    shown = {condition.value: entries[labels[condition.value]] for condition in Condition}
    assert {word: entries[word] for word in shown} == shown


def structure(page: str) -> list[str]:
    """Return headings, blocks of code, rows of tables and entries of a man page, without the words."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [_SPOKEN.sub("", code) if language else "drawing" for language, code in _BLOCK.findall(text)]
    for line, following in zip((lines := _BLOCK.sub("", text).splitlines()), [*lines[1:], ""], strict=True):
        if line.startswith("#"):
            found.append("heading " + line.split()[0])
        elif line.startswith("|") and page.endswith(".md"):
            found.append(f"{len(_CELL.findall(line)) - 1} cells")
        elif line.startswith("*") and following.startswith("\t"):
            found.append(line.replace(" (空)", " (empty)"))
    return found


@pytest.mark.parametrize("page", PAGES)
def test_chinese_page_has_the_structure_of_the_english_one(page: str) -> None:
    assert structure(PAGES[page]) == structure(page)


def explained(catalog: Path) -> dict[str, list[str]]:
    """Return the headers of each message id, but for its subject."""
    entries = re.split(r"^-- ", catalog.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {entry.split("\n")[0]: entry.split("\n")[2:5] for entry in entries}


def test_journal_catalogs_explain_each_event() -> None:
    english, chinese = map(explained, JOURNAL)
    assert set(english) == set(MESSAGE_IDS.values())
    assert chinese == english


def test_systemd_accepts_both_journal_catalogs(tmp_path: Path) -> None:
    """systemd reports each line that it cannot use, and takes the language from the file's name."""
    for place in ("usr/lib/systemd/catalog", "var/lib/systemd/catalog"):
        (tmp_path / place).mkdir(parents=True)
    for catalog in JOURNAL:
        shutil.copy(catalog, tmp_path / "usr/lib/systemd/catalog")
    made = run("journalctl", f"--root={tmp_path}", "--update-catalog")
    assert (made.returncode, made.stderr) == (0, "")
    assert (tmp_path / "var/lib/systemd/catalog/database").read_bytes().count(b"zh_CN\0") == len(MESSAGE_IDS)
