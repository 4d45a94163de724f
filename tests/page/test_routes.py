"""All routes on the page: an account from adding to removing, digits of a login, reply windows, waiting sends."""

import base64
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from selenium.webdriver.common.keys import Keys

from tests.page.browser import Browser
from tests.system.actors import Caller, Phone
from tests.unit.durability.routes import FILEHELPER, ILINK, Route

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
# Everything that an element says from now on.
LISTEN = """
const place = document.querySelector(arguments[0]);
window.spoken = [];
new MutationObserver(() => window.spoken.push(place.innerText)).observe(
  place, { subtree: true, childList: true, characterData: true, attributes: true });
"""
SPOKEN = "return window.spoken.join('\\n')"
# The answer to digits is on its way until the page is told to have it.
HOLD_ANSWER = """
window.atOnce = window.fetch;
window.fetch = async (url, ...more) => {
  const answer = await window.atOnce(url, ...more);
  if (String(url).endsWith("/input")) await new Promise((go) => { window.letAnswer = go; });
  return answer;
};
"""
NOTED = "return /sent/.test(document.querySelector('#add .digits [role=status]').textContent)"


def scan(caller: Caller, phone: Phone, name: str, uin: str, **how: bool) -> str:
    """Scan an account's code; return the login's id."""
    status, code = caller.v1("GET", f"/accounts/{name}/qr")
    assert status == 200, code
    uuid = phone.login_of(code["link"])
    phone.call("POST", f"/logins/{quote(uuid, safe='')}/scan", {"uin": uin, **how})
    return uuid


def write(phone: Phone, route: Route, uin: str, words: str) -> None:
    """Be a person who writes to an account."""
    call, body = route.write_call(phone.friend(uin), words)
    phone.call("POST", f"/accounts/{uin}/{call}", body)


@pytest.fixture(scope="module")
def bot(caller: Caller, phone: Phone, address: str) -> Iterator[tuple[str, str]]:
    """An account on the iLink route, and the uin of the person who scanned."""
    uin = phone.account("小红", friends=3, groups=1)
    caller.openwx("start_client", client="bot", driver="ilink")
    caller.until_state("bot", "scaning")
    phone.confirm(scan(caller, phone, "bot", uin))
    caller.until_state("bot", "running")
    yield "bot", uin
    caller.v1("DELETE", "/accounts/bot")


def test_a_bot_is_added_and_its_digits_are_entered(
    browser: Browser, caller: Caller, phone: Phone, bot: tuple[str, str]
) -> None:
    name, uin = "digits", phone.account("小明", friends=2, groups=0)
    caller.v1("DELETE", f"/accounts/{name}")  # of a try before
    browser.open()
    browser.click("#open-add")
    chosen = "return document.querySelector('#add [name=driver]:checked').value"
    assert browser.script(chosen) == "ilink"
    browser.picture("add-route")
    browser.script(LISTEN, "#add-login")
    browser.type("#add [name=name]", name)
    browser.click("#add-form .main")
    browser.until(lambda: browser.script("return document.querySelector('#add img')?.naturalWidth > 0"), "a code")
    assert caller.account(name)["driver"] == "ilink"
    uuid = scan(caller, phone, name, uin, verify=True)
    browser.find("#add .digits input")
    browser.picture("digits")
    [digits] = [one["digits"] for one in phone.call("GET", "/logins") if one["uuid"] == uuid]
    asked = browser.text("#add .hint")
    browser.type("#add .digits input", f"{(int(digits) + 1) % 10**6:06d}")
    browser.script(HOLD_ANSWER)
    browser.press(Keys.ENTER)
    browser.until(lambda: browser.text("#add .hint") != asked, "another question")
    browser.type("#add .digits input", digits)
    browser.until(lambda: browser.script("return Boolean(window.letAnswer)"), "an answer")
    browser.script("window.letAnswer()")
    browser.until(lambda: browser.script(NOTED), "a word about the answer")
    assert browser.script("return document.querySelector('#add .digits input').value") == digits
    browser.script("window.fetch = window.atOnce")
    browser.click("#add .digits button")
    browser.gone("#add .digits")
    phone.confirm(uuid)
    browser.find("#add li[data-step=run].done")
    assert "It is stopped" not in browser.script(SPOKEN)
    browser.click("#add-login [data-close]")
    assert browser.complaints() == []
    caller.v1("DELETE", f"/accounts/{name}")


