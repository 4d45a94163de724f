"""Style and types, by ruff and mypy; their settings are in pyproject.toml."""

import ast
import os
import subprocess
from pathlib import Path

import pytest

from tests.programs import program

ROOT = Path(__file__).parents[2]
CHECKED = ("wxcontroller", "tests", "bench")


def check(*command: str) -> None:
    environment = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


def test_ruff_reports_nothing() -> None:
    check(program("ruff"), "check", *CHECKED)


def test_everything_is_formatted() -> None:
    check(program("ruff"), "format", "--check", *CHECKED)


@pytest.mark.timeout(600)
def test_mypy_reports_nothing() -> None:
    check(program("mypy"))


def test_no_two_classes_share_a_name() -> None:
    """A reader who knows a class by its name need not look which one is meant."""
    found: dict[str, list[str]] = {}
    for path in (ROOT / "wxcontroller").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: where for name, where in found.items() if len(where) > 1} == {}
