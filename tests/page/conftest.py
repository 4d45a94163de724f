"""A booted host with the product and the sandbox, and a browser for each test."""

from collections.abc import Iterator

import pytest

from tests.page.browser import Browser, browsing
from tests.system.actors import Caller, Phone, Webhook, use_sandbox
from tests.system.conftest import debs, host, pytest_runtest_makereport
from tests.system.forward import forwarded
from tests.system.host import Host

__all__ = ["debs", "host", "pytest_runtest_makereport"]


@pytest.fixture(scope="module")
def address(host: Host) -> Iterator[str]:
    """Where a browser of this machine reaches the controller in the host."""
    use_sandbox(host)
    with forwarded(host, 2000) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def language() -> str:
    """What the user reads; tests may be parametrized by another one."""
    return "en"


@pytest.fixture
def browser(address: str, language: str) -> Iterator[Browser]:
    with browsing(address, language) as started:
        started.size(1280)
        yield started


@pytest.fixture(scope="module")
def caller(host: Host) -> Caller:
    return Caller(host)


@pytest.fixture(scope="module")
def phone(host: Host) -> Phone:
    return Phone(host)


@pytest.fixture
def hook(host: Host) -> Iterator[Webhook]:
    with Webhook(host) as listening:
        yield listening
