"""A booted host with the product and the sandbox, and a fresh tab of a browser for each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.page.browser import Browser, browsing, new_tab
from tests.system.actors import Caller, Phone, Webhook, use_sandbox
from tests.system.conftest import debs, host, pytest_runtest_makereport
from tests.system.forward import forwarded
from tests.system.host import Host

__all__ = ["debs", "host", "pytest_runtest_makereport"]


@pytest.fixture(scope="module")
def address(host: Host) -> Iterator[str]:
    """The controller's URL for a browser of this machine."""
    use_sandbox(host)
    with forwarded(host, 2000) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def language() -> str:
    """The browser's language; tests may be parametrized by another one."""
    return "en"


@pytest.fixture(scope="session")
def browser_of() -> Iterator[Callable[[str], Browser]]:
    """One browser for each language, shared by all tests: starting one takes seconds."""
    with ExitStack() as stack:
        started = dict[str, Browser]()

        def of(language: str) -> Browser:
            if language not in started:
                started[language] = stack.enter_context(browsing("", language))
            return started[language]

        yield of


@pytest.fixture
def browser(address: str, language: str, browser_of: Callable[[str], Browser]) -> Iterator[Browser]:
    with new_tab(browser_of(language), address) as tab:
        tab.size(1280)
        yield tab


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
