"""Environment files mean the same to systemd and to wxcontroller."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wxcontroller.core.config.envfile import FILE_VALUE_LENGTH, parse, printable, quote
from wxcontroller.core.errors import BadEnvironmentFile, BadOption

_VALUES = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]).filter(printable))


@given(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,20}", fullmatch=True), _VALUES))
def test_written_variables_are_read_back(variables: dict[str, str]) -> None:
    content = "".join(f"{key}={quote(value)}\n" for key, value in variables.items())
    assert parse(content) == variables


@pytest.mark.parametrize(
    "value",
    [
        *("a\nb", "\0", "\x1b[0m", "\ud800", "\ufffe", "x" * (FILE_VALUE_LENGTH + 1)),
    ],
)
def test_values_that_no_variable_can_contain_are_refused(value: str) -> None:
    with pytest.raises(BadOption):
        quote(value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("# comment\\\nA=1\nA=2", {"A": "2"}),
        ("# A=1\n; B=2\n\n  C = 3  \n", {"C": "3"}),
        ('A="x y" \nB=\'p"q\'\n', {"A": "x y", "B": 'p"q'}),
        ('A="a\\"b\\\\c\\$d\\`e\\nf"\n', {"A": 'a"b\\c$d`e\\nf'}),
        ("A=one\\\ntwo\n", {"A": "onetwo"}),
        ("A=x # no comment\n", {"A": "x # no comment"}),
        ("no assignment\n1A=x\nA-B=y\n=z\nA=\nB=''\n", {"A": "", "B": ""}),
    ],
)
def test_files_written_by_hand(content: str, expected: dict[str, str]) -> None:
    assert parse(content) == expected


def test_an_unclosed_quote_is_named() -> None:
    with pytest.raises(BadEnvironmentFile, match=r"alice\.env: the value of B has an unclosed quote"):
        parse('A=1\nB="x\n', "alice.env")
