"""The pictures of README and the tutorial: the dashboard, and the sandbox's phone.

They are kept in build/page; those in docs/pictures are copies of them, taken when the page has changed:
cp build/page/{dashboard*,tutorial-*}.png docs/pictures/
"""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.page.browser import Browser, browsing
from tests.system.actors import Caller, Phone, Webhook, log_in
from tests.system.forward import forwarded
from tests.system.host import Host

pytestmark = [pytest.mark.system, pytest.mark.timeout(200)]
UIN = "1234567001"
PICTURES = {"tutorial-1-code", "tutorial-2-phone", "tutorial-3-chat", "tutorial-4-events"}
# README's, by its language.
DASHBOARDS = {"en": "dashboard", "zh-CN": "dashboard.zh-CN"}


@pytest.fixture
def bot(host: Host) -> Iterator[Webhook]:
    """The tutorial's, at its address."""
    with Webhook(host, port=8080) as listening:
        listening.reply = lambda report: (
            {"reply": "you said: " + report["content"]} if report["post_type"] == "receive_message" else {}
        )
        yield listening


@pytest.mark.usefixtures("bot")
def test_the_pictures_of_the_tutorial(browser: Browser, host: Host, caller: Caller, phone: Phone) -> None:
    host.run("wxctl", "start", "alice", "--post-api", "http://127.0.0.1:8080/", "--no-wait")
    caller.until_state("alice", "scaning")
    browser.size(1000, 700)
    browser.open()
    browser.click("#rows [data-account='alice'] a", "alice")
    browser.find("img[alt*='alice']")
    loaded = "return document.querySelector(\"img[alt*='alice']\")?.naturalWidth > 0"
    browser.until(lambda: browser.script(loaded), "the QR code's picture")
    taken = {browser.picture("tutorial-1-code")}
    with forwarded(host, 2100) as port, browsing(f"http://127.0.0.1:{port}") as handset:
        handset.size(1000, 700)
        handset.open()
        handset.find("button", "Scan as")
        taken.add(handset.picture("tutorial-2-phone"))
        handset.click("button", "Scan as")
        handset.click("button", "Log in as")
        caller.until_state("alice", "running")
        phone.write(UIN, "同事小明", "are you there?")
        phone.sent(UIN)
        handset.click("#contacts button", "同事小明")
        handset.find("body", "you said: are you there?")
        taken.add(handset.picture("tutorial-3-chat"))
    browser.click("#tab-events")
    browser.find("#events li", "→")
    taken.add(browser.picture("tutorial-4-events"))
    assert {path.stem for path in taken} == PICTURES


@pytest.fixture(scope="module")
def several(host: Host, address: str, caller: Caller, phone: Phone) -> Iterator[None]:
    """Three desks, an agent on the iLink route, a code to scan, an account that is stopped."""
    host.run("wxctl", "remove", "alice", "--yes", check=False)  # the tutorial's
    with Webhook(host) as hook:
        for name, person in (("shop-1", "网店一号"), ("shop-2", "网店二号"), ("support", "客服")):
            uin = phone.account(person)
            log_in(caller, phone, name, uin, post_api=hook.address)
            phone.write(uin, phone.friend(uin), "在吗")
        caller.openwx("start_client", client="agent", driver="ilink", post_api=hook.address)
        caller.until_state("agent", "scaning")
        [code] = parse_qs(urlsplit(caller.v1("GET", "/accounts/agent/qr")[1]["link"]).query)["qrcode"]
        phone.scan(code, phone.account("小助手"))
        phone.confirm(code)
        caller.until_state("agent", "running")
        log_in(caller, phone, "notifier", phone.account("通知"))
        caller.openwx("stop_client", client="notifier")
        caller.openwx("start_client", client="sales")
        caller.until_state("sales", "scaning")
        yield


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize("language", DASHBOARDS)
def test_dashboard_of_readme_shows_several_accounts(browser: Browser, language: str) -> None:
    browser.size(1280, 620)
    browser.open()
    for name in ("agent", "notifier", "sales", "shop-1", "shop-2", "support"):
        browser.find(f"#rows [data-account='{name}']")
    browser.find("#rows [data-account='shop-1'] .minutes svg[aria-label]")
    browser.picture(DASHBOARDS[language])
