"""The controller's own calls of /openwx (openwx-api 1.2 to 1.4), also with damaged files and starts that hang."""

import asyncio
import json
import os
from pathlib import Path

import pytest
import yarl

from tests.patience import PATIENCE, until
from tests.unit.controller.machine import Machine
from wxcontroller.controller.accounts.statefiles import QRCODE_FILE_BYTES
from wxcontroller.controller.accounts.units import UnitRecord, Verb
from wxcontroller.core.errors import UnitFailed
from wxcontroller.core.jsontypes import field, items, obj
from wxcontroller.core.names import parse_name
from wxcontroller.core.paths import STATE_FILE_BYTES
from wxcontroller.core.registry.accountfiles import AccountFiles
from wxcontroller.core.states import Desired, LoginState, UnitState


async def test_response_has_the_originals_bytes(host: Machine) -> None:
    await host.start("alice")
    async with host.http.get("/openwx/start_client?client=alice&post_api=http%3A%2F%2Fa%2Fb") as answer:
        body = await answer.read()
        assert answer.headers["Content-Type"] == "application/json"
    assert body.startswith(b'{"account":"alice","client":"alice","code":0,"pid":')
    assert b'"status":"client already exists"' in body


async def test_invalid_name_is_refused_with_a_reason(host: Machine) -> None:
    for name in ("../x", ".hidden", "a/b", "x" * 65, " a"):
        answer = await host.get("start_client", client=name)
        assert (answer["code"], str(answer["status"])[:21]) == (1, "client name invalid: ")
    assert host.units.calls == []
    assert AccountFiles(host.paths).instances() == []


async def test_start_while_the_old_process_is_still_exiting_is_not_lost(host: Machine) -> None:
    """As after stop_client at the account's own port: no action of the controller is under way."""
    await host.start("alice")
    host.units.records["alice"] = UnitRecord("alice", UnitState.DEACTIVATING, "stop-sigterm")
    host.units.calls.clear()
    answer = await host.get("start_client", client="alice")
    assert (answer["code"], answer["status"]) == (0, "success")
    assert host.units.calls[-1:] == ["start wxclient@alice.service"]


async def test_start_of_an_account_that_was_started_by_hand_keeps_it_on(host: Machine) -> None:
    await host.start("alice")
    await host.get("stop_client", client="alice")
    await host.units.act(Verb.START, "alice", PATIENCE)
    assert (await host.get("start_client", client="alice"))["status"] == "client already exists"
    assert AccountFiles(host.paths).load("alice").desired is Desired.STARTED


async def test_the_last_of_repeated_parameters_wins(host: Machine) -> None:
    async with host.http.get("/openwx/start_client?client=a&send_interval=1&client=b&send_interval=7") as answer:
        assert json.loads(await answer.read())["client"] == "b"
    assert AccountFiles(host.paths).load("b").options["send_interval"] == "7"


async def test_parameters_may_be_in_a_form_or_in_json(host: Machine) -> None:
    async with host.http.get("/openwx/start_client", data={"client": "formed", "send_interval": "9"}) as answer:
        assert json.loads(await answer.read())["client"] == "formed"
    assert AccountFiles(host.paths).load("formed").options["send_interval"] == "9"
    sent = {"client": "小店", "send_interval": 7, "download_media": False, "post_api": None}
    async with host.http.get("/openwx/start_client", json=sent) as answer:
        assert json.loads(await answer.read())["code"] == 0
    options = AccountFiles(host.paths).load(parse_name("小店").instance).options
    assert (options["send_interval"], options["download_media"]) == ("7", "0")
    async with host.http.get("/openwx/start_client", json={"client": "x", "post_api": ["http://a/"]}) as answer:
        assert "parameter post_api is an array or an object" in json.loads(await answer.read())["status"]


