"""Errors of wxctl have one form."""

import re

import pytest

from tests.unit.cli.conftest import Wxctl


@pytest.mark.parametrize(
    "arguments", [("list", "--what"), ("start",), ("strat",), ("start", "a", "-o", "x"), ("add", ".x")], ids=" ".join
)
def test_errors_have_one_form(wxctl: Wxctl, arguments: tuple[str, ...]) -> None:
    """The program and the failure, then what to do; whoever found it."""
    done = wxctl(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    failed, remedy = done.stderr.splitlines()
    assert re.match(r"wxctl: [^A-Z]", failed)
    assert not failed.endswith(".")
    assert re.match(r"  \S", remedy)
