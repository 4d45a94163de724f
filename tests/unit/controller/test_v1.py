"""/v1: accounts with unit, login and desired state apart; errors that say what to do."""

import asyncio
import base64

import pytest
import yarl

from tests.unit.controller.machine import Machine
from wxcontroller.controller.units import UnitRecord
from wxcontroller.core.access import Scope
from wxcontroller.core.accountfiles import AccountFiles
from wxcontroller.core.jsontypes import field, items, obj
from wxcontroller.core.messages import NOTHING, Text, text_fields, text_from
from wxcontroller.core.states import LoginState, UnitState
from wxcontroller.core.tokens import TokenFile, minted

LINK = "https://login.weixin.qq.com/l/AbC"


async def test_a_text_of_an_account_reaches_v1_as_data_and_the_old_api_in_english(host: Machine) -> None:
    process = await host.start("alice")
    text = Text("{who} waits", who="running")
    process.say(LoginState.LOADING, **text_fields(status=text, reason=NOTHING))
    account = (await host.v1("GET", "accounts/alice"))[1]
    assert (account["status"], account["status_text"], account["reason_text"]) == (
        "running waits",
        text.as_json(),
        None,
    )
    async with host.http.get("/openwx/check_client", params={"client": "alice"}) as answer:
        [state] = items((await answer.json(content_type=None))["client"])
    assert field(state, "status") == "running waits"
    assert [key for key in obj(state) if key.endswith("_text")] == []
    process.say(LoginState.LOADING, status="is {busy}")  # as 2.0.0 writes it
    account = (await host.v1("GET", "accounts/alice"))[1]
    assert (account["status"], str(text_from(account["status_text"]))) == ("is {busy}", "is {busy}")


async def test_a_failure_is_told_in_english_and_as_data(host: Machine) -> None:
    status, answer = await host.v1("GET", "accounts/nobody")
    error = obj(answer["error"])
    assert (status, error["code"], error["message"]) == (404, "unknown-account", "there is no account nobody")
    template = text_from(error["message_text"])
    assert str(template) == error["message"]
    assert "nobody" in template.values.values()
    assert "nobody" in obj(error["values"]).values()


async def test_stop_start_restart_keep_what_is_stored(host: Machine) -> None:
    await host.v1("POST", "accounts/alice/start", {"send_interval": 7, "download_media": False})
    _, stopped = await host.v1("POST", "accounts/alice/stop")
    assert (stopped["desired"], stopped["unit_state"], stopped["login_state"]) == ("stopped", "absent", "stopped")
    assert (await host.v1("POST", "accounts/alice/stop"))[0] == 200  # also when it does not run
    await host.v1("POST", "accounts/alice/start", {"lang": "en_US"})
    first = host.process("alice")
    options = AccountFiles(host.paths).load("alice").options
    assert (options["send_interval"], options["download_media"], options["lang"]) == ("7", "0", "en_US")
    status, _ = await host.v1("POST", "accounts/alice/restart")
    assert status == 200
    assert host.process("alice") is not first
    assert AccountFiles(host.paths).load("alice").options == options


async def test_tokens_that_are_still_good_for_a_removed_account_are_named(host: Machine) -> None:
    await host.start("alice")
    shown, root = minted("root", Scope.ADMIN, (), None)
    file = TokenFile(host.paths.tokens_file)
    file.add(root)
    for name, account, expires in (("a", "alice", None), ("b", "bob", None), ("over", "alice", 1)):
        file.add(minted(name, Scope.READ, (account,), expires)[1])
    _, answer = await host.v1("DELETE", "accounts/alice", headers={"X-Auth-Token": shown})
    assert answer["tokens"] == ["a"]


