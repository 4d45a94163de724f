"""For all tests, in one process or in several."""

import signal

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

# A shell that puts us into the background has interrupts ignored, and what we start would inherit that: tests of
# Ctrl-C could not press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Files in booted hosts and a browser mostly wait. Those that wait longest come first.
_WAITING = ("tests/system/", "tests/page/")
_LONGEST = tuple(f"tests/system/test_{name}.py" for name in ("stuck", "bad_days", "packaging", "alerts", "upgrade"))


class _Mixed(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Each file in one process; every other process begins with files that wait, the rest with those that compute.

    xdist begins with files of many tests: the few long ones of booted hosts would come last, side by side, and the
    processors would have nothing to do at the end.
    """

    def _assign_work_unit(self, node: WorkerController) -> None:
        waits = [scope for scope in self.workqueue if scope.startswith(_WAITING)]
        computes = [scope for scope in self.workqueue if not scope.startswith(_WAITING)]
        waits.sort(key=lambda scope: _LONGEST.index(scope) if scope in _LONGEST else len(_LONGEST))
        first, second = (waits, computes) if self.nodes.index(node) % 2 == 0 else (computes, waits)
        self.workqueue.move_to_end((first or second)[0], last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    return _Mixed(config, log) if config.getvalue("dist") == "loadfile" else None
