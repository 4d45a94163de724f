"""docs/limits.md says what the code has. docs/reference/limits.md is made from the table."""

import importlib
import re
from pathlib import Path

import pytest

from wxcontroller.core.options import OPTIONS
from wxcontroller.core.settings import Settings

PAGE = (Path(__file__).parents[3] / "docs/limits.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The rows of the table under a heading, without its head."""
    section = PAGE.split(f"# {heading}\n")[1].split("\n##")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


FIXED = ("Requests to both ports", "The controller", "Accounts", "Data from WeChat", "Formats")


@pytest.mark.parametrize("row", [row for heading in FIXED for row in rows(heading)], ids=lambda row: row[0])
def test_a_fixed_limit_is_the_codes(row: list[str]) -> None:
    limit, where = row[1], row[-1]
    module, _, name = where.strip("`").rpartition(".")
    if name.isupper():
        assert float(limit) == getattr(importlib.import_module(f"wxcontroller.{module}"), name)
    else:
        importlib.import_module(f"wxcontroller.{module}.{name}")


@pytest.mark.parametrize("row", rows("At the controller's port"), ids=lambda row: row[1])
def test_settings_have_these_defaults(row: list[str]) -> None:
    names = re.findall(r"`(\w+)`", row[1])
    assert [float(value) for value in row[2].split(",")] == [getattr(Settings(), name) for name in names]


@pytest.mark.parametrize("row", rows("At an account"), ids=lambda row: row[1])
def test_options_have_these_defaults(row: list[str]) -> None:
    names = re.findall(r"`(\w+)`", row[1])
    assert [float(value) for value in row[2].split(",")] == [float(OPTIONS[name].default) for name in names]
