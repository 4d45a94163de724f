"""Approving an agent on the page that its link opens."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.inthread import InThread, in_thread
from tests.page.browser import Browser
from tests.page.looks import faults
from tests.unit.controller.test_ilink import Stage, asks, served, status_of
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.access.tokenfile import TokenFile, minted
from wxcontroller.core.jsontypes import text

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[InThread[Stage]]:
    """A controller with an account."""
    with in_thread(served(tmp_path, ilink_pair_digits=True)) as running:
        yield running


@pytest.fixture
def address(host: InThread[Stage]) -> str:
    return host.entered.host.url


def test_an_administrator_approves_an_agent(host: InThread[Stage], browser: Browser) -> None:
    stage = host.entered
    token, kept = minted("me", Scope.ADMIN, (), None)
    TokenFile(stage.host.paths.tokens_file).add(kept)
    asked = host.run(asks(stage, {"User-Agent": "Helper/1.0 <b>"}))
    link = text(asked["qrcode_img_content"]).removeprefix(stage.host.url + "/")
    browser.open(link)
    browser.type("#login-form [name=token]", token)
    browser.click("#login-form button")
    browser.find("#pair-asks", "Helper/1.0 <b>")
    assert host.run(status_of(stage, asked))["status"] == "scaned"
    browser.open("#/access")
    browser.find("#pairings-table th", "Helper/1.0 <b>")
    browser.open(link)
    browser.click("#pair-form select[name=account] option", "alice")
    browser.type("#pair-form [name=consumer]", "helper")
    assert faults(browser) == []
    browser.click("#pair-form button", "Approve")
    digits = browser.text("#pair-done").rpartition(" ")[2]
    assert host.run(status_of(stage, asked, verify_code=digits))["status"] == "confirmed"
    # It is in the list of tokens, and can be revoked there.
    browser.open("#/access")
    browser.find("#tokens-table th", "helper")
    browser.click("#tokens-table [aria-label='Revoke: helper']")
    browser.click("dialog[open] button", "Revoke")
    browser.gone("#tokens-table th", "helper")
    browser.open(link)
    browser.find("#pair-problem", "link")
    assert [line for line in browser.complaints() if "404" not in line] == []
