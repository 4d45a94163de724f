"""Settings of all tests, and how several processes share them."""

import contextlib
import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Generator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest
import pytest_asyncio.plugin
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

# A shell ignores interrupts in background jobs, and their processes inherit that: tests of Ctrl-C would fail.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Keep compiled modules, for the other processes here and those that tests start: compiling takes longer than most
# files of tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Until the tests are collected: nearly everything made meanwhile stays.
gc.disable()
# On a busy machine any example may take long.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")
# Called a million times: for each fixture of each test.
pytest_asyncio.plugin._is_coroutine_or_asyncgen = cache(pytest_asyncio.plugin._is_coroutine_or_asyncgen)

_ROOT = Path(__file__).parents[1]
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)
# Tests in booted hosts and in a browser mostly wait.
_WAITING = ("tests/system/", "tests/page/", "tests/fleet/")
# Files that take 20 seconds or more, the longest first.
_LONGEST = [
    "tests/{}/test_{}.py".format(*name.rsplit("/", 1))
    for name in """
        system/documents system/export page/list system/packaging system/fleet_move system/wxctl system/fleet_owners
        system/units page/walk page/people system/stuck system/neighbors unit/controller/limits
        unit/durability/lifecycle system/keeper page/races unit/client/reply_window unit/fleet/owner_faults
        page/hostile fleet/fleet system/upgrade unit/durability/crashpoints system/torture system/attack
        system/access lint/style system/package unit/controller/restart system/alerts
        unit/controller/load unit/fleet/keeper contract/client_contract unit/controller/forwarding
        unit/client/ilink_served page/api system/account unit/fleet/takeovers unit/durability/unsaved
        unit/client/retry_lane unit/client/truncated system/doctor unit/fleet/faults
    """.split()
]

# The only tests that may be skipped: none of the registries has what they need.
_MAY_BE_SKIPPED = {"tests/thirdparty/test_clients.py::test_web_client_logs_in_receives_and_sends[Mojo-Weixin]"}


class _Mixed(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Each file in one process. Every other process begins with files that wait, the rest with those that compute.

    xdist begins with files of many tests. The few long files of booted hosts would come last, next to each other, and
    leave the processors idle.
    """

    def _assign_work_unit(self, node: WorkerController) -> None:
        waits = self.nodes.index(node) % 2 == 0

        def order(scope: str) -> tuple[bool, int]:
            return scope.startswith(_WAITING) != waits, _LONGEST.index(scope) if scope in _LONGEST else len(_LONGEST)

        self.workqueue.move_to_end(min(self.workqueue, key=order), last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile everything before several processes start: each of them would compile all files itself, at once."""
    if not session.config.getoption("numprocesses", None) or hasattr(session.config, "workerinput"):
        return
    files = sorted(_ROOT.glob("tests/**/test_*.py"))
    # Forked, as pytest compiles asserts by a hook of imports.
    forks = multiprocessing.get_context("fork")
    halves = [forks.Process(target=_import_all, args=(files[part::2],)) for part in range(2)]
    for half in halves:
        half.start()
    for half in halves:
        half.join()


def _import_all(files: list[Path]) -> None:
    for file in files:
        # The collection reports an error.
        with contextlib.suppress(Exception):
            import_module(".".join(file.relative_to(_ROOT).with_suffix("").parts))


def pytest_collection_finish() -> None:
    """Keep what was collected out of later collections of garbage: it is the most of the memory, and stays."""
    gc.freeze()
    gc.enable()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a long parameter by its length: processes exchange all names, and one had 20 MB."""
    return f"{argname} of {len(val)}" if isinstance(val, str | bytes) and len(val) > 200 else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    return _Mixed(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _unless_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _unless_skipped((yield))


def _unless_skipped(report: Report) -> Report:
    """Make a test fail that is skipped without permission, so that no missing tool goes unnoticed."""
    if report.skipped and not hasattr(report, "wasxfail") and report.nodeid not in _MAY_BE_SKIPPED:
        report.outcome = "failed"
        report.longrepr = f"{report.longrepr}\na test must not be skipped: run make test-deps"
    return report