async def test_post_to_a_path_that_is_read_by_get_says_so(host: Machine) -> None:
    for call in ("start_client", "get_qrcode"):
        async with host.http.post(f"/openwx/{call}", json={"client": "new"}) as answer:
            found = await answer.json()
        assert (answer.status, found["code"], found["status"]) == (200, 1, "client not exists")
        assert f"GET /openwx/{call}" in found["reason"]
    async with host.http.post("/openwx/send_friend_message", json={"client": "new"}) as answer:
        assert "reason" not in await answer.json()
    # As curl sends JSON without a header: no parameter is found.
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    async with host.http.post("/openwx/start_client", data='{"client": "new"}', headers=form) as answer:
        found = await answer.json()
    assert (found["status"], "GET /openwx/start_client" in found.get("reason", "")) == ("client not found", True)


async def test_start_succeeds_if_the_unit_is_up_although_systemctl_failed(host: Machine) -> None:
    host.units.lost = "Transport endpoint is not connected"
    assert (await host.get("start_client", client="alice"))["code"] == 0
    assert (await host.get("start_client", client="bob"))["code"] == 0
    host.units.lost = ""
    host.units.refuse = "exit-code"
    assert (await host.get("start_client", client="carol"))["code"] == 3


async def test_options_without_effect_are_listed(host: Machine) -> None:
    answer = await host.get("start_client", client="alice", tmpdir="/tmp", log_path="/x", _="123", callback="f")
    assert answer["ignored"] == ["tmpdir", "log_path", "callback"]
    assert answer["tmpdir"] == "/tmp"  # echoed as it was sent
    assert "_" not in answer
    assert "/tmp/" not in host.paths.account_file("alice").read_text().replace(str(host.paths.root), "")
    assert (await host.get("start_client", client="bob", tmpdir="/tmp\nX=1"))["code"] == 6
    assert (await host.get("start_client", client="bob", callback="a\nb"))["code"] == 6
    assert (await host.get("start_client", client="bob", sizzle="2"))["code"] == 6
    assert AccountFiles(host.paths).instances() == ["alice"]


async def test_unknown_options_can_be_ignored(tmp_path: Path) -> None:
    async with Machine(tmp_path, unknown_options="ignore") as host:
        answer = await host.get("start_client", client="alice", code="9", status="x", port="1", sizzle="2")
        assert (answer["code"], answer["status"]) == (0, "success")  # fields of the result win
        assert answer["port"] != "1"
        assert answer["ignored"] == ["code", "status", "port", "sizzle"]
        assert (await host.get("start_client", client="bob", ca_file="/x"))["code"] == 6


async def test_invalid_utf8_is_refused(host: Machine) -> None:
    async with host.http.get(yarl.URL("/openwx/start_client?client=%C4%E3", encoded=True)) as answer:
        assert "UTF-8" in json.loads(await answer.read())["status"]


async def test_concurrent_start_waits_for_the_first(host: Machine) -> None:
    host.units.hold = asyncio.Event()
    first = asyncio.create_task(host.get("start_client", client="alice"))
    await host.units.holding.wait()
    second = asyncio.create_task(host.get("start_client", client="alice"))
    done, _ = await asyncio.wait({first, second}, timeout=0.1)
    assert not done
    host.units.hold.set()
    assert (await first)["status"] == "success"
    assert (await second)["status"] == "client already exists"


async def test_start_while_stopping_waits_and_starts(host: Machine) -> None:
    before = await host.start("alice")
    host.units.hold = asyncio.Event()
    stopping = asyncio.create_task(host.get("stop_client", client="alice"))
    await host.units.holding.wait()
    starting = asyncio.create_task(host.get("start_client", client="alice"))
    await asyncio.sleep(0.05)
    host.units.hold.set()
    host.units.hold = None
    assert (await stopping)["status"] == "success"
    assert (await starting)["status"] == "success"
    assert host.process("alice") is not before
    assert AccountFiles(host.paths).load("alice").desired is Desired.STARTED


