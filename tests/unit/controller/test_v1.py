"""/v1: errors, options of accounts, calls that accounts answer, and accounts that move to another host."""

import asyncio
import json
import socket
from pathlib import Path

import pytest
import yarl

from tests.patience import PATIENCE
from tests.tokens import bearer, token
from tests.unit.controller.machine import Machine, fixed, full_queue, unix_listener
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.errors import AccountMoved
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, items, obj
from wxcontroller.core.registry.accountfiles import AccountFiles
from wxcontroller.core.registry.materialise import Materialiser
from wxcontroller.core.states import Desired, LoginState

ERRORS: tuple[tuple[str, str, JsonValue, int, str], ...] = (
    ("GET", "/accounts/bob", None, 404, "unknown-account"),
    ("POST", "/accounts/a%2Fb/start", None, 400, "bad-name"),
    ("POST", "/accounts/bob/start", {"lang": "en_US"}, 400, "bad-request"),
    ("POST", "/accounts/bob/start", {"options": {"load": "x"}}, 400, "bad-option"),
    ("POST", "/accounts/bob/start", {"options": {"lang": "a\nb"}}, 400, "bad-option"),
    ("POST", "/accounts/bob/start", ["lang"], 400, "bad-request"),
    ("GET", "/nothing", None, 404, "no-such-path"),
    ("GET", "", None, 404, "no-such-path"),
    ("PUT", "/accounts", None, 405, "wrong-method"),
)


async def test_errors_have_a_code_a_message_and_a_remedy(host: Machine) -> None:
    for method, path, body, status, code in ERRORS:
        async with host.http.request(method, yarl.URL(f"/v1{path}", encoded=True), json=body) as answer:
            error = (await answer.json())["error"]
        assert (answer.status, error["code"]) == (status, code), path
        assert error["message"]
        assert error["remedy"]
    assert host.units.calls == []


async def test_health_is_degraded_while_systemd_does_not_answer(host: Machine) -> None:
    await host.start("alice")
    counts = {"known": 1, "wanted": 1, "alive": 1, "states": {"init": 1}}
    _, answer = await host.v1("GET", "health")
    assert (answer["status"], answer["accounts"]) == ("ok", counts)
    host.units.broken = True
    status, answer = await host.v1("GET", "health")
    assert (status, answer["status"]) == (503, "degraded")
    assert "systemd" in str(answer["reason"])


