"""Links with which another person scans the code, and the record of which account has which WeChat user."""

import json
import re
import time
from collections.abc import Callable

import pytest

from tests.tokens import bearer, token
from tests.unit.controller.machine import ROOT_TOKEN, Machine, Process
from wxcontroller.controller.accounts.loginlinks import LIFE_SECONDS, MAX_LINKS, LoginLinks
from wxcontroller.controller.accounts.view import logins_of
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.access.tokenfile import TokenFile
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj
from wxcontroller.core.registry.loginbook import LoginBook, holder
from wxcontroller.core.states import LoginState

FIRST, SECOND = "1" * 64, "2" * 64


async def waiting(host: Machine, name: str = "alice") -> Process:
    status, answer = await host.v1("POST", f"accounts/{name}/start", headers=bearer(ROOT_TOKEN))
    assert status == 200, answer
    process = host.process(name)
    process.say(LoginState.SCANNING, qrcode_link="https://login.weixin.qq.com/l/AbC", qrcode_number=3, logins=0)
    return process


async def made(host: Machine, headers: dict[str, str], name: str = "alice") -> tuple[str, JsonObject]:
    """Make a link; return its secret and the answer."""
    status, answer = await host.v1("POST", f"accounts/{name}/login-links", headers=headers)
    assert status == 201, answer
    page, _, secret = str(answer["url"]).partition("#")
    assert (page, re.fullmatch("[0-9a-f]{64}", secret) is not None) == ("page/login", True)
    return secret, answer


async def opened(host: Machine, secret: str, browser: str = FIRST) -> tuple[int, object, JsonObject]:
    """Ask for the code as the page does, without any token; return status, state or code of the error, and all."""
    headers = {"X-Login-Link": secret, "X-Login-Browser": browser}
    status, answer = await host.v1("GET", "login-code", headers=headers)
    return status, answer.get("state") or obj(answer.get("error")).get("code"), answer


