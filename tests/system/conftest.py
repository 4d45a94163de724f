"""Booted hosts for the tests of this directory; the journal in reports of failures."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.host import Host

ROOT = Path(__file__).parents[2]
_JOURNAL_UNITS = ("wxcontroller.service", "wxclient@*.service", "wxclient-*@*.service")


@pytest.fixture(scope="session")
def debs() -> list[Path]:
    """The packages of a host: the product, then the sandbox."""
    return [built("wxcontroller"), built("wxcontroller-sandbox")]


@pytest.fixture(scope="session")
def fleet_debs(debs: list[Path]) -> list[Path]:
    """The packages of a host whose accounts have owners in etcd."""
    return [*debs, built("wxcontroller-fleet")]


def built(package: str) -> Path:
    """Return one of our packages, built from the present sources."""
    subprocess.run([ROOT / "tests/system/build-debs"], check=True, stdin=subprocess.DEVNULL)
    [found] = (ROOT / "dist").glob(f"{package}_*.deb")
    return found


@pytest.fixture(scope="module")
def host(request: pytest.FixtureRequest, debs: list[Path]) -> Iterator[Host]:
    """A booted host with both packages installed."""
    with Host.up(_name(request), packages=debs) as booted:
        yield booted


@pytest.fixture(scope="module")
def bare_host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """A booted host without the product."""
    with Host.up(_name(request) + "-bare") as booted:
        yield booted


def _name(request: pytest.FixtureRequest) -> str:
    # With the pid, for several runs on one machine.
    module = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    return f"wx-{module}-{os.getpid()}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Add the journal of the units to the report of a failed test."""
    report = yield
    if report.when == "call" and report.failed:
        used = getattr(item, "funcargs", {}).values()
        for booted in {one for one in (getattr(each, "host", each) for each in used) if isinstance(one, Host)}:
            # An error here would end the whole run.
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                report.sections.append((f"journal of {booted.name}", booted.journal(*_JOURNAL_UNITS, lines=120)))
    return report
