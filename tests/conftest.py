"""For all tests, in one process or in several."""

import os
import signal
import sys
from functools import cache

import pytest
import pytest_asyncio.plugin
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

# A shell that puts us into the background has interrupts ignored, and what we start would inherit that: tests of
# Ctrl-C could not press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What is compiled is kept, for the other processes here and for those that tests start: to compile all again takes
# longer than many a file of tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Asked about every fixture for every test, a million times in all.
pytest_asyncio.plugin._is_coroutine_or_asyncgen = cache(pytest_asyncio.plugin._is_coroutine_or_asyncgen)

# Files in booted hosts and a browser mostly wait.
_WAITING = ("tests/system/", "tests/page/", "tests/fleet/")
# Of both kinds, the longest first.
_LONGEST = tuple(
    f"tests/{directory}/test_{name}.py"
    for directory, names in (
        ("system", "packaging documents wxctl keeper"),
        ("page", "list people changes"),
        ("system", "units fleet_move"),
        ("page", "routes api"),
        ("fleet", "fleet"),
        ("page", "walk"),
        ("system", "fleet_standby attack fleet_owners package proxy completion doctor access remote alerts upgrade"),
        ("page", "login_link"),
        ("system", "torture bad_days stuck"),
        ("unit/client", "reply_window"),
        ("lint", "style"),
        ("unit/durability", "crashpoints"),
        ("unit/controller", "restart"),
        ("thirdparty", "generators"),
        ("unit/controller", "shortcut"),
        ("unit/fleet", "owner_faults"),
        ("unit/durability", "lifecycle"),
        ("unit/fleet", "keeper"),
    )
    for name in names.split()
)


class _Mixed(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Each file in one process; every other process begins with files that wait, the rest with those that compute.

    xdist begins with files of many tests: the few long ones of booted hosts would come last, side by side, and the
    processors would have nothing to do at the end.
    """

    def _assign_work_unit(self, node: WorkerController) -> None:
        longest_first = sorted(
            self.workqueue, key=lambda scope: _LONGEST.index(scope) if scope in _LONGEST else len(_LONGEST)
        )
        waits = self.nodes.index(node) % 2 == 0
        fitting = [scope for scope in longest_first if scope.startswith(_WAITING) == waits]
        self.workqueue.move_to_end((fitting or longest_first)[0], last=False)
        super()._assign_work_unit(node)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a long parameter by its length: every process tells the others all names, and one had 20 MB."""
    return f"{argname} of {len(val)}" if isinstance(val, str | bytes) and len(val) > 200 else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    return _Mixed(config, log) if config.getvalue("dist") == "loadfile" else None
