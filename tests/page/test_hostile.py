"""An administrator opens everything of an account whose program or host forges what could become a request."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus, urlencode

import pytest
from aiohttp import web

from tests.page import forgeries
from tests.page.browser import Browser, new_tab
from tests.page.forgeries import CALL, IDS, VICTIM
from tests.page.served import Served, serving, serving_hosts
from tests.system import actors
from tests.system.actors import Caller, Phone, log_in, use_sandbox
from tests.system.forward import forwarded
from tests.system.host import Host
from tests.system.units import dropin, port_of
from tests.tokens import token
from tests.unit.fleet.conftest import tls
from tests.unit.fleet.hosts import fleet_of
from wxcontroller.controller.accounts.loginlinks import LoginLink
from wxcontroller.controller.accounts.view import View, account_json
from wxcontroller.controller.apis.v1.account import rows
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.condition.facts import Assessment
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.states import LoginState

pytestmark = pytest.mark.timeout(300)
PROGRAM = "/usr/local/lib/forgeries.py"
UNIT = "wxclient@mallory.service"
# What a call for the victim would change.
KEPT = ("desired", "unit_state", "pid", "start_time", "post_api", "user")
# All requests of the page while it shows mallory: of another account only its picture, events and chats, by its name.
EXPECTED = re.compile(
    r"""GET\ /(page/.*)?|
    GET\ /v1/(access|accounts|events|deliveries|health(/units)?|alerts|tokens|login-links|targets|openapi\.json)|
    GET\ /v1/fleet(/self)?|
    GET\ /v1/ilink/pairings|
    GET\ /openwx/get_avatar\?client=(mallory|bob)&id=[^&]*|
    GET\ /v1/accounts/(mallory|bob)/(events\?(limit=1|after=\d+&limit=\d+)|chats\?limit=20)|
    GET\ /v1/events\?account=mallory|
    GET\ /v1/accounts/mallory(/(options|deliveries\?limit=100|journal\?lines=200|qr\?format=svg))?|
    GET\ /v1/accounts/mallory/(chats|contacts|groups)\?limit=\d+(&after=[^&]*)?|
    GET\ /v1/accounts/mallory/messages\?chat=[^&]*&limit=50(&before=[^&]*)?|
    GET\ /v1/accounts/mallory/media/mojo_weixin_media_[0-9a-f_]+\.png|
    DELETE\ /v1/accounts/mallory/(messages|login-links)/[^/?]+|
    POST\ /v1/accounts/mallory/(deliveries/(replay|ack)|login-links)""",
    re.VERBOSE,
)
PEOPLE = "return [...document.querySelectorAll('#people button')].map((one) => one.dataset.id)"
# Clicks on every control that fits; those that it replaces meanwhile are clicked, too.
CLICK_ALL = "document.querySelectorAll(arguments[0]).forEach((one) => one.click())"
COUNT = "return document.querySelectorAll(arguments[0]).length"


def sign_in(browser: Browser, shown: str, received: list[str]) -> None:
    """Sign in with a token. What was received before does not count."""
    received.clear()
    browser.open()
    browser.type("#login-form [name=token]", shown)
    browser.click("#login-form button")
    browser.find("#rows [data-account=mallory]")


def unexpected(received: list[str]) -> list[str]:
    return [one for one in received if not EXPECTED.fullmatch(one)]


def wait_for(browser: Browser, received: list[str], requests: Iterable[str]) -> None:
    """Wait until the controller has received these requests, and fail at one that the page must not make."""

    def arrived() -> bool:
        assert unexpected(received) == []
        return not set(requests) - set(received)

    browser.until(arrived, f"all of {requests}")


def run_forging(served: Served, name: str) -> None:
    """Have the program of an account answer as ``forgeries`` does."""

    async def serve(request: web.Request) -> web.StreamResponse:
        await request.read()
        kind, body = forgeries.answer(request.method, request.raw_path)
        return web.Response(body=body, headers={"Content-Type": kind})

    process = served.machine.process(name)
    process.serve = process.serve_events = serve
    process.status = forgeries.answer("GET", "/v1/status")[1]
    process.write(json.dumps(forgeries.state(name)).encode())


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as one:
        for name in ("mallory", VICTIM):
            one.account(name, LoginState.RUNNING, "web")
        run_forging(one, "mallory")
        yield one


@pytest.fixture
def address(served: Served) -> str:
    return served.machine.url


def open_conversations(browser: Browser, received: list[str]) -> None:
    """Open the first chat, save its files and cancel its sends, and open each other one."""
    browser.open("#/a/mallory/chats")
    browser.find("#people button")
    chats = browser.script(PEOPLE)
    assert set(IDS) <= set(chats)
    browser.click("#people button")
    browser.find("#messages [data-action=save]")
    messages = "/v1/accounts/mallory/messages"
    wait_for(browser, received, [f"GET /v1/accounts/mallory/media/{forgeries.FILE}"])
    browser.picture("hostile-chat")
    browser.script(CLICK_ALL, "#messages [data-action=save]")
    browser.script(CLICK_ALL, "#messages [data-action=cancel]")
    wait_for(browser, received, [f"DELETE {messages}/{segment(one)}" for one in IDS])
    asked = ""
    for at, chat in enumerate(chats):
        browser.script("document.querySelectorAll('#people button')[arguments[0]].click()", at)
        asked = f"GET {messages}?chat={segment(chat, query=True)}&limit=50"
        wait_for(browser, received, [asked])
    browser.click("#chat-earlier")
    before = segment(f"/{CALL}", query=True)
    wait_for(browser, received, [f"{asked}&before={before}"])


def segment(value: str, query: bool = False) -> str:
    """Encode a value as JavaScript does."""
    return quote_plus(value, safe="*") if query else quote(value, safe="!'()*-._~")


def open_other_views(browser: Browser, received: list[str]) -> None:
    for tab, shown in (("events", "#events li"), ("deliveries", "#deliveries li"), ("options", "#options dt")):
        browser.click(f"#tab-{tab}")
        browser.find(shown)
    browser.click("#tab-deliveries")
    browser.click("#deliveries [data-action=replay]")
    browser.click("#ack-dead")
    wait_for(browser, received, [f"POST /v1/accounts/mallory/deliveries/{verb}" for verb in ("replay", "ack")])
    browser.click("#tab-journal")
    for view, place in (
        ("events", "#all-events li .of"),
        ("deliveries", "#view-deliveries"),
        ("conversations", "#all-chats li"),
        ("health", "#health-controller li"),
        ("access", "#access-tokens"),
        ("", "#rows [data-account=mallory]"),
    ):
        browser.open(f"#/{view}")
        browser.find(place)
    assert unexpected(received) == []
    assert browser.script("return location.href") == f"{browser.address}/#/"
    assert browser.script("return window.violations ?? []") == []


def test_answers_of_an_account_become_no_requests(browser: Browser, served: Served) -> None:
    received = served.machine.received
    sign_in(browser, token(served.machine, Scope.ADMIN), received)
    open_conversations(browser, received)
    open_other_views(browser, received)
    assert served.machine.units.processes.keys() == {"mallory", VICTIM}


@pytest.fixture
def fleet(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Served]]:
    """Hosts ``a`` with bob, and ``b`` with mallory. ``b`` forges rows and links as well."""
    honest, linked = account_json, LoginLink.as_json

    def forged(view: View, assessment: Assessment | None = None) -> JsonObject:
        row = honest(view, assessment)
        return {**row, "avatar": f"/{CALL}", "url": f"/{CALL}"} if view.account.name.name != VICTIM else row

    monkeypatch.setattr(rows, "account_json", forged)
    monkeypatch.setattr(LoginLink, "as_json", lambda link: {**linked(link), "id": f"../../{VICTIM}/stop?x="})
    request.getfixturevalue(tls.__name__)
    with serving_hosts(fleet_of(tmp_path, "a", "b")) as hosts:
        for host in hosts:
            host.machine.answered_by_others = ("/v1/accounts/",)
        hosts[0].account(VICTIM, LoginState.RUNNING, "web")
        hosts[1].account("mallory", LoginState.RUNNING, "web")
        run_forging(hosts[1], "mallory")
        yield hosts


def test_rows_and_links_of_another_host_become_no_requests(
    fleet: list[Served], language: str, browser_of: Callable[[str], Browser]
) -> None:
    a, b = fleet
    with new_tab(browser_of(language), a.machine.url) as browser:
        browser.size(1280)
        received = a.machine.received
        sign_in(browser, token(a.machine, Scope.ADMIN), received)
        user = urlencode({"client": "mallory", "id": forgeries.USER}, quote_via=quote_plus, safe="*")
        wait_for(browser, received, [f"GET /openwx/get_avatar?{user}"])
        open_conversations(browser, received)
        b.machine.process("mallory").show_qrcode()
        browser.open("#/a/mallory")
        browser.click("[data-action=share]")
        browser.find("[aria-label='Login link']")
        link = browser.script("return document.querySelector('.share input').value")
        assert re.fullmatch(r"https://127\.0\.0\.2:\d+/page/login#[0-9a-f]{64}", link)
        browser.click(".share button", "Revoke")
        browser.gone("[aria-label='Login link']")
        wait_for(browser, received, [f"DELETE /v1/accounts/mallory/login-links/{segment(f'../../{VICTIM}/stop?x=')}"])
        assert unexpected(received) == []
        assert a.machine.units.processes.keys() == {VICTIM}


@pytest.mark.system
def test_program_in_an_accounts_unit_reaches_no_other_account(
    host: Host, phone: Phone, browser_of: Callable[[str], Browser]
) -> None:
    use_sandbox(host)
    caller = Caller(host, actors.token(host, "me"))
    log_in(caller, phone, VICTIM, phone.account("Bob"))
    caller.openwx("start_client", client="mallory")
    before = caller.account(VICTIM)
    host.write(PROGRAM, Path(forgeries.__file__).read_bytes())
    command = f"/usr/bin/python3 {PROGRAM} mallory {port_of(host, 'mallory')}"
    service = f"Type=exec\nWatchdogSec=0\nExecStart=\nExecStart={command}\n"
    received: list[str] = []
    with dropin(host, UNIT, f"[Service]\n{service}"), forwarded(host, 2000, received) as port:
        host.run("systemctl", "restart", UNIT)
        caller.until_state("mallory", "running")
        with new_tab(browser_of("en"), f"http://127.0.0.1:{port}") as tab:
            tab.size(1280)
            sign_in(tab, caller.token, received)
            open_conversations(tab, received)
            open_other_views(tab, received)
        host.run("systemctl", "stop", UNIT)
    now = caller.account(VICTIM)
    assert {key: now[key] for key in KEPT} == {key: before[key] for key in KEPT}
    assert sorted(each["name"] for each in caller.v1("GET", "/accounts")[1]["accounts"]) == [VICTIM, "mallory"]
