"""What programs say in English is Chinese on the Chinese page, and whole where it is not known."""

import json
import re
from urllib.parse import quote

import pytest

from tests.page.browser import Browser
from tests.page.said import sentences
from tests.system.actors import Caller, Phone, Webhook, log_in
from tests.system.host import Host

pytestmark = [pytest.mark.system, pytest.mark.timeout(200)]
SAY = """
const [texts, done] = arguments;
const at = document.querySelector("script[type=module]").src.replace("main.js", "said.js");
import(at).then(({ say }) => done(texts.map(say)));
"""
CHINESE = re.compile(r"[\u4e00-\u9fff]")
# Two English words in a row that are no name, option, command or address: something was left as it was.
ENGLISH = re.compile(r"(?<![\w/.:=-])[a-z]{2,} [a-z]{2,}(?![\w/.:=@-])")
LITERAL = re.compile(
    r"(wxctl|systemctl|journalctl|resolvectl|fuser|curl|systemd-tmpfiles) [^；。，）]*|'[^']*'|"
    r"parameter token|option proxy"
)


def said(browser: Browser, *texts: str) -> list[str]:
    return list(browser.driver.execute_async_script(SAY, list(texts)))


@pytest.mark.parametrize("language", ["zh-CN"])
def test_each_sentence_is_said_in_chinese(browser: Browser) -> None:
    browser.open()
    browser.find("#list")
    values = {str(number): f"VALUE{number}" for number in range(1, 10)}
    given = [re.sub(r"\{(\d)\}", lambda each: values[str(each[1])], sentence) for sentence in sentences()]
    for english, chinese in zip(given, said(browser, *given), strict=True):
        assert CHINESE.search(chinese), english
        assert sorted(re.findall(r"VALUE\d", chinese)) == sorted(re.findall(r"VALUE\d", english)), chinese
        assert not ENGLISH.search(LITERAL.sub("", chinese)), chinese


TOGETHER = {
    "no phone scanned any of the QR codes: none of 10 QR codes led to a login; "
    "start the account again to get new ones": (
        "没有手机扫描二维码：10 个二维码都没有完成登录；再次启动帐号可得到新的二维码"
    ),
    "no news from WeChat, trying on: synccheck: can't connect to wx.qq.com: nobody listens there; "
    "a firewall or the network may be in the way; it is tried again": (
        "收不到微信的消息，正在重试：synccheck：无法连接 wx.qq.com：对方没有程序在监听；"
        "可能被防火墙或网络拦住；会自动重试"
    ),
    "logging in does not get on, trying again: jslogin: no answer in time; "
    "WeChat may be down or the network interrupted; it is tried again": (
        "登录没有进展，正在重试：jslogin：没有及时应答；微信可能有故障，或者网络中断；会自动重试"
    ),
    "cannot store incoming messages: database or disk is full; check the account's disk": (
        "无法保存收到的消息：数据库或磁盘已满；请检查该帐号的磁盘"
    ),
    "webwxsendmsg: WeChat answered 1205; too frequent: wait an hour and send more slowly (option send_interval)": (
        "webwxsendmsg：微信应答 1205；操作太频繁：请等一小时，并放慢发送（选项 send_interval）"
    ),
    "option post_api must be an absolute http:// or https:// URL": (
        "选项 post_api 必须是以 http:// 或 https:// 开头的完整 URL"
    ),
    # Not ours: it is shown as it came.
    "the moon is in the way": "the moon is in the way",
    "tides: the moon is in the way": "tides: the moon is in the way",
    "the moon is in the way; start it again": "the moon is in the way；请再次启动它",
    "": "",
}


@pytest.mark.parametrize("language", ["zh-CN"])
def test_sentences_in_sentences(browser: Browser) -> None:
    browser.open()
    browser.find("#list")
    for english, chinese in TOGETHER.items():
        assert said(browser, english) == [chinese]


def test_in_english_nothing_is_changed(browser: Browser) -> None:
    browser.open()
    browser.find("#list")
    given = [*sentences(), "the moon is in the way; start it again"]
    assert said(browser, *given) == given


@pytest.mark.parametrize(
    ("retcode", "why"),
    [
        (
            1204,
            {
                "en": "WeChat answered 1204; the target is not a friend",
                "zh-CN": "微信应答 1204；对方不是此帐号的好友",
            },
        ),
        (
            1205,
            {"en": "too frequent: wait an hour and send more slowly", "zh-CN": "操作太频繁：请等一小时，并放慢发送"},
        ),
    ],
)
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_why_something_was_not_sent_is_told_with_the_remedy(
    browser: Browser,
    caller: Caller,
    phone: Phone,
    hook: Webhook,
    language: str,
    retcode: int,
    why: dict[str, str],
) -> None:
    uin = phone.account("小红", friends=3, groups=1)
    name = f"sends-{language.lower()}-{retcode}"
    log_in(caller, phone, name, uin, post_api=hook.address, send_interval="0")
    expected = {"en": "It was not sent.", "zh-CN": "未发送。"}[language], why[language]
    browser.open(f"#/a/{name}")
    browser.click("#tab-people")
    browser.click("#people button")
    with phone.fault("webwxsendmsg", "retcode", retcode):
        browser.type("#send textarea", "hello")
        browser.click("#send .main")
        shown = browser.find("#send-result", expected[0]).text
        assert expected[1] in shown
        browser.picture(f"{language.lower()}-not-sent")
    browser.click("#tab-events")
    browser.find("#events .bad", expected[1])
    assert browser.complaints() == []


