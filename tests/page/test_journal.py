"""The journal on the page: lines as they are written, none missing and none twice."""

import pytest

from tests.page.browser import Browser
from tests.system.actors import Caller, Phone, log_in
from tests.system.host import Host

pytestmark = [pytest.mark.system, pytest.mark.timeout(200)]
SHOWN = "return [...document.querySelectorAll('#journal li')].map((line) => line.textContent)"
ASKED = "return performance.getEntriesByType('resource').filter((one) => one.name.includes('/journal?')).length"


def test_lines_come_as_they_are_written(browser: Browser, host: Host, caller: Caller, phone: Phone) -> None:
    name = "logs"
    log_in(caller, phone, name, phone.account("小红", friends=3, groups=1))
    browser.open(f"#/a/{name}")
    browser.click("#tab-journal")
    browser.find("#journal li", "running: logged in as 小红")
    browser.find("#journal-note", "as they are written")
    caller.v1("POST", f"/accounts/{name}/stop")
    browser.find("#journal li", "Stopped wxclient@")
    assert browser.script(ASKED) == 0, "one request that does not end, and no other"
    host.run("systemctl", "restart", "wxcontroller.service")
    caller.v1("POST", f"/accounts/{name}/start")
    browser.until(
        lambda: sum("running: logged in" in line for line in browser.script(SHOWN)) == 2,
        "the second login, after all",
    )
    wanted = host.run("journalctl", "-q", "-o", "cat", "-u", f"wxclient@{name}", "-u", f"wxclient-prepare@{name}")
    lines = [line for line in wanted.stdout.decode().splitlines() if "Stopped wxclient@" in line]
    assert sum("Stopped wxclient@" in line for line in browser.script(SHOWN)) == len(lines) == 1
    assert browser.complaints() == []


def test_who_reads_further_up_is_left_there(browser: Browser, host: Host, caller: Caller, phone: Phone) -> None:
    log_in(caller, phone, "scrolls", phone.account("小明", friends=3, groups=1), log_level="debug", http_debug="1")
    browser.size(360, 600)
    browser.open("#/a/scrolls")
    browser.click("#tab-journal")
    browser.find("#journal li", "running: logged in")
    place = "const place = document.getElementById('journal'); "
    browser.until(
        lambda: browser.script(place + "return place.scrollHeight > place.clientHeight + 100"), "many lines"
    )
    at_end = place + "return place.scrollHeight - place.scrollTop - place.clientHeight < 40"
    browser.until(lambda: browser.script(at_end), "the end")
    browser.script(place + "place.scrollTop = 30")
    caller.v1("POST", "/accounts/scrolls/stop")
    browser.until(lambda: any("Stopped wxclient@" in line for line in browser.script(SHOWN)), "what is new")
    assert browser.script(place + "return place.scrollTop") == 30
    assert browser.complaints() == []
