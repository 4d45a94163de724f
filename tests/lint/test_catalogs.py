"""Translations have the values of their English; that something is not translated yet is no failure."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.i18n import CATALOGS
from wxcontroller.core.catalog import DOMAIN

_STRING = r'((?:"(?:[^"\\]|\\.)*"\n)+)'
_ENTRY = re.compile(rf"^msgid {_STRING}(?:msgid_plural {_STRING})?((?:msgstr(?:\[\d\])? {_STRING})+)", re.MULTILINE)
_VALUE = re.compile(r"\{\w+(?:!r)?\}")


@pytest.mark.parametrize("catalog", CATALOGS, ids=lambda path: path.parts[-3])
def test_translations_have_the_same_values(catalog: Path) -> None:
    subprocess.run(["msgfmt", "--check", "-o", "/dev/null", catalog], check=True)
    entries = _ENTRY.findall(catalog.read_text(encoding="utf-8") + "\n")
    assert entries
    for singular, plural, translated, _ in entries:
        for form in re.split(r"^msgstr(?:\[\d\])? ", translated, flags=re.MULTILINE)[1:]:
            if form.strip() != '""' and singular.strip() != '""':
                assert set(_VALUE.findall(form)) == set(_VALUE.findall(plural or singular)), form


def test_there_is_one_catalog_for_all_programs() -> None:
    package = CATALOGS[0].parents[3]
    assert sorted(package.rglob("*.po")) == CATALOGS
    assert [(path.parts[-3], path.stem) for path in CATALOGS] == [("zh_CN", DOMAIN)]
