"""Texts as data survive JSON; texts from outside are read without errors and stay small."""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.i18n import compiled
from wxcontroller.core.errors import reason_of
from wxcontroller.core.jsontypes import JsonValue, one_line
from wxcontroller.core.text.catalog import translate_by, translations
from wxcontroller.core.text.templates import Text, text_from

_LINES = st.text().map(one_line)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), _LINES | st.integers()), _LINES)
def test_text_round_trips_through_json(values: dict[str, str | int], template: str) -> None:
    text = Text(template, **values)
    assert text_from(text.as_json()) == text
    assert str(text_from(Text("{x}", x=text).as_json())) == str(Text("{x}", x=text))


_JSON = st.recursive(
    st.none() | st.booleans() | st.text() | st.integers(),
    lambda inner: (
        st.dictionaries(st.sampled_from(["template", "values", "plural", "n", "x"]), inner) | st.lists(inner)
    ),
)


@given(_JSON)
def test_anything_from_outside_is_read_without_an_error(value: JsonValue) -> None:
    str(text_from(value))


def test_foreign_text_with_repeated_placeholders_stays_small() -> None:
    bomb: JsonValue = "x" * 100
    for _ in range(4):
        bomb = {"template": "{a}" * 300, "values": {"a": bomb}}
    assert len(str(text_from(bomb))) <= 10_000
    assert len(str(text_from({"template": "x" * 1_000_000}))) <= 10_000


def _write(place: str, *pragmas: str) -> None:
    database = sqlite3.connect(place, uri=True, timeout=0)
    for statement in (*pragmas, "CREATE TABLE more (x)", "INSERT INTO more VALUES (zeroblob(100000))"):
        database.execute(statement)


def _write_locked(place: str) -> None:
    other = sqlite3.connect(place, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    _write(place)


def _write_garbage(place: str) -> None:
    Path(place).write_bytes(b"not a database" * 500)
    _write(place)


@pytest.mark.parametrize(
    "fail",
    [
        _write_locked,
        _write_garbage,
        lambda place: _write(f"file:{place}?mode=ro"),
        lambda place: _write(f"file:{place}", "PRAGMA max_page_count=3"),
        lambda place: _write(f"{place}/missing"),
    ],
    ids=["locked", "garbage", "readonly", "full", "missing"],
)
def test_failures_of_sqlite_are_chinese(fail: Callable[[str], None], tmp_path: Path) -> None:
    compiled()
    place = str(tmp_path / "events.db")
    sqlite3.connect(place).execute("CREATE TABLE one (x)")
    with pytest.raises(sqlite3.DatabaseError) as failure:
        fail(place)
    shown = reason_of(failure.value).rendered(translate_by(translations("zh-CN")))
    assert not re.search("[A-Za-z]{2,} [A-Za-z]", shown), shown