@pytest.mark.parametrize("language", ["zh-CN"])
def test_refusals_of_the_controller_and_of_a_program(browser: Browser, caller: Caller, language: str) -> None:
    browser.open()
    browser.click("#open-add")
    browser.type("#add [name=name]", "a/b")
    browser.click("#add-form .main")
    said_ = browser.text("#add-problem")
    assert "帐号名称 'a/b' 含有" in said_
    assert not re.search(r"account|letters|digits", said_)
    browser.type("#add [name=name]", "hooked")
    browser.type("#add [name=post_api]", "ftp://127.0.0.1/")
    browser.click("#add-form .main")
    assert (
        "选项 post_api 必须是以 http:// 或 https:// 开头的完整 URL" in browser.find("#add-problem", "post_api").text
    )
    browser.picture("zh-cn-add-problem")
    assert json.dumps(caller.v1("GET", "/accounts")[1]).count('"hooked"') == 0


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_why_an_account_has_given_up(browser: Browser, caller: Caller, phone: Phone, language: str) -> None:
    name = f"unscanned-{language.lower()}"
    caller.openwx("start_client", client=name, qrcode_count_max="1")
    caller.until_state(name, "scaning")
    phone.act(phone.login_of(caller.v1("GET", f"/accounts/{name}/qr")[1]["link"]), "expire")
    browser.open()
    row, whole = {
        "en": ("No phone scanned any of the QR codes", "none of 1 QR codes led to a login; start the account again"),
        "zh-CN": ("没有手机扫描二维码", "1 个二维码都没有完成登录；再次启动帐号可得到新的二维码"),
    }[language]
    browser.find(f"#rows [data-account={name}] small", row)
    browser.picture(f"{language.lower()}-given-up-list")
    browser.click(f"#rows [data-account={name}] a")
    browser.find("#account-advice", whole)
    browser.picture(f"{language.lower()}-given-up")
    caller.v1("DELETE", f"/accounts/{name}")


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_what_keeps_an_account_offline_is_told(
    browser: Browser, host: Host, caller: Caller, phone: Phone, language: str
) -> None:
    """Its disk is full: it is not WeChat that is out of reach."""
    name = f"full-{language.lower()}"
    place = f"/var/lib/private/wxclient/{name}"
    uin = phone.account("满", friends=3, groups=1)
    log_in(caller, phone, name, uin)
    caller.v1("POST", f"/accounts/{name}/stop")
    host.run("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place)
    try:
        log_in(caller, phone, name, uin)
        host.run("sh", "-c", f"head -c 2M /dev/zero > {place}/filler; true")
        phone.write(uin, phone.friend(uin), "does not fit")
        browser.open()
        state, why = {
            "en": ("Offline", "Cannot store incoming messages: database or disk is full; check the account's disk"),
            "zh-CN": ("离线", "无法保存收到的消息：数据库或磁盘已满；请检查该帐号的磁盘"),
        }[language]
        browser.find(f"#rows [data-account={name}] .state.bad", state)
        browser.find(f"#rows [data-account={name}] small", why)
        browser.click(f"#rows [data-account={name}] a")
        browser.find("#account-advice", why)
        browser.picture(f"{language.lower()}-disk-full")
        host.run("rm", f"{place}/filler")
        browser.find("#account-state.good")
    finally:
        caller.v1("POST", f"/accounts/{name}/stop")
        host.run("umount", place)
    assert browser.complaints() == []


# Words in Latin letters on the page, but for commands, addresses, options, and what people call themselves.
LATIN = """
const apart = "code, #journal, #people, #options dt, #events b + *, #account-name, #account-user, [lang=en], footer";
const found = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walk.nextNode(); node; node = walk.nextNode()) {
  const parent = node.parentElement;
  if (!parent.closest(apart) && parent.checkVisibility()) found.push(node.textContent);
}
const named = /[\\x21-\\x7e]*[@/._=:-][\\x21-\\x7e]*/g;
return found.map((text) => text.replace(named, "").match(/[A-Za-z]{3,}/g) ?? []).flat();
"""
PROGRAMS = {"wxctl", "wxcontroller", "wxclient", "systemd", "journalctl"}
NAMES = {*PROGRAMS, "webhook", "Webhook", "web", "NAME", "client", "true"}


@pytest.mark.parametrize("language", ["zh-CN"])
def test_nothing_english_is_left_on_the_chinese_page(
    browser: Browser, host: Host, caller: Caller, phone: Phone, language: str
) -> None:
    uin = phone.account("小红", friends=3, groups=1)
    log_in(caller, phone, "店一", uin, post_api="http://127.0.0.1:9/hook")
    phone.call("POST", f"/accounts/{uin}/befriend", {"who": "新来的"})
    refused = phone.account("小刚", friends=2, groups=0, web_login="refused")
    caller.openwx("start_client", client="店二")
    caller.until_state("店二", "scaning")
    uuid = phone.login_of(caller.v1("GET", f"/accounts/{quote('店二')}/qr")[1]["link"])
    phone.scan(uuid, refused)
    phone.confirm(uuid)
    caller.until_state("店二", "stop")  # until its owner agrees to desktop mode
    browser.open()
    browser.find("#rows .state.bad")
    browser.until(lambda: browser.driver.find_elements("css selector", "#rows span.attention"), "a mark", seconds=60)
    left = {"list": browser.script(LATIN)}
    for name in ("店一", "店二"):
        browser.open(f"#/a/{name}")
        browser.find("#events li")
        for tab in ("events", "people", "deliveries", "options"):
            browser.click(f"#tab-{tab}")
            browser.find({"people": "#people-note", "deliveries": "#deliveries-note"}.get(tab, f"#{tab} > *"))
            left[f"{name} {tab}"] = browser.script(LATIN)
    assert "Webhook" in left["店一 events"]
    assert {where: set(words) - NAMES for where, words in left.items() if set(words) - NAMES} == {}
