"""Every text of the page is in every catalog, translated, with the same values in it; nothing else is."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.page.texts import CATALOGS, wanted

_ENTRY = re.compile(r'^msgid "(.+)"\nmsgstr "(.*)"$', re.MULTILINE)


def unquoted(text: str) -> str:
    return text.replace('\\"', '"').replace("\\\\", "\\")


@pytest.mark.parametrize("catalog", CATALOGS, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_catalogs_are_complete(catalog: Path) -> None:
    subprocess.run(["msgfmt", "--check", "-o", "/dev/null", catalog], check=True)
    found = {unquoted(text): unquoted(said) for text, said in _ENTRY.findall(catalog.read_text(encoding="utf-8"))}
    assert sorted(found) == wanted(catalog), "bring the catalogs up to date: /usr/bin/python3 -m tests.page.texts"
    for text, said in found.items():
        assert said, f"{text!r} is not translated"
        assert sorted(re.findall(r"\{\w+\}", said)) == sorted(re.findall(r"\{\w+\}", text)), said


def test_there_are_chinese_catalogs() -> None:
    assert [(path.parts[-3], path.stem) for path in CATALOGS] == [
        ("zh_CN", name) for name in ("dashboard", "described", "said")
    ]