async def test_remove(host: Machine) -> None:
    await host.start("alice")
    assert await host.v1("DELETE", "accounts/alice") == (
        200,
        {"name": "alice", "instance": "alice", "removed": True, "tokens": [], "targets": []},
    )
    assert host.units.calls[-2:] == ["stop wxclient@alice.service", "start wxclient-purge@alice.service"]
    assert (await host.v1("GET", "accounts/alice"))[0] == 404
    assert AccountFiles(host.paths).instances() == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "accounts/bob", None, 404, "unknown-account"),
        ("POST", "accounts/bob/stop", None, 404, "unknown-account"),
        ("POST", "accounts/a%2Fb/start", None, 400, "bad-name"),
        ("POST", "accounts/bob/start", {"load": "x"}, 400, "bad-option"),
        ("POST", "accounts/bob/start", {"lang": None}, 400, "bad-option"),
        ("POST", "accounts/bob/start", {"lang": "a\nb"}, 400, "bad-option"),
        ("POST", "accounts/bob/start", ["lang"], 400, "bad-request"),
        ("GET", "accounts/bob/qr?format=gif", None, 400, "bad-request"),
        ("GET", "nothing", None, 404, "no-such-path"),
        ("PUT", "accounts", None, 405, "wrong-method"),
    ],
)
async def test_errors(host: Machine, method: str, path: str, body: object, status: int, code: str) -> None:
    async with host.http.request(method, yarl.URL(f"/v1/{path}", encoded=True), json=body) as answer:
        assert answer.status == status
        error = (await answer.json())["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["remedy"]
    assert host.units.calls == []


async def test_failures_of_the_machine(host: Machine) -> None:
    host.units.refuse = "timeout was exceeded."
    status, answer = await host.v1("POST", "accounts/alice/start")
    error = obj(answer["error"])
    assert (status, error["code"]) == (502, "unit-failed")
    assert "timeout was exceeded" in str(error["message"])
    assert error["remedy"] == "see: journalctl -u wxclient@alice.service"
    _, account = await host.v1("GET", "accounts/alice")
    assert (account["desired"], account["unit_sub"], account["login_state"]) == ("started", "auto-restart", "stopped")
    host.paths.template.unlink()
    status, answer = await host.v1("POST", "accounts/bob/start")
    assert (status, obj(answer["error"])["code"]) == (500, "template")


async def test_the_code_to_scan(host: Machine) -> None:
    process = await host.start("alice")
    status, answer = await host.v1("GET", "accounts/alice/qr")
    assert (status, obj(answer["error"])["code"]) == (404, "no-qrcode")
    assert "it is init" in str(obj(answer["error"])["message"])
    process.show_qrcode(b"\xff\xd8picture")
    assert (await host.v1("GET", "accounts/alice"))[1]["qrcode"] is True
    status, answer = await host.v1("GET", "accounts/alice/qr")
    assert (status, answer["link"]) == (200, LINK)
    assert base64.b64decode(str(answer["jpeg"])) == b"\xff\xd8picture"
    for form, kind, beginning in (
        ("svg", "image/svg+xml", b"<svg"),
        ("png", "image/png", b"\x89PNG"),
        ("txt", "text/plain; charset=utf-8", b"\xe2\x96\x88"),
    ):
        async with host.http.get(f"/v1/accounts/alice/qr?format={form}") as drawn:
            assert drawn.status == 200
            assert drawn.headers["Content-Type"] == kind
            assert drawn.headers["Cache-Control"] == "no-store"
            assert (await drawn.read()).startswith(beginning)
    await host.units.kill("alice", UnitRecord("alice", UnitState.FAILED, "failed"))
    status, answer = await host.v1("GET", "accounts/alice/qr")
    assert status == 404
    assert "its unit failed" in str(obj(answer["error"])["message"])


async def test_what_changes_on_disk_is_seen(host: Machine) -> None:
    """Accounts that a unit registered by itself, and files that were removed by hand."""
    await host.start("alice")
    source = host.paths.account_file("alice").read_text()
    host.paths.account_file("bob").write_text(source.replace('"alice"', '"bob"'))
    host.paths.account_file("broken").write_text('MOJO_WEIXIN_ACCOUNT="x')
    _, answer = await host.v1("GET", "accounts")
    assert [obj(each)["name"] for each in items(answer["accounts"])] == ["alice", "bob"]
    host.paths.account_file("bob").unlink()
    await asyncio.sleep(0.55)  # how long a file is believed
    _, answer = await host.v1("GET", "accounts")
    assert [obj(each)["name"] for each in items(answer["accounts"])] == ["alice"]


async def test_a_bug_is_a_number_for_the_caller_and_a_trace_for_the_journal(
    host: Machine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(max_age: float = 0) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(host.units, "snapshot", broken)
    monkeypatch.setattr(host.units, "recent", lambda *_: None)
    status, answer = await host.v1("GET", "accounts")
    message = str(obj(answer["error"])["message"])
    assert (status, obj(answer["error"])["code"]) == (500, "internal")
    assert "secret" not in message
    assert message.rpartition(" ")[2] in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_a_stop_says_that_an_enabled_unit_comes_back(host: Machine) -> None:
    link = host.paths.boot_link("alice")
    link.parent.mkdir(parents=True)
    link.symlink_to("/usr/lib/systemd/system/wxclient@.service")
    for stop in ("v1", "openwx"):
        await host.start("alice")
        answer = (
            (await host.v1("POST", "accounts/alice/stop"))[1]
            if stop == "v1"
            else await host.get("stop_client", client="alice")
        )
        assert "systemctl disable wxclient@alice.service" in str(answer["note"])
    link.unlink()
    await host.start("alice")
    assert "note" not in await host.get("stop_client", client="alice")
