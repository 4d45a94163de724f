"""wxctl doctor and config check on a host on which one thing after the other is broken."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.system.actors import Caller, Phone, log_in, until, use_sandbox
from tests.system.host import Host
from tests.system.units import dropin, port_of

pytestmark = pytest.mark.system
_FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
_RULE = "/usr/share/polkit-1/rules.d/50-wxcontroller.rules"


@dataclass
class World:
    host: Host
    caller: Caller
    phone: Phone
    uin: str

    def doctor(self, code: int, *environment: str) -> list[tuple[str, str, str, str]]:
        """Return level, check, message and remedy of all findings that are not ok."""
        done = self.host.run("env", *environment, "wxctl", "doctor", "--quiet", "--json", check=False)
        assert done.returncode == code, (done.stdout, done.stderr)
        rows = json.loads(done.stdout)
        return [(row["level"], row["check"], row["message"], row["remedy"]) for row in rows]

    def finds(self, level: str, check: str, words: str, *environment: str) -> str:
        """Assert that this is found; return the remedy."""
        found = self.doctor(1 if level == "fail" else 0, *environment)
        for one in found:
            if one[:2] == (level, check) and words in one[2]:
                assert one[3], one
                return one[3]
        raise AssertionError(found)


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    use_sandbox(host)
    caller, phone = Caller(host), Phone(host)
    uin = phone.account("病人")
    log_in(caller, phone, "alice", uin)
    made = World(host, caller, phone, uin)
    assert made.doctor(0) == []
    yield made


@pytest.fixture(autouse=True)
def repaired(world: World) -> Iterator[None]:
    """Each test repairs what it breaks: nothing is found afterwards."""
    yield
    assert world.doctor(0) == []


def test_missing_polkit_rule_is_found_and_named_by_a_start(world: World) -> None:
    world.host.run("mv", _RULE, "/root/rule")
    try:
        remedy = world.finds("fail", "polkit", "the rule that lets the controller start accounts is missing")
        assert "--reinstall wxcontroller" in remedy
        world.host.run("systemctl", "restart", "polkit")  # it notices later by itself
        done = world.host.run("wxctl", "start", "unruly", check=False)
        said = done.stderr.decode()
        assert "polkit does not let the controller start it" in said
        assert f"check that {_RULE} exists" in said
        assert "wxctl doctor" in said
        assert "journalctl" not in said
    finally:
        world.host.run("mv", "/root/rule", _RULE)
        world.host.run("systemctl", "restart", "polkit")
        world.host.run("wxctl", "remove", "--yes", "unruly")


def test_foreign_polkit_rule_that_forbids_is_found(world: World) -> None:
    rule = "/etc/polkit-1/rules.d/10-no.rules"
    content = b'polkit.addRule(function (a, s) { if (s.user === "wxcontroller") return polkit.Result.NO; });\n'
    world.host.write(rule, content)
    world.host.run("systemctl", "restart", "polkit")
    try:
        remedy = world.finds("fail", "polkit", "the controller is not allowed to start and stop accounts")
        assert "no other rule precedes" in remedy
    finally:
        world.host.run("rm", rule)
        world.host.run("systemctl", "restart", "polkit")


@contextmanager
def squatter(host: Host, port: int) -> Iterator[None]:
    """Have another program listen on a port of the host."""
    unit = f"squatter-{port}"
    host.run(
        *("systemd-run", f"--unit={unit}", "--collect", "-p", "Type=exec"),
        *("socat", f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr", "PIPE"),
    )
    try:
        until(lambda: f":{port}" in host.text("ss", "-Hltn", f"sport = :{port}"), "the squatter")
        yield
    finally:
        host.run("systemctl", "stop", unit)


def test_other_program_on_the_controllers_port_is_found(world: World) -> None:
    host = world.host
    host.run("systemctl", "stop", "wxcontroller.socket", "wxcontroller.service")
    with squatter(host, 2000):
        host.run("systemctl", "start", "wxcontroller.socket", check=False)
        assert "systemctl edit wxcontroller.socket" in world.finds("fail", "ports", "2000 is in use by socat (pid ")
        assert "journalctl -b -u" in world.finds("fail", "services", "wxcontroller.socket has failed")
        world.finds("fail", "controller", "127.0.0.1:2000")
    host.run("systemctl", "reset-failed", "wxcontroller.socket", check=False)
    host.run("systemctl", "start", "wxcontroller.socket", "wxcontroller.service")


def test_other_program_on_an_accounts_port_is_found(world: World) -> None:
    port = port_of(world.host, "alice")
    world.host.run("wxctl", "stop", "alice")
    with squatter(world.host, port):
        remedy = world.finds("fail", "ports", f"port {port} of alice is in use by socat")
        assert "/etc/wxcontroller/clients/alice.env" in remedy
    world.host.run("wxctl", "start", "alice")


def test_full_or_read_only_disk_is_found(world: World) -> None:
    host, place = world.host, "/var/lib/private/wxclient"
    host.run("mount", "-t", "tmpfs", "-o", "size=20m", "none", place)
    try:
        host.run("sh", "-c", f"head -c 30000000 /dev/zero > {place}/fill", check=False)
        assert "du -xsh" in world.finds("fail", "disk", "sends are refused")
        host.run("rm", f"{place}/fill")
        host.run("mount", "-o", "remount,ro", place)
        assert "remount,rw" in world.finds("fail", "disk", "is read-only")
    finally:
        host.run("umount", place)


def test_boot_that_does_not_finish_is_found(world: World) -> None:
    mark = "/run/wxcontroller/accounts-started"
    world.host.run("mv", mark, "/run/wxcontroller/kept")
    try:
        fake = (f"LD_PRELOAD={_FAKETIME}", "FAKETIME=+40m")
        found = world.doctor(1, *fake)
        assert any(one[:2] == ("warn", "boot") for one in found), found
    finally:
        world.host.run("mv", "/run/wxcontroller/kept", mark)


def test_drop_in_that_weakens_the_sandbox_is_found(world: World) -> None:
    content = "[Service]\nPrivateDevices=no\nMemoryDenyWriteExecute=no\n"
    with dropin(world.host, "wxclient@alice.service", content):
        remedy = world.finds("warn", "sandbox", "wxclient@alice.service is less protected")
        assert remedy == "systemctl edit wxclient@alice.service"
        [found] = world.doctor(0)
        assert "/run/systemd/system/wxclient@alice.service.d/test.conf" in found[2]
        assert "PrivateDevices=no, MemoryDenyWriteExecute=no" in found[2]
    with dropin(world.host, "wxcontroller.service", "[Service]\nMemoryDenyWriteExecute=no\n"):
        world.finds("warn", "sandbox", "MemoryDenyWriteExecute=no")


def test_missing_or_readable_credential_is_found(world: World) -> None:
    with dropin(world.host, "wxcontroller.service", "[Service]\nLoadCredential=tls.crt:/etc/nowhere.pem\n"):
        world.finds("fail", "credentials", "tls.crt from /etc/nowhere.pem, which is not there")
    world.host.run("chmod", "755", "/etc/wxcontroller/credentials")
    assert world.finds("fail", "credentials", "can be read by others").startswith("chmod 700")
    world.host.run("chmod", "700", "/etc/wxcontroller/credentials")


def test_masked_or_stopped_service_is_found(world: World) -> None:
    world.host.run("systemctl", "mask", "--runtime", "polkit.service")
    assert world.finds("fail", "services", "polkit.service is masked") == "systemctl unmask polkit.service"
    world.host.run("systemctl", "unmask", "--runtime", "polkit.service")
    world.host.run("systemctl", "stop", "wxcontroller.socket", "wxcontroller.service")
    assert "start" in world.finds(
        "fail", "services", "wxcontroller.socket is inactive: the controller is unreachable"
    )
    world.host.run("systemctl", "start", "wxcontroller.socket", "wxcontroller.service")


def test_all_invalid_settings_are_reported_together(world: World) -> None:
    """With file, line and key. As ExecStartPre= the check keeps the controller from starting."""
    host = world.host
    wrong, client = "/etc/wxcontroller/wxcontroller.toml.d/zz.toml", "/etc/wxcontroller/clients/alice.env"
    host.write(wrong, b'max_clients = 5\nmax_client = 7\n\npoll_interval = "soon"\n')
    host.write(client, b'# mine\nMOJO_WEIXIN_LANG="klingon"\nMOJO_WEIXIN_SEND_INTERVALL=3\n', 0o640)
    try:
        done = host.run("wxctl", "config", "check", check=False)
        told = done.stdout.decode()
        assert done.returncode == 78
        rows = json.loads(host.run("wxctl", "config", "check", "--json", check=False).stdout)
        assert sum(one[1] == "configuration" for one in world.doctor(1)) == len(rows)
        # In the controller's sandbox, as docs/operations.md says.
        pre = "[Service]\nExecStartPre=/usr/bin/wxctl config check --quiet\nExecPaths=/usr/bin/wxctl\nRestart=no\n"
        with dropin(host, "wxcontroller.service", pre):
            assert host.run("systemctl", "restart", "wxcontroller", check=False).returncode != 0
            assert f"fail: {wrong}:2: max_client" in host.journal("wxcontroller.service", lines=20)
            host.run("mv", wrong, client, "/root")
            host.run("systemctl", "restart", "wxcontroller")
            host.run("mv", "/root/zz.toml", wrong)
            host.run("mv", "/root/alice.env", client)
        as_controller = host.run("wxctl", "config", "check", user="wxcontroller", check=False)
        assert as_controller.returncode == 78
        assert f"fail: {client}: the controller can't read it" in told
        host.run("chgrp", "wxcontroller", client)
        assert "can't read it" not in host.run("wxctl", "config", "check", check=False).stdout.decode()
    finally:
        host.run("rm", wrong, client)
