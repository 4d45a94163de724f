"""A fleet on the page: the command that moves accounts, and an account whose host does not respond."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.page.browser import Browser, new_tab
from tests.page.looks import faults
from tests.page.served import Served, serving_hosts
from tests.unit.fleet.conftest import tls
from tests.unit.fleet.hosts import FleetHost, fleet_of
from tests.unit.fleet.test_faults import down
from wxcontroller.controller.hosts.hostrows import HostRows
from wxcontroller.core.config.fleetsettings import EtcdSettings
from wxcontroller.core.states import LoginState
from wxcontroller.fleet.etcd import Etcd, EtcdEntry
from wxcontroller.fleet.owners import Owners
from wxcontroller.fleet.records import AccountRecord
from wxcontroller.fleet.takeoverplan import Outlooks

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures(tls.__name__)]
COMMANDS = "return [...document.querySelectorAll('#bulk-move code')].map((one) => one.textContent)"


@pytest.fixture
def fleet(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[list[Served]]:
    """Hosts ``a`` with alice and "my shop", and ``b`` with bob; ``a`` has the page."""
    request.getfixturevalue(tls.__name__)
    with serving_hosts(fleet_of(tmp_path, "a", "b")) as hosts:
        for host, names in zip(hosts, (("alice", "my shop"), ("bob",)), strict=True):
            for name in names:
                host.account(name, LoginState.RUNNING)
        yield hosts


@pytest.fixture
def browser(fleet: list[Served], language: str, browser_of: Callable[[str], Browser]) -> Iterator[Browser]:
    with new_tab(browser_of(language), fleet[0].machine.url) as tab:
        tab.size(1280)
        tab.open()
        tab.find("#rows [data-account=bob]")
        yield tab


def test_moving_is_a_command_for_root(browser: Browser) -> None:
    browser.click("#rows [data-all=running]")
    browser.click("#bulk [data-action=move]")
    assert browser.find("#bulk-move h2").text == "Move 3 accounts"
    assert browser.script(COMMANDS) == ["wxctl move alice 'my shop' b"]
    assert faults(browser) == []
    browser.script("document.querySelector('#bulk-move select').focus()")
    browser.press("a")
    browser.until(lambda: browser.script(COMMANDS) == ["wxctl move bob a"], "the accounts of the other host")
    assert "Run as root on b:" in browser.text("#bulk-move")
    assert browser.complaints() == []


def test_account_of_an_absent_host_shows_why_it_is_not_taken_over(browser: Browser, fleet: list[Served]) -> None:
    a, b = (cast("FleetHost", host.machine) for host in fleet)
    owners = Owners(cast("Etcd", None), "", "a", lambda: 0, 0)
    owners.accounts["bob"] = AccountRecord("bob", "b", 3, "started", cast("EtcdEntry", None))
    outlooks = Outlooks(owners, EtcdSettings(), lambda *_: 0)
    a.fleet._rows = HostRows(a.fleet.hosts, outlooks.held)
    fleet[0].run(down(a, b))
    row = "#rows-attention [data-account=bob]"
    browser.find(f"{row} .state.bad", "Host unreachable")
    assert "b" in browser.text(f"{row} th small").split(" · ")
    assert "Host b is unreachable" in browser.text(f"{row} .why")
    browser.click(f"{row} .why button")
    detail = browser.text(f"{row} .detail")
    assert "policy hold" in detail
    assert "wxctl claim bob" in detail
    browser.picture("host-unreachable")
    # Its page says the same, and offers nothing that its host would have to do.
    browser.click(f"{row} th a")
    assert "policy hold" in browser.text("#account-advice")
    browser.gone("#account-actions [data-action]")
    assert browser.complaints() == []