@pytest.mark.parametrize(("width", "theme"), [(1280, "dark"), (360, "light")])
def test_windows_and_held_sends(
    browser: Browser, caller: Caller, phone: Phone, bot: tuple[str, str], width: int, theme: str
) -> None:
    name, _ = bot
    browser.size(width)
    browser.colours(theme)
    [friend] = caller.openwx("get_friend_info", client=name)
    held = caller.openwx("send_friend_message", client=name, id=friend["id"], content="one")
    assert held["code"] == -7
    browser.open(f"#/a/{name}")
    browser.click("#tab-chats")
    browser.click("#people button")
    browser.find("#messages [data-state=held] .meta.attention")
    # The route knows only an id of the person, which nobody reads.
    assert "until this person writes" in browser.text("#chat-window")
    assert "until this person writes" in browser.text("#messages [data-state=held] .meta")
    browser.picture(f"sends-{width}-{theme}")
    assert browser.script("return document.scrollingElement.scrollWidth") <= width
    browser.click("#messages [data-action=cancel]")
    browser.gone("#messages [data-state=held]")
    assert caller.v1("GET", f"/accounts/{name}/sends")[1]["sends"] == []
    assert browser.complaints() == []


def test_an_unknown_account_has_no_state(browser: Browser, bot: tuple[str, str]) -> None:
    browser.open(f"#/a/{bot[0]}")
    browser.find("#account-state.good")
    browser.script("location.hash = '#/a/nobody'")
    browser.find("#account-gone")
    browser.gone("#account-state", "Running")
    assert not browser.driver.find_element("css selector", "#account-about").text


# test_walk.py goes the whole way on the web route, and the other tests here are about the iLink route.
@pytest.mark.usefixtures("bot")  # the list is not empty
def test_an_account_of_file_transfer_from_adding_to_removing(browser: Browser, caller: Caller, phone: Phone) -> None:
    route, name, uin = FILEHELPER, "whole", phone.account("小张", friends=2, groups=1)
    caller.v1("DELETE", f"/accounts/{name}")  # of a try before
    browser.open()
    browser.click("#open-add")
    browser.type("#add [name=name]", name)
    browser.click(f"#add [name=driver][value={route.name}]")
    browser.click("#add-form .main")
    browser.until(lambda: browser.script("return document.querySelector('#add img')?.naturalWidth > 0"), "a code")
    phone.confirm(scan(caller, phone, name, uin))
    browser.find("#add li[data-step=run].done")
    browser.click("#add-login [data-close]")
    browser.find(f"#rows [data-account={name}] .state.good")

    write(phone, route, uin, "hello")
    browser.click(f"#rows [data-account={name}] a")
    browser.find("#account-state.good")
    browser.click("#tab-chats")
    browser.click("#people button")
    browser.find("#messages", "hello")
    asked = browser.script("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert any("/groups" in url for url in asked) == route.capabilities.groups
    assert browser.find("#attach").is_displayed() == any(kind.is_media for kind in route.capabilities.sends)
    browser.type("#send textarea", "welcome")
    browser.click("#send .main")
    browser.find("#send-result.good")
    [sent] = phone.call("GET", f"/accounts/{uin}/{route.sent_call}?wait=10")
    assert sent["text"] == "welcome"
    browser.picture(f"whole-{route.name}")

    browser.click("#account-more")
    browser.click("#menu [data-action=remove]")
    browser.click("#confirm-yes")
    browser.gone(f"#rows [data-account={name}]")
    assert browser.complaints() == []


def test_media_are_not_offered_while_wechat_refuses_them(browser: Browser, caller: Caller, phone: Phone) -> None:
    name, uin = "no-media", phone.account("小王", friends=1, groups=0)
    caller.openwx("start_client", client=name, driver="ilink")
    caller.until_state(name, "scaning")
    phone.confirm(scan(caller, phone, name, uin))
    caller.until_state(name, "running")
    write(phone, ILINK, uin, "a picture?")
    browser.open()
    browser.find(f"#rows [data-account={name}] .state.good")
    browser.click(f"#rows [data-account={name}] a")
    browser.click("#tab-chats")
    browser.click("#people button")
    browser.find("#messages", "a picture?")
    browser.find("#attach")
    phone.call("POST", f"/accounts/{uin}/ilink", {"media_refused": True})
    [friend] = caller.openwx("get_friend_info", client=name)
    data = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(100)).decode()
    picture = {"client": name, "id": friend["id"], "media_data": data, "media_name": "a.png"}
    for _ in range(2):  # the second refusal within minutes is the account's
        assert caller.openwx("send_friend_message", **picture)["refusal"] == "media-refused"
    browser.gone("#attach")
    browser.find("#sends-note", "media")
    browser.picture("media-refused")
    assert browser.complaints() == []
    caller.v1("DELETE", f"/accounts/{name}")
