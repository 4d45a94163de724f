"""The book of logins records which account of the host has which WeChat user, also while it is stopped."""

import json

from tests.unit.controller.machine import Machine
from wxcontroller.controller.view import logins_of
from wxcontroller.core.jsontypes import JsonValue
from wxcontroller.core.loginbook import LoginBook, holder
from wxcontroller.core.states import LoginState

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
    # A stop keeps it, and so does a start that has not logged in yet, and another controller.
    await host.get("stop_client", client="alice")
    await look(host)
    (await host.start("alice")).say(LoginState.LOADING, login_marks=None)
    await look(host, LoginBook(host.paths))
    assert has(USER) == "alice"
    # Another login replaces it; of two the one that runs has it.
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
    # So does one that no controller saw.
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