async def test_the_first_browser_sees_the_code_and_nothing_else(
    host: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    control = bearer(token(host, Scope.CONTROL))
    process = await waiting(host)
    secret, link = await made(host, control)
    status, state, answer = await opened(host, secret)
    assert (status, state) == (200, "scan")
    assert str(answer["code"]).startswith("<svg")
    assert answer.keys() == {"state", "code", "code_number", "code_seconds", "same_user", "seconds"}
    assert (await opened(host, secret, SECOND))[:2] == (403, "link-taken")
    assert (await opened(host, secret))[:2] == (200, "scan")
    # It is accepted for nothing else, and not in a URL.
    for path in ("accounts", "accounts/alice/qr"):
        assert (await host.v1("GET", path, headers={"X-Login-Link": secret, "X-Auth-Token": secret}))[0] == 401
    assert (await host.v1("GET", f"login-code?link={secret}&browser={FIRST}"))[0] == 410
    # The list of links does not contain the secret.
    _, listed = await host.v1("GET", "login-links", headers=control)
    assert [obj(link)["id"] for link in items(listed["links"])] == [link["id"]]
    assert secret not in str(listed)
    process.say(LoginState.CONFIRMING, qrcode_link="https://login.weixin.qq.com/l/AbC", logins=0)
    _, state, answer = await opened(host, secret)
    assert (state, answer["code"]) == ("confirm", None)
    # The journal records creation, first use and revocation, without the secret.
    caplog.set_level("INFO")
    secret, link = await made(host, control)
    for _ in range(2):
        await opened(host, secret)
    await host.v1("DELETE", f"accounts/alice/login-links/{link['id']}", headers=control)
    lines = [record.getMessage() for record in caplog.records if str(link["id"]) in record.getMessage()]
    assert [line.rpartition(": ")[2].split()[0] for line in lines] == ["created", "opened", "revoked"]
    assert secret not in caplog.text


async def test_links_of_other_accounts_are_neither_listed_nor_revoked(host: Machine) -> None:
    for name in ("alice", "bob"):
        await waiting(host, name)
    own, other = bearer(token(host, Scope.CONTROL, "alice")), bearer(token(host, Scope.CONTROL))
    secret, link = await made(host, own)
    _, foreign = await made(host, other, "bob")
    _, listed = await host.v1("GET", "login-links", headers=own)
    assert [obj(link)["account"] for link in items(listed["links"])] == ["alice"]
    assert (await host.v1("DELETE", f"accounts/alice/login-links/{foreign['id']}", headers=own))[0] == 410
    assert (await host.v1("DELETE", f"accounts/alice/login-links/{link['id']}", headers=own))[0] == 200
    assert (await opened(host, secret))[:2] == (410, "link-over")


async def test_login_ends_its_link_permanently(host: Machine) -> None:
    control = bearer(token(host, Scope.CONTROL))
    process = await waiting(host)
    secret, _ = await made(host, control)
    late, _ = await made(host, control)
    assert (await opened(host, secret))[:2] == (200, "scan")
    process.say(LoginState.RUNNING, logins=1)
    assert (await opened(host, secret))[:2] == (200, "done")
    assert (await host.v1("GET", "login-links", headers=control))[1]["links"] == []
    # The session is lost at once, and the same process shows a code again: not by these links.
    process.say(LoginState.SCANNING, qrcode_link="https://login.weixin.qq.com/l/Next", logins=1)
    for each in (secret, late):
        status, state, answer = await opened(host, each)
        assert (status, state, answer["code"]) == (200, "done", None)


async def ages(host: Machine, process: Process) -> None:
    now = time.time() + LIFE_SECONDS
    host.shared.login_links._clock = lambda: now


async def restarts(host: Machine, process: Process) -> None:
    process.say(
        LoginState.SCANNING, qrcode_link="https://login.weixin.qq.com/l/AbC", logins=0, start_time=1_700_000_001
    )


async def stops(host: Machine, process: Process) -> None:
    await host.accounts.stop("alice")


async def loses_its_maker(host: Machine, process: Process) -> None:
    TokenFile(host.paths.tokens_file).revoke("control-1")


async def restarts_the_controller(host: Machine, process: Process) -> None:
    host.shared.login_links = LoginLinks()


@pytest.mark.parametrize("end", [ages, restarts, stops, loses_its_maker, restarts_the_controller])
async def test_events_that_end_a_login_link(host: Machine, end: Callable[[Machine, Process], object]) -> None:
    token(host, Scope.READ)  # so that the API stays closed
    control = bearer(token(host, Scope.CONTROL))
    process = await waiting(host)
    secret, _ = await made(host, control)
    assert (await opened(host, secret))[0] == 200
    await end(host, process)  # type: ignore[misc]
    assert (await opened(host, secret))[:2] == (410, "link-over")
    await waiting(host)
    assert (await opened(host, secret))[:2] == (410, "link-over")


async def test_guesses_and_links_are_limited(host: Machine) -> None:
    await waiting(host)
    links = [(await made(host, {}))[0] for _ in range(MAX_LINKS + 1)]
    assert (await opened(host, links[0]))[:2] == (410, "link-over")
    assert (await opened(host, links[1], "no key"))[:2] == (410, "link-over")
    statuses = {(await opened(host, f"{number:064x}"))[0] for number in range(30)}
    assert statuses == {410, 429}
    assert (await opened(host, links[1]))[0] == 200


BOT, USER, OTHER = (digit * 64 for digit in "abc")


async def look(host: Machine, book: LoginBook | None = None) -> None:
    views = await host.accounts.views()
    (book or host.accounts.logins).look(logins_of(views), {view.instance for view in views})


async def test_login_is_recorded_until_it_is_cancelled(host: Machine) -> None:
    host.paths.logins.parent.mkdir(parents=True)
    alice, bob = await host.start("alice"), await host.start("bob")
    has = holder(host.paths, "carol")
    alice.say(LoginState.RUNNING, login_marks=[BOT, USER])
    bob.say(LoginState.SCANNING)
    await look(host)
    assert [has(BOT), has(USER), has(OTHER)] == ["alice", "alice", ""]
    assert holder(host.paths, "alice")(BOT) == ""
    _, state = await host.v1("GET", "accounts/alice")
    assert BOT not in str(state)
    assert BOT not in str(await host.get("check_client"))
    # A stop keeps it; so do a start before its login and another controller.
    await host.get("stop_client", client="alice")
    await look(host)
    (await host.start("alice")).say(LoginState.LOADING, login_marks=None)
    await look(host, LoginBook(host.paths))
    assert has(USER) == "alice"
    # Another login replaces it; of two accounts the running one has it.
    host.process("alice").say(LoginState.RUNNING, login_marks=[OTHER])
    await look(host)
    assert [has(USER), has(OTHER)] == ["", "alice"]
    await host.get("stop_client", client="alice")
    bob.say(LoginState.RUNNING, login_marks=[OTHER])
    await look(host)
    assert has(OTHER) == "bob"
    # A logout and a removal end it.
    await host.v1("POST", "accounts/bob/logout")
    assert has(OTHER) == ""
    (await host.start("bob")).say(LoginState.RUNNING, login_marks=[OTHER])
    await look(host)
    await host.v1("DELETE", "accounts/bob")
    assert has(OTHER) == ""
    # So does a removal without the controller.
    host.paths.logins.write_text(json.dumps({"gone": {"account": "gone", "marks": [BOT]}}))
    assert has(BOT) == "gone"
    await look(host, LoginBook(host.paths))
    assert has(BOT) == ""


async def test_published_login_marks_are_not_trusted(host: Machine) -> None:
    host.paths.logins.parent.mkdir(parents=True)
    process = await host.start("alice")
    published: tuple[JsonValue, ...] = ("x", {"a": 1}, ["short", 7, None], [USER.upper()])
    for marks in published:
        process.say(LoginState.RUNNING, login_marks=marks)
        await look(host)
        assert not host.paths.logins.exists() or json.loads(host.paths.logins.read_text()) == {}
    for content in (b"", b"{", b"[]", b'{"bob": 7}', b'{"bob": {"marks": "x"}}'):
        host.paths.logins.write_bytes(content)
        assert holder(host.paths, "alice")(USER) == ""