async def test_internal_error_returns_a_number_and_logs_the_trace(
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


@pytest.mark.parametrize("running", [True, False])
async def test_logout_ends_the_login_of_a_running_and_of_a_stopped_account(host: Machine, running: bool) -> None:
    process = await host.start("alice")
    if not running:
        assert (await host.v1("POST", "accounts/alice/stop"))[0] == 200
    status, answer = await host.v1("POST", "accounts/alice/logout")
    assert (status, answer["desired"]) == (200, "stopped")
    # Only a process can tell WeChat; otherwise the next one forgets the login.
    assert bool(answer.get("note")) is not running
    assert ("WXCLIENT_LOGGED_OUT" in host.paths.account_file(process.instance).read_text()) is not running
    assert (await host.v1("POST", "accounts/nobody/logout"))[0] == 404


async def test_driver_can_be_changed_only_while_stopped(host: Machine) -> None:
    await host.start("alice")
    before = host.paths.account_file("alice").read_bytes()
    requests: list[tuple[str, str, JsonObject]] = [
        ("PATCH", "accounts/alice/options", {"driver": "ilink", "lang": "en_US"}),
        ("POST", "accounts/alice/start", {"options": {"driver": "ilink"}}),
    ]
    for method, path, body in requests:
        status, answer = await host.v1(method, path, body)
        assert (status, field(answer["error"], "code")) == (409, "other-route")
        assert "wxctl stop alice" in str(field(answer["error"], "remedy"))
    assert (await host.get("start_client", client="alice", driver="ilink"))["code"] != 0
    assert host.paths.account_file("alice").read_bytes() == before
    assert (await host.v1("PATCH", "accounts/alice/options", {"driver": "web"}))[0] == 200
    await host.v1("POST", "accounts/alice/stop")
    assert (await host.v1("PATCH", "accounts/alice/options", {"driver": "ilink"}))[1]["driver"] == "ilink"
    assert (await host.v1("POST", "accounts/alice/start", {"options": {"driver": "web"}}))[1]["driver"] == "web"


async def test_invalid_option_changes_nothing(host: Machine) -> None:
    await host.v1("POST", "accounts", {"name": "alice", "options": {"send_interval": 7}})
    before = host.paths.account_file("alice").read_bytes()
    wrongs: list[JsonObject] = [{"lang": "xx"}, {"nothing": None}, {"server": "http://127.0.0.1:1"}]
    for wrong in wrongs:
        status, answer = await host.v1("PATCH", "accounts/alice/options", {"send_interval": "9", **wrong})
        assert (status, field(answer["error"], "code")) == (400, "bad-option")
    assert host.paths.account_file("alice").read_bytes() == before


async def test_a_bound_token_cannot_add_other_accounts(host: Machine) -> None:
    headers = bearer(token(host, Scope.CONTROL, "alice"))
    for name, status in (("bob", 403), ("alice", 201)):
        assert (await host.v1("POST", "accounts", {"name": name}, headers))[0] == status
    assert AccountFiles(host.paths).instances() == ["alice"]


async def test_stopped_account_is_not_queried(host: Machine) -> None:
    await host.start("alice")
    await host.v1("POST", "accounts/alice/stop")
    for method, path in (("GET", "deliveries"), ("GET", "messages"), ("POST", "messages"), ("GET", "contacts")):
        status, answer = await host.v1(method, f"accounts/alice/{path}")
        assert (status, obj(answer["error"])["code"]) == (409, "not-running")
        assert "wxctl start alice" in str(obj(answer["error"])["remedy"])


def says(instance: str = "alice") -> bytes:
    return json.dumps({"instance": instance, "version": "1.2", "pid": 7, "memory": 4096, "secret": 1}).encode()


async def test_status_of_a_silent_or_foreign_program_is_not_shown(host: Machine) -> None:
    process = await host.start("alice")
    process.say(LoginState.RUNNING)
    for body, reason in (
        (None, "answered 404"),
        (b"<html>", "not usable"),
        (b'{"instance": "alice", "queue": 1e999}', "not usable"),
        (b'{"instance": "alice", "queue": "' + b"x" * 100_000 + b'"}', "not usable"),
        (b"[" * 50_000, "not usable"),
        (says("bob"), "names another account"),
    ):
        process.status = body
        status, account = await host.v1("GET", "accounts/alice")
        assert (status, account["client"], reason in str(account["client_reason"])) == (200, None, True)
        assert "memory" not in account
    process.status = says()
    process.responds.clear()
    async with asyncio.timeout(PATIENCE):
        _, account = await host.v1("GET", "accounts/alice")
    assert (account["client"], "no response" in str(account["client_reason"])) == (None, True)
    process.responds.set()
    _, account = await host.v1("GET", "accounts/alice")
    assert (account["memory"], "secret" in account) == (4096, False)


async def test_status_of_a_hung_program_is_not_waited_for(tmp_path: Path) -> None:
    """Its socket has a full queue: not even a connection comes about."""
    async with Machine(tmp_path, ua_connect_timeout=600.0) as host:
        process = await host.start("alice")
        socket_path = host.paths.api_socket(process.instance)
        socket_path.unlink()
        with unix_listener(socket_path, backlog=0), full_queue(socket_path):
            async with asyncio.timeout(PATIENCE):
                status, account = await host.v1("GET", "accounts/alice")
        assert (status, account["client"], account["client_reason"]) == (200, None, "no response within 2 s")


async def test_answers_of_accounts_are_held_to_their_description(host: Machine) -> None:
    """Although aiohttp does not see them: otherwise the document could promise what nobody checks."""
    process = await host.start("alice")
    error = {"code": "x", "message": "no", "remedy": "yes"}
    process.serve = fixed(418, body=json.dumps({"error": error}).encode())
    assert (await host.v1("GET", "accounts/alice/chats"))[0] == 418
    assert "is not described" in host.faults.pop()


MOVE: JsonObject = {"to": "host-b", "id": "5f2c"}


async def code_of(host: Machine, method: str, path: str, body: JsonObject | None = None) -> str:
    _, answer = await host.v1(method, path, body)
    return str(field(answer.get("error"), "code"))


async def test_leaving_account_is_stopped_and_not_started(host: Machine) -> None:
    await host.v1("POST", "accounts/alice/start")
    status, account = await host.v1("PUT", "departures/alice", MOVE)
    assert (status, account["unit_state"], account["desired"]) == (200, "absent", "stopped")
    assert account["leaving"] == {**MOVE, "ran": True, "sent": False}
    assert [obj(issue)["code"] for issue in items(account["issues"])] == ["moving"]
    calls: list[tuple[str, str, JsonObject | None]] = [
        ("POST", "accounts/alice/start", None),
        ("POST", "accounts/alice/restart", None),
        ("DELETE", "accounts/alice", None),
        ("PATCH", "accounts/alice/options", {"lang": "en_US"}),
        ("PUT", "departures/alice", {"to": "host-c", "id": "other"}),
    ]
    for method, path, body in calls:
        assert await code_of(host, method, path, body) == "moving", path
    assert "is being moved to host host-b" in str((await host.get("start_client", client="alice"))["status"])
    assert AccountFiles(host.paths).load("alice").desired is Desired.STOPPED
    assert host.units.calls.count("start wxclient@alice.service") == 1
    # Repeating the move only adds that it is being sent.
    _, account = await host.v1("PUT", "departures/alice", {**MOVE, "sent": True})
    assert account["leaving"] == {**MOVE, "ran": True, "sent": True}
    _, account = await host.v1("PUT", "departures/alice", MOVE)
    assert account["leaving"] == {**MOVE, "ran": True, "sent": True}


async def test_exported_account_returns_only_in_a_later_epoch(host: Machine) -> None:
    await host.v1("POST", "accounts/alice/start")
    for query in ("?id=5f2c", "?id=", ""):
        assert await code_of(host, "POST", f"departures/alice{query}") == "no-such-move"
    await host.v1("PUT", "departures/alice", {**MOVE, "sent": True})
    assert (await host.v1("POST", "departures/alice?id=5f2c"))[0] == 200
    assert AccountFiles(host.paths).instances() == []
    assert not host.paths.private_state("alice").exists()
    _, there = await host.v1("GET", "arrivals/alice")
    assert (there["account"], there["gone"]) == (None, {"to": "host-b", "epoch": 2})
    assert await code_of(host, "POST", "accounts/alice/start") == "moved"
    assert await code_of(host, "POST", "accounts", {"name": "alice"}) == "stale-epoch"
    assert await code_of(host, "POST", "accounts", {"name": "alice", "epoch": 2}) == "stale-epoch"
    with pytest.raises(AccountMoved, match="has moved to host host-b"):  # systemctl start
        Materialiser(host.paths, host.accounts.settings).prepare("alice")
    status, account = await host.v1("POST", "accounts", {"name": "alice", "epoch": 3, "arrived": "77aa"})
    assert (status, account["epoch"], account["arrived"]) == (201, 3, "77aa")
    status, account = await host.v1("POST", "accounts/alice/start")
    assert (status, account["epoch"], account["arrived"]) == (200, 3, "77aa")


async def test_a_host_that_loses_its_power_while_sending_can_send_again_at_once(host: Machine) -> None:
    async def importing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    host.paths.receive_socket.parent.mkdir(parents=True, exist_ok=True)
    tcp_repair = 19  # closes without notice to the other end
    async with await asyncio.start_unix_server(importing, host.paths.receive_socket):
        sender = socket.create_connection(host.address)
        head = "PUT /v1/arrivals/eve HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\nhalf"
        sender.sendall(head.encode())
        await until_receiving(host, True)
        sender.setsockopt(socket.IPPROTO_TCP, tcp_repair, 1)
        sender.close()
        await until_receiving(host, False)


async def until_receiving(host: Machine, expected: bool) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await host.v1("GET", "arrivals/eve"))[1]["under_way"] is not expected:
            await asyncio.sleep(0.1)


async def test_one_account_is_shown_as_it_and_its_process_are_now(host: Machine) -> None:
    """Its answer is kept while neither changes."""
    process = await host.start("alice")
    running, scanning, shown = LoginState.RUNNING, LoginState.SCANNING, None
    for pid, state in ((7, running), (7, running), (8, running), (8, scanning)):
        process._status_body = b'{"account": "alice", "version": "1", "pid": %d}' % pid  # which is not published
        if state is not shown:
            process.say(shown := state)
        _, account = await host.v1("GET", "accounts/alice")
        assert (obj(account["client"])["pid"], account["login_state"]) == (pid, state.value)
