"""The sandbox's phone page: a person lets an iLink client log in, and chats with its bot."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.i18n import compiled
from tests.page.browser import Browser
from tests.page.looks import faults

Json = Any


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    """A sandbox with two accounts; its address."""
    compiled()
    command = [sys.executable, "-m", "wxcontroller.sandbox", "serve", "--accounts=2", "--listen=127.0.0.1:0"]
    with subprocess.Popen(
        [*command, "--poll-hold=0", "--updates-hold=10"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.terminate()


@pytest.fixture
def address(sandbox: str) -> str:
    return sandbox


@pytest.fixture
def page(browser: Browser) -> Iterator[Browser]:
    browser.open()
    yield browser
    assert browser.complaints() == []


def ask(url: str, body: Json = None, token: str = "", account: str = "") -> Json:
    headers = {"Authorization": f"Bearer {token}", "X-Wx-Account": account}
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_scan_with_digits_confirm_and_chat(sandbox: str, page: Browser) -> None:
    api = f"{sandbox}/ilink/bot"
    code = ask(f"{api}/get_bot_qrcode?bot_type=3", {}, account="%E5%B0%8F%E5%BA%97")["qrcode"]
    page.find("#logins", "code of an iLink bot")
    page.find("#logins h3", "小店")  # what the client calls its account
    page.click("#logins button", "Scan, with digits")
    digits = page.text("#logins strong")
    assert ask(f"{api}/get_qrcode_status?qrcode={code}")["status"] == "need_verifycode"
    page.gone("#logins button", "Log in as")
    assert ask(f"{api}/get_qrcode_status?qrcode={code}&verify_code={digits}")["status"] == "scaned"
    page.click("#logins button", "Log in as")
    page.gone("#logins li")
    confirmed = ask(f"{api}/get_qrcode_status?qrcode={code}")
    token = confirmed["bot_token"]
    page.find("#bot", confirmed["ilink_bot_id"])

    page.click("#contacts button", "ClawBot")
    page.type("#say textarea", "are you there?")
    page.click("#say button", "Send")
    page.find("#lines li.phone", "are you there?")
    [message] = ask(f"{api}/getupdates", {}, token)["msgs"]
    assert message["item_list"][0]["text_item"]["text"] == "are you there?"
    answer = {
        "to_user_id": message["from_user_id"],
        "context_token": message["context_token"],
        "message_type": 2,
        "message_state": 2,
        "item_list": [{"type": 1, "text_item": {"text": "yes <b>"}}],
    }
    assert ask(f"{api}/sendmessage", {"msg": answer}, token)["ret"] == 0
    page.find("#lines li.bot", "yes <b>")
    page.picture("phone-ilink")


@pytest.mark.parametrize("language", ["zh-CN"])
def test_phone_page_is_in_chinese_and_in_the_dashboards_style(page: Browser) -> None:
    page.colours("dark")
    page.find("#accounts button")
    page.click("#contacts button", "好友")
    page.find("h1", "手机")
    assert faults(page) == []
    page.picture("phone-zh")
    assert page.script("return getComputedStyle(document.body).getPropertyValue('--main')")
    page.click("header a", "English")
    page.find("h1", "Phone")
