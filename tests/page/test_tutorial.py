"""The pictures of the tutorial: what its reader sees on the dashboard and on the sandbox's phone.

They are kept in build/page; those in docs/pictures are copies of them, taken when the page has changed:
cp build/page/tutorial-*.png docs/pictures/
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.page.browser import Browser, browsing
from tests.system.actors import Caller, Phone, Webhook
from tests.system.forward import forwarded
from tests.system.host import Host

pytestmark = [pytest.mark.system, pytest.mark.timeout(200)]
ROOT = Path(__file__).parents[2]
UIN = "1234567001"
PICTURES = {"tutorial-1-code", "tutorial-2-phone", "tutorial-3-chat", "tutorial-4-events"}


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
    browser.find("#events li", "→")
    taken.add(browser.picture("tutorial-4-events"))
    assert {path.stem for path in taken} == PICTURES


def test_the_tutorial_shows_them() -> None:
    assert {path.stem for path in (ROOT / "docs/pictures").glob("*.png")} == PICTURES
    for page, place in (("docs/tutorial.md", ""), ("docs/zh/tutorial.md", "../")):
        text = (ROOT / page).read_text(encoding="utf-8")
        for name in PICTURES:
            assert f"]({place}pictures/{name}.png)" in text, (page, name)
