"""A running sandbox with impatient polls, and somebody logged in."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.sandbox.wire import Browser, sandbox_and_browser
from wxcontroller.sandbox.sandbox import Options, Sandbox

UIN = 1_234_567_001


@pytest.fixture
def strict() -> bool:
    """Whether the sandbox of the test refuses every breach of the protocol."""
    return False


@pytest.fixture
async def pair(strict: bool) -> AsyncIterator[tuple[Sandbox, Browser]]:
    async with sandbox_and_browser(Options(poll_hold=0.2, sync_hold=0.2, strict=strict)) as both:
        yield both


@pytest.fixture
def sandbox(pair: tuple[Sandbox, Browser]) -> Sandbox:
    return pair[0]


@pytest.fixture
def browser(pair: tuple[Sandbox, Browser]) -> Browser:
    """The browser of the test, not logged in."""
    return pair[1]


@pytest.fixture
async def online(browser: Browser) -> Browser:
    """The browser, logged in as the first account."""
    await browser.log_in(UIN)
    return browser
