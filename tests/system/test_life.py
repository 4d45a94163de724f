"""An account's life on real systemd: names, a reboot, files of variables."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.system.actors import Caller, Phone, log_in, until, use_sandbox
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
