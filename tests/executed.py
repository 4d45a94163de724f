"""A plugin of pytest that records which lines of the product each test executes.

``-p tests.executed --executed DIR``: each process writes a file to the directory. Processes that a test starts are
not followed. The interpreter's monitoring reports each line once for each test, so the tests take hardly longer.
"""

import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

_ROOT = f"{Path(__file__).parents[1]}{os.sep}"
_PRODUCT = f"{_ROOT}wxcontroller{os.sep}"
_MONITORING: Any = vars(sys)["monitoring"]  # since Python 3.12; mypy checks for 3.11
_EVENTS, _TOOL = _MONITORING.events, _MONITORING.COVERAGE_ID


class _Recorder:
    """``tests`` are, by test, the seconds that it took, whether it passed, and its lines by file as bits."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / f"{os.getpid()}.json"
        self._tests: dict[str, dict[str, object]] = {}
        self._lines: dict[str, int] = defaultdict(int)
        self._failed = False
        _MONITORING.use_tool_id(_TOOL, "wxcontroller tests")
        _MONITORING.register_callback(_TOOL, _EVENTS.PY_START, self._start)
        _MONITORING.register_callback(_TOOL, _EVENTS.LINE, self._line)
        _MONITORING.set_events(_TOOL, _EVENTS.PY_START)

    def _start(self, code: CodeType, _: int) -> object:
        if code.co_filename.startswith(_PRODUCT):
            _MONITORING.set_local_events(_TOOL, code, _EVENTS.LINE)
        return _MONITORING.DISABLE

    def _line(self, code: CodeType, number: int) -> object:
        self._lines[code.co_filename.removeprefix(_ROOT)] |= 1 << number
        return _MONITORING.DISABLE

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._lines.clear()
        self._failed = False
        _MONITORING.restart_events()
        began = time.monotonic()
        try:
            return (yield)
        finally:
            self._tests[item.nodeid] = {
                "seconds": round(time.monotonic() - began, 3),
                "passed": not self._failed,
                "lines": {name: f"{bits:x}" for name, bits in self._lines.items()},
            }

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed |= report.failed

    def pytest_sessionfinish(self) -> None:
        _MONITORING.set_events(_TOOL, _EVENTS.NO_EVENTS)
        if self._tests:
            self._path.write_text(json.dumps(self._tests))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--executed", type=Path, help="write the lines of each test to files in this directory")


def pytest_configure(config: pytest.Config) -> None:
    if directory := config.getoption("--executed"):
        config.pluginmanager.register(_Recorder(directory))
