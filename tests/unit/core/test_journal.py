"""Logging where systemd's Python module is not installed, as with a wheel: standard error gets there too."""

import logging
import sys
from collections.abc import Iterator

import pytest

from wxcontroller.core.journal import setup_logging


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_without_systemds_module_lines_go_to_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    monkeypatch.setitem(sys.modules, "systemd.journal", None)
    setup_logging("wxcontroller")
    logging.getLogger("test").warning("a line")
    assert capsys.readouterr().err == "wxcontroller: WARNING: a line\n"
