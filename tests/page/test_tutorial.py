"""The pictures of README and the tutorial: the dashboard, and the sandbox's phone.

They are written to build/page. After a change of the page, copy them to docs/pictures:
cp build/page/{dashboard*,tutorial-*}.png docs/pictures/
"""

import json
import time
from collections.abc import Callable, Iterator

import pytest

from tests.page.browser import Browser, browsing, new_tab
from tests.page.served import Served, serving
from tests.system.actors import Caller, Phone, Webhook
from tests.system.forward import forwarded
from tests.system.host import Host
from wxcontroller import __version__
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.states import LoginState
from wxcontroller.core.text.templates import Text, text_fields

pytestmark = [pytest.mark.system, pytest.mark.timeout(200)]
UIN = "1234567001"
# Name, person, route and last minutes of the running accounts in README's picture.
RUNNING = (
    ("agent", "小智", "ilink", "r" * 50),
    ("notifier", "告警", "filehelper", "r" * 50),
    ("shop-1", "网店一号", "web", "r" * 50),
    ("shop-2", "网店二号", "web", "r" * 31 + "o" * 2 + "r" * 17),
    ("shop-3", "网店三号", "ilink", "n" * 20 + "r" * 30),
    ("support", "客服", "ilink", "r" * 50),
)
# README's picture in each language.
DASHBOARDS = {"en": "dashboard", "zh-CN": "dashboard.zh-CN"}


@pytest.fixture
def bot(host: Host) -> Iterator[Webhook]:
    """The bot of the tutorial, at its address."""
    with Webhook(host, port=8080) as listening:
        listening.reply = lambda report: (
            {"reply": "you said: " + report["content"]} if report["post_type"] == "receive_message" else {}
        )
        yield listening


@pytest.mark.usefixtures("bot")
def test_the_pictures_of_the_tutorial(browser: Browser, host: Host, caller: Caller, phone: Phone) -> None:
    host.run(*("wxctl", "start", "alice", "--driver", "ilink"), "--post-api", "http://127.0.0.1:8080/", "--no-wait")
    caller.until_state("alice", "scaning")
    browser.size(1000, 700)
    browser.open()
    browser.click("#rows [data-account='alice'] a", "alice")
    browser.find("img[alt*='alice']")
    loaded = "return document.querySelector(\"img[alt*='alice']\")?.naturalWidth > 0"
    browser.until(lambda: browser.script(loaded), "the QR code's picture")
    browser.picture("tutorial-1-code")
    with forwarded(host, 2100) as port, browsing(f"http://127.0.0.1:{port}") as handset:
        handset.size(1000, 700)
        handset.open()
        handset.find("button", "Scan as")
        handset.picture("tutorial-2-phone")
        handset.click("button", "Scan as")
        handset.click("button", "Log in as")
        caller.until_state("alice", "running")
        phone.call("POST", f"/accounts/{UIN}/phone-send", {"to": "clawbot", "text": "are you there?"})
        handset.click("#contacts button", "ClawBot")
        handset.find("body", "you said: are you there?")
        handset.picture("tutorial-3-chat")
    browser.click("#tab-events")
    browser.find("#account-state.good")  # not before: the code would still be above the events
    browser.find("#events li b", "→")  # the answer, not a change of state
    browser.picture("tutorial-4-events")


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """README's accounts: of each route, with a history; one is offline, one shows a code, one is stopped."""
    with serving(tmp_path_factory.mktemp("several")) as one:
        now = int(time.time())
        for number, (name, person, driver, beats) in enumerate(RUNNING):
            hours = [8 + (hour * (number + 3) * 7) % 11 + 6 * (8 < hour < 20) for hour in range(24)]
            one.account(name, LoginState.RUNNING, driver, beats, hours, user={"id": f"u-{name}", "name": person})
            received: JsonObject = {"received": now - (number * 47 + 3) % 400}
            instance = one.machine.process(name).instance
            status: JsonObject = {"instance": instance, "version": __version__, "last_message_time": received}
            one.machine.process(name).status = json.dumps(status).encode()
        why = Text(
            "cannot connect to {host}: {reason}", host="ilinkai.weixin.qq.com", reason=Text("connection refused")
        )
        family: JsonObject = {"id": "u-family", "name": "谢敏"}
        one.account("family", LoginState.OFFLINE, user=family, state_since=now - 300, **text_fields(reason=why))
        code = Text("waiting for a scan of QR code {number} of {limit}", number=2, limit=10)
        link = "https://login.weixin.qq.com/l/AbC"
        scans: JsonObject = {"qrcode_link": link, "user": None, "state_since": now - 250, **text_fields(status=code)}
        one.account("sales", LoginState.SCANNING, "web", **scans)
        one.account("backup", None, "web")
        yield one


@pytest.mark.parametrize("language", DASHBOARDS)
def test_dashboard_of_readme_shows_several_accounts(
    several: Served, browser_of: Callable[[str], Browser], language: str
) -> None:
    with new_tab(browser_of(language), several.machine.url) as browser:
        browser.size(1280, 690)
        browser.open()
        browser.find("#rows [data-account=backup]")
        for name, *_ in RUNNING:
            browser.find(f"#rows [data-account='{name}'] .minutes svg[aria-label]")
            browser.find(f"#rows [data-account='{name}'] .number [title]:not([title=''])")
        browser.picture(DASHBOARDS[language])
