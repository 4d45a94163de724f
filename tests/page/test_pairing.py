"""Approving an agent on the page that its link opens."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import pytest

from tests.page.browser import Browser
from tests.page.looks import faults
from tests.patience import PATIENCE
from tests.unit.controller.test_ilink import Stage, asks, served, status_of
from wxcontroller.core.access import Scope
from wxcontroller.core.jsontypes import text
from wxcontroller.core.tokens import TokenFile, minted

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
T = TypeVar("T")


class Host:
    """A controller with an account, in a thread of its own: the test itself waits for the browser."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._loop = asyncio.new_event_loop()
        self._ready: Future[Stage] = Future()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    def __enter__(self) -> "Host":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(PATIENCE)

    async def _run(self) -> None:
        async with served(self._root, ilink_pair_digits=True) as stage:
            self._ready.set_result(stage)
            await self._ended.wait()

    @property
    def stage(self) -> Stage:
        return self._ready.result(PATIENCE)

    def do(self, work: Coroutine[object, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with Host(tmp_path) as started:
        yield started


@pytest.fixture
def address(host: Host) -> str:
    return host.stage.host.url


def test_an_administrator_approves_an_agent(host: Host, browser: Browser) -> None:
    stage = host.stage
    token, kept = minted("me", Scope.ADMIN, (), None)
    TokenFile(stage.host.paths.tokens_file).add(kept)
    asked = host.do(asks(stage, {"User-Agent": "Helper/1.0 <b>"}))
    link = text(asked["qrcode_img_content"]).removeprefix(stage.host.url + "/")
    browser.open(link)
    browser.type("#login-form [name=token]", token)
    browser.click("#login-form button")
    browser.find("#pair-asks", "Helper/1.0 <b>")
    assert host.do(status_of(stage, asked))["status"] == "scaned"
    browser.open("#/access")
    browser.find("#pairings-table th", "Helper/1.0 <b>")
    assert faults(browser) == []
    browser.picture("access-pairings")
    browser.open(link)
    browser.click("#pair-form select[name=account] option", "alice")
    browser.type("#pair-form [name=consumer]", "helper")
    assert faults(browser) == []
    browser.picture("pairing")
    browser.click("#pair-form button", "Approve")
    digits = browser.text("#pair-done").rpartition(" ")[2]
    assert host.do(status_of(stage, asked, verify_code=digits))["status"] == "confirmed"
    browser.open(link)
    browser.find("#pair-problem", "link")
    assert [line for line in browser.complaints() if "404" not in line] == []
