"""A link that lets another person scan: made by a click, opened in another browser, good for one login."""

from pathlib import Path

import pytest

from tests.page.browser import Browser, browsing
from tests.page.looks import faults
from tests.page.test_walk import scanned
from tests.system.actors import Caller, Phone
from tests.system.host import Host

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


def test_another_person_scans_by_a_link(
    browser: Browser, address: str, caller: Caller, phone: Phone, host: Host, tmp_path: Path
) -> None:
    uin = phone.account("小红")
    caller.openwx("start_client", client="guest", driver="ilink")
    caller.until_state("guest", "scaning")
    token = host.run("wxctl", "token", "create", "owner", "--scope", "control").stdout.decode().strip()
    try:
        browser.open()
        browser.type("#login [name=token]", token)
        browser.click("#login .main")
        browser.click("#rows [data-account=guest] a")
        browser.click("#account-login [data-action=share]")
        link = browser.until(lambda: browser.find("#account-login .share input").get_property("value"), "a link")
        assert isinstance(link, str)
        browser.picture("link-1-made")

        with browsing(address, "zh-CN") as other, browsing(address) as late:
            other.driver.get(link)
            assert faults(other) == []
            other.picture("link-2-opened")
            other.click("#show")
            code = other.until(lambda: scanned(other, "#picture", tmp_path), "a code that can be read")
            assert "#" not in other.driver.current_url
            assert faults(other) == []
            other.picture("link-3-code")
            other.size(360)
            assert faults(other) == []
            assert "guest" not in other.script("return document.documentElement.outerHTML")
            other.driver.refresh()  # the same tab may load it again
            other.find("#picture[src]")
            late.driver.get(link)
            late.click("#show")
            late.find("#says")
            late.gone("#picture")
            late.picture("link-4-too-late")
            phone.scan(phone.login_of(code), uin)
            other.find("li[data-step=confirm][aria-current=step]")
            phone.confirm(phone.login_of(code))
            other.find("li[data-step=done].done")
            other.gone("#picture")
            assert other.complaints() == []
        browser.find("#account-state.good")
        assert browser.complaints() == []
    finally:
        host.run("wxctl", "token", "revoke", "owner", check=False)
    said = host.run("journalctl", "-u", "wxcontroller", "-o", "cat", "-g", "login link").stdout.decode()
    assert "created by token owner" in said
    assert "opened from" in said
    assert str(link).partition("#")[2] not in host.run("journalctl", "-o", "cat").stdout.decode()
