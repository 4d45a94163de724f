"""An account's life on real systemd: names, direct start, reboot, restart without a scan."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.system.actors import Caller, Phone, Webhook, log_in, until, use_sandbox
from tests.system.host import Host
from wxcontroller.core import envfile

pytestmark = pytest.mark.system
OURS = "小 红 \" ' $HOME `x` \\ %i #;"


@dataclass
class World:
    host: Host
    caller: Caller
    phone: Phone


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    use_sandbox(host)
    yield World(host, Caller(host), Phone(host))


def text(host: Host, *argv: str, check: bool = True) -> str:
    done = host.run(*argv, check=check)
    return bytes(done.stdout + done.stderr).decode()


@pytest.mark.parametrize("name", ["小红的账号", "my-bot"])  # one that is no id, and one that is
def test_every_allowed_name_works_everywhere(world: World, name: str) -> None:
    uin = world.phone.account("名字")
    log_in(world.caller, world.phone, name, uin)
    account = world.caller.account(name)
    assert account["name"] == name
    assert "running: logged in as 名字" in text(world.host, "systemctl", "show", "-P", "StatusText", account["unit"])
    assert name in text(world.host, "wxctl", "list")
    assert "running" in text(world.host, "wxctl", "status", name)
    status, _, page = world.caller.get("/v1/accounts")
    assert status == 200
    assert name in page.decode() or json.dumps(name)[1:-1] in page.decode()
    journal = text(world.host, "journalctl", "--no-pager", f"WX_ACCOUNT={name}", "-n", "50")
    assert "running" in journal
    assert world.caller.openwx("send_friend_message", client=name, id="filehelper", content="x")["code"] == 0
    assert world.caller.openwx("stop_client", client=name)["code"] == 0


def test_root_starts_a_unit_and_the_controller_knows_it(world: World) -> None:
    world.host.run("systemctl", "start", "wxclient@bob")
    assert world.caller.openwx("check_client", client="bob")["client"][0]["account"] == "bob"
    world.caller.until_state("bob", "scaning")
    status, _, image = world.caller.get("/openwx/get_qrcode", client="bob")
    assert (status, image[:2]) == (200, b"\xff\xd8")
    assert world.caller.openwx("stop_client", client="bob")["code"] == 0


def test_a_restart_of_the_account_needs_no_scan_and_loses_no_message(world: World) -> None:
    uin = world.phone.account("重启")
    with Webhook(world.host) as hook:
        log_in(world.caller, world.phone, "again", uin, post_api=hook.address)
        friend = world.phone.friend(uin)
        world.host.run("systemctl", "stop", "wxclient@again")
        world.phone.write(uin, friend, "while you were away")
        world.host.run("systemctl", "start", "wxclient@again")
        world.caller.until_state("again", "running")
        hook.wait_for(lambda report: report.get("event") == "login" and report["params"] == [0])
        assert hook.events("login", "again") == [[1], [0]]
        hook.wait_for(lambda report: report.get("content") == "while you were away")
    world.caller.openwx("stop_client", client="again")


def test_the_controller_restarts_under_load_without_a_failed_request(world: World) -> None:
    world.caller.openwx("start_client", client="load")
    failed: list[str] = []
    counted = [0]
    done = threading.Event()

    def knock() -> None:
        connection = world.host.connection()
        while not done.is_set():
            try:
                connection.request("GET", "/openwx/get_client_info?client=load")
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200 or json.loads(body)["code"] != 0:
                    failed.append(f"{answer.status} {body!r}")
                counted[0] += 1
                if answer.will_close:
                    connection.close()
            except Exception as problem:
                failed.append(repr(problem))
                connection.close()

    threads = [threading.Thread(target=knock) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        world.host.run("systemctl", "restart", "wxcontroller")
    done.set()
    for thread in threads:
        thread.join()
    print(f"{counted[0]} requests over 3 restarts, {len(failed)} failed")
    assert failed == []
    world.caller.openwx("stop_client", client="load")


def test_settings_are_reloaded_and_bad_ones_change_nothing(world: World) -> None:
    dropin = "/etc/wxcontroller/wxcontroller.toml.d/zz-test.toml"
    world.host.write(dropin, b"max_clients = 0\n", 0o644)
    checked = world.host.run("wxcontroller", "--check-config", check=False)
    assert checked.returncode == 78
    told = bytes(checked.stdout + checked.stderr).decode()
    assert dropin in told
    assert "max_clients" in told
    assert world.host.run("systemctl", "reload", "wxcontroller", check=False).returncode == 1
    assert world.caller.openwx("check_client")["code"] == 0
    assert "max_clients" in world.host.journal("wxcontroller.service")
    world.host.run("rm", dropin)
    world.host.run("systemctl", "reload", "wxcontroller")


def test_after_a_reboot_wanted_accounts_come_back_and_stopped_ones_stay_stopped(world: World) -> None:
    for name in ("wanted", "unwanted"):
        assert world.caller.openwx("start_client", client=name)["code"] == 0
    world.caller.openwx("stop_client", client="unwanted")
    world.host.reboot()
    until(lambda: world.caller.state("wanted") == "scaning" or None, "wanted came back")
    assert world.caller.openwx("check_client", client="unwanted") == {"code": 1, "status": "client not exists"}
    assert world.caller.account("unwanted")["unit_state"] in ("inactive", "absent")
    world.caller.openwx("stop_client", client="wanted")


def test_systemd_reads_environment_files_as_we_do(world: World) -> None:
    content = (
        '# A="no"\nPLAIN=one two \nDOUBLE="a\\"b\\\\c\\$d\\`e\\nf"\nSINGLE=\'p"q\'\nJOINED=one\\\ntwo\n'
        "HASH=x # y\nEMPTY=\nTWICE=1\nTWICE=2\n" + f"OURS={envfile.quote(OURS)}\n# comment\\\nAFTER=1\n"
    )
    world.host.write("/run/wx-test.env", content.encode())
    shown = world.host.service_run("/usr/bin/env", "-0", properties=["EnvironmentFile=/run/wx-test.env"])
    theirs = dict(pair.split("=", 1) for pair in shown.split("\0") if "=" in pair)
    for key, value in envfile.parse(content).items():
        assert theirs[key] == value, key
