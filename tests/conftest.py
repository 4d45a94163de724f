"""For all tests, in one process or in several."""

import signal
from typing import Any

import pytest
from _pytest.terminal import TerminalReporter

# Lines for the end of a run.
TABLES = pytest.StashKey[list[str]]()

# A shell that puts us into the background has interrupts ignored, and what we start would inherit that: tests of
# Ctrl-C could not press it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Give what was counted here to the process that prints, if that is another."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["tables"] = session.config.stash.get(TABLES, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take what another process has counted."""
    told = getattr(node, "workeroutput", {}).get("tables", [])
    node.config.stash.setdefault(TABLES, []).extend(told)


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Print what tests have counted."""
    if lines := config.stash.get(TABLES, []):
        terminalreporter.section("requests of the contract's tests")
        for line in lines:
            terminalreporter.write_line(line)
