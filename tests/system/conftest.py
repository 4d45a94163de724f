"""A booted host with the built packages for the tests of this folder; its journal when one of them fails."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.host import Host

ROOT = Path(__file__).parents[2]
_JOURNAL_UNITS = ("wxcontroller.service", "wxclient@*.service", "wxclient-prepare@*.service")


@pytest.fixture(scope="session")
def debs() -> list[Path]:
    """The packages of one host: the product first, then the sandbox."""
    return [built("wxcontroller"), built("wxcontroller-sandbox")]


@pytest.fixture(scope="session")
def fleet_debs(debs: list[Path]) -> list[Path]:
    """The packages of a host whose accounts have owners in etcd."""
    return [*debs, built("wxcontroller-fleet")]


def built(package: str) -> Path:
    """Return a package of ours, built from the sources as they are."""
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
    """A booted host that has never seen the product."""
    with Host.up(_name(request) + "-bare") as booted:
        yield booted


def _name(request: pytest.FixtureRequest) -> str:
    # With the process: two runs of the tests on one machine don't meet.
    module = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    return f"wx-{module}-{os.getpid()}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Add the journal of the units to the report of a test that failed."""
    report = yield
    if report.when == "call" and report.failed:
        for fixture in ("host", "bare_host"):
            booted = getattr(item, "funcargs", {}).get(fixture)
            if isinstance(booted, Host):
                report.sections.append(("journal of the host", booted.journal(*_JOURNAL_UNITS, lines=120)))
                break
        else:
            world = getattr(item, "funcargs", {}).get("world")
            if world is not None:
                report.sections.append(("journal of the host", world.host.journal(*_JOURNAL_UNITS, lines=120)))
    return report
