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


@pytest.fixture
def sandbox() -> Iterator[str]:
    """The address of a sandbox with two accounts."""
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


def ask(url: str, body: Json = None, token: str = "", account: str = "") -> Json:
    headers = {"Authorization": f"Bearer {token}", "X-Wx-Account": account}
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_scan_with_digits_confirm_and_chat(sandbox: str, browser: Browser) -> None:
    browser.open()
    api = f"{sandbox}/ilink/bot"
    code = ask(f"{api}/get_bot_qrcode?bot_type=3", {}, account="%E5%B0%8F%E5%BA%97")["qrcode"]
    browser.find("#logins", "code of an iLink bot")
    browser.find("#logins h3", "小店")  # the client's name of its account
    browser.click("#logins button", "Scan, with digits")
    digits = browser.text("#logins strong")
    assert ask(f"{api}/get_qrcode_status?qrcode={code}")["status"] == "need_verifycode"
    browser.gone("#logins button", "Log in as")
    assert ask(f"{api}/get_qrcode_status?qrcode={code}&verify_code={digits}")["status"] == "scaned"
    browser.click("#logins button", "Log in as")
    browser.gone("#logins li")
    confirmed = ask(f"{api}/get_qrcode_status?qrcode={code}")
    token = confirmed["bot_token"]
    browser.find("#bot", confirmed["ilink_bot_id"])

    browser.click("#contacts button", "ClawBot")
    browser.type("#say textarea", "are you there?")
    browser.click("#say button", "Send")
    browser.find("#lines li.phone", "are you there?")
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
    browser.find("#lines li.bot", "yes <b>")
    browser.picture("phone-ilink")
    browser.click("header a", "中文")
    browser.find("h1", "手机")
    assert faults(browser) == []
    assert browser.complaints() == []