@pytest.mark.parametrize("request_line", ["GET /openwx/start_client?client=bob", "DELETE /v1/accounts/alice"])
async def test_disconnected_caller_does_not_interrupt_an_action(host: Machine, request_line: str) -> None:
    await host.start("alice")
    host.units.hold = asyncio.Event()
    host.units.holding.clear()
    _, writer = await asyncio.open_connection(*host.address)
    writer.write(f"{request_line} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    await host.units.holding.wait()
    writer.close()
    await writer.wait_closed()
    await host.get("check_client")  # by then the controller has noticed, too
    host.units.hold.set()
    wanted = ["alice", "bob"] if "bob" in request_line else []
    await until(lambda: sorted(host.units.processes) == wanted and AccountFiles(host.paths).instances() == wanted)


async def test_max_clients_holds_for_concurrent_starts(tmp_path: Path) -> None:
    async with Machine(tmp_path, max_clients=3) as host:
        answers = await asyncio.gather(*(host.get("start_client", client=f"c{number}") for number in range(8)))
        assert sorted(str(answer["code"]) for answer in answers) == ["0"] * 3 + ["5"] * 5
        first, *_ = AccountFiles(host.paths).instances()
        assert (await host.get("start_client", client=first))["status"] == "client already exists"
        await host.units.kill(first, UnitRecord(first, UnitState.FAILED, "failed"))  # failed units do not count
        assert (await host.get("start_client", client="another"))["status"] == "success"


async def test_port_is_kept_over_stop_and_start(host: Machine) -> None:
    before = await host.start("a")
    first = await host.start("b")
    await host.get("stop_client", client="b")
    assert (await host.v1("DELETE", "accounts/a"))[0] == 200  # frees a lower port
    again = await host.start("b")
    assert again.account.port == first.account.port
    assert (await host.start("c")).account.port == before.account.port


async def test_stop_that_fails_has_a_reason(host: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(verb: Verb, instance: str, timeout: float) -> None:
        raise UnitFailed("the job was canceled", "see the journal")

    await host.start("alice")
    monkeypatch.setattr(host.units, "act", act)
    answer = await host.get("stop_client", client="alice")
    assert (answer["code"], answer["status"]) == (1, "failure")
    assert "the job was canceled" in str(answer["reason"])


async def test_a_slash_or_a_format_after_a_call_is_ignored(host: Machine) -> None:
    for call, code in (("start_client.json", 0), ("check_client/", 0), ("stop_client.x", 0), ("start_client/", 0)):
        assert (await host.get(call, client="alice"))["code"] == code, call
    assert "alice" in host.units.processes


async def test_unit_that_does_not_start_is_reported(host: Machine) -> None:
    host.units.refuse = "the control process exited with error code."
    answer = await host.get("start_client", client="alice")
    assert answer["code"] == 3
    assert "wxclient@alice.service" in str(answer["status"])
    assert "wxctl logs alice" in str(answer["status"])
    [state] = await host.states(client="alice")
    assert (state["state"], state["unit_sub"], state["pid"]) == ("stop", "failed", None)
    status, failed = await host.v1("POST", "accounts/alice/start")
    assert (status, field(failed["error"], "code")) == (502, "unit-failed")
    # A start does not wait for systemd's own next attempt.
    host.units.refuse = ""
    host.units.records["alice"] = UnitRecord("alice", UnitState.ACTIVATING, "auto-restart")
    assert (await host.get("start_client", client="alice"))["status"] == "success"
    assert host.units.calls[-2:] == ["reset-failed wxclient@alice.service", "restart wxclient@alice.service"]


async def test_stop_ends_the_unit_and_keeps_the_account(host: Machine) -> None:
    process = await host.start("alice")
    answer = await host.get("stop_client", client="alice")
    assert answer["status"] == "success"
    assert answer["port"] == process.account.port
    assert isinstance(answer["pid"], int)
    assert await host.get("stop_client", client="alice") == {"code": 1, "status": "client not exists"}
    assert await host.get("check_client") == {"client": [], "code": 0}
    assert AccountFiles(host.paths).load("alice").desired is Desired.STOPPED
    await host.units.act(Verb.START, "alice", 1)  # systemctl start wxclient@alice
    assert (await host.get("start_client", client="alice"))["status"] == "client already exists"
    assert AccountFiles(host.paths).load("alice").desired is Desired.STARTED
    host.paths.template.write_text("broken {{")
    status, failed = await host.v1("POST", "accounts/bob/start")
    assert (status, field(failed["error"], "code")) == (500, "template")
    assert (await host.get("stop_client", client="alice"))["note"]  # it would run again after a reboot
    assert host.units.processes == {}


async def test_check_client_returns_states_without_the_login_link(host: Machine) -> None:
    process = await host.start("alice")
    await host.start("bob")
    process.show_qrcode()
    [state] = await host.states(client="alice")
    assert state["state"] == "scaning"
    assert state["port"] == process.account.port
    assert state["state_path"] == "/x/y"
    assert "qrcode_link" not in state
    assert [state["account"] for state in await host.states()] == ["alice", "bob"]
    process.say(LoginState.RUNNING)
    [state] = await host.states(client="alice")
    assert state["state"] == "running"


async def test_unreadable_state_file_does_not_affect_others(host: Machine) -> None:
    process = await host.start("alice")
    await host.start("bob")
    too_many, too_large = b'{"state": [' + b"[]," * 80_000 + b"0]}", b"{}" + b" " * STATE_FILE_BYTES
    for content in (b"", b"[1]", b'{"pid":NaN}', b"\xff", too_many, too_large):
        process.write(content)
        assert (await host.get("check_client", client="alice"))["status"] == "client state file read error"
        assert (await host.get("check_client"))["unreadable"] == ["alice"]
        assert [state["account"] for state in await host.states()] == ["bob"]
        process.say(LoginState.RUNNING)
        assert (await host.get("check_client", client="alice"))["code"] == 0


async def test_code_of_an_ended_process_is_not_returned(host: Machine) -> None:
    process = await host.start("alice")
    process.show_qrcode()
    async with host.http.get("/openwx/get_qrcode?client=alice") as answer:
        assert (answer.status, await answer.read()) == (200, b"\xff\xd8jpeg")
    await host.units.kill("alice", UnitRecord("alice", UnitState.FAILED, "failed"))
    code = host.paths.qrcode_file("alice")
    code.parent.mkdir(parents=True, exist_ok=True)
    code.write_bytes(b"\xff\xd8dead")
    async with host.http.get("/openwx/get_qrcode?client=alice") as answer:
        assert answer.status == 404


async def test_code_beyond_its_limit_is_not_returned(host: Machine) -> None:
    process = await host.start("alice")
    process.show_qrcode()
    for more, status in ((0, 200), (1, 404)):
        host.paths.qrcode_file("alice").write_bytes(bytes(QRCODE_FILE_BYTES + more))
        async with host.http.get("/openwx/get_qrcode?client=alice") as answer:
            assert answer.status == status


async def test_password_of_a_proxy_is_not_echoed(host: Machine) -> None:
    proxy = "socks5://user:hidden@127.0.0.1:9"
    answers = [await host.get("start_client", client="alice", proxy=proxy) for _ in range(2)]
    answers.append(await host.get("stop_client", client="alice"))
    assert [answer["code"] for answer in answers] == [0] * 3
    assert {str(answer["proxy"]) for answer in answers} == {"socks5://127.0.0.1:9"}
    assert AccountFiles(host.paths).load("alice").options["proxy"] == proxy


async def test_links_and_pipes_in_an_accounts_directory_are_not_followed(host: Machine) -> None:
    await host.start("alice")
    (await host.start("bob")).show_qrcode()
    state, code = host.paths.state_file("alice"), host.paths.qrcode_file("alice")
    state.unlink()
    for name in ("alice", "bob"):  # a file of another user, and a valid one of another account
        state.symlink_to(host.paths.account_file("alice") if name == "alice" else host.paths.state_file("bob"))
        assert (await host.get("check_client", client="alice"))["code"] == 1
        state.unlink()
    code.symlink_to(host.paths.qrcode_file("bob"))
    async with host.http.get("/openwx/get_qrcode?client=alice") as answer:
        assert answer.status == 404
    code.unlink()
    os.mkfifo(code)
    async with host.http.get("/openwx/get_qrcode?client=alice") as answer:
        assert answer.status == 404


async def test_ended_process_is_never_shown_as_running(host: Machine) -> None:
    process = await host.start("alice")
    process.say(LoginState.RUNNING)
    for record in (
        UnitRecord("alice", UnitState.FAILED, "failed"),
        UnitRecord("alice", UnitState.ACTIVATING, "auto-restart"),
        UnitRecord("alice", UnitState.ACTIVATING, "start"),
        UnitRecord("alice", UnitState.INACTIVE, "dead"),
    ):
        await host.units.kill("alice", record)
        [state] = await host.states(client="alice")
        assert state["state"] in ("stop", "init"), record


def damage(host: Machine, name: str, how: str) -> None:
    path = host.paths.account_file(name)
    if how == "gone":
        path.unlink()
    else:
        path.write_text('MOJO_WEIXIN_ACCOUNT="' + name)
    host.accounts.registry.forget(name)


@pytest.mark.parametrize("how", ["gone", "damaged"])
async def test_a_start_restarts_a_running_account_whose_file_was_lost(host: Machine, how: str) -> None:
    await host.start("alice")
    damage(host, "alice", how)
    await host.start("alice")
    assert host.units.calls[-1] == "restart wxclient@alice.service"
    assert obj((await host.get("echo", client="alice"))["headers"])["Host"] == (
        f"127.0.0.1:{host.process('alice').account.port}"
    )
    assert (host.paths.accounts / "alice.env.broken").exists() == (how == "damaged")
    assert (await host.v1("DELETE", "accounts/alice"))[0] == 200
    assert [path.name for path in host.paths.accounts.iterdir()] == [".lock"]


@pytest.mark.parametrize("how", ["gone", "damaged"])
async def test_a_live_account_without_a_file_can_be_stopped(host: Machine, how: str) -> None:
    for stop in ("openwx", "v1"):
        await host.start("alice")
        damage(host, "alice", how)
        if stop == "openwx":
            answer = await host.get("stop_client", client="alice")
            assert answer["code"] == 0
        else:
            status, answer = await host.v1("POST", "accounts/alice/stop")
            assert (status, answer["unit_state"]) == (200, "absent")
        assert "file is missing or damaged" in str(answer["note"])
        assert host.units.processes == {}
    assert (await host.v1("POST", "accounts/alice/stop"))[0] == 404


async def test_disk_errors_of_a_start_name_the_file(host: Machine) -> None:
    file = host.paths.account_file("alice")
    file.mkdir()
    answer = await host.get("start_client", client="alice")
    assert (answer["code"], str(file) in str(answer["status"])) == (3, True)
    status, failure = await host.v1("POST", "accounts/alice/start")
    assert (status, field(failure["error"], "code")) == (500, "disk")
    assert str(file) in str(field(failure["error"], "message"))


async def test_an_unreadable_override_file_hides_no_account(host: Machine) -> None:
    host.paths.overrides.mkdir(parents=True)
    host.paths.override_file("alice").symlink_to("alice.env")  # to itself: not even root can open it
    assert (await host.v1("POST", "accounts", {"name": "alice"}))[0] == 201
    damage(host, "bob", "damaged")
    assert [field(each, "name") for each in items((await host.v1("GET", "accounts"))[1]["accounts"])] == ["alice"]
    assert (await host.v1("GET", "accounts/alice"))[0] == 200
    assert (await host.v1("DELETE", "accounts/alice"))[0] == 200


async def test_a_stop_does_not_wait_for_a_start_that_hangs(host: Machine) -> None:
    host.units.hold = asyncio.Event()
    host.units.hold_stops = False
    starts = [asyncio.create_task(host.get("start_client", client="alice")) for _ in range(2)]
    await asyncio.wait_for(host.units.holding.wait(), PATIENCE)
    answer = await asyncio.wait_for(host.get("stop_client", client="alice"), PATIENCE)
    assert answer["code"] == 0
    for started in await asyncio.wait_for(asyncio.gather(*starts), PATIENCE):
        assert started["code"] != 0
        assert "was stopped while it was starting" in str(started["status"])
    assert "alice" not in host.units.records
    assert (await host.v1("GET", "accounts/alice"))[1]["desired"] == "stopped"
    host.units.hold = None
    await host.start("alice")
