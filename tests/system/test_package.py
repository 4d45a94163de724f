"""One life of the packages on a machine that has never seen them: install, upgrade, remove, install again, purge.

The tests build on each other and run in the order of this file.
"""

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.actors import CONTROLLER, Caller, until
from tests.system.host import Host

pytestmark = pytest.mark.system
# What may be left after a purge: the package files we copied there, dpkg's and systemd's own records, and the user.
ALLOWED_TO_STAY = re.compile(r"/root/debs(/|$)|/var/(log|cache)/|/var/lib/(dpkg|apt)/|/run/systemd/units/")


@pytest.fixture(scope="module")
def machine(bare_host: Host) -> Host:
    return bare_host


def show(host: Host, unit: str, name: str) -> str:
    return host.text("systemctl", "show", "--value", "-p", name, unit).strip()


def kind(host: Host, path: str) -> str:
    """Mode, owner and group of a path."""
    return host.text("stat", "-c", "%a %U:%G", path).strip()


def next_version(deb: Path, place: Path) -> Path:
    """Return the same package as a later version."""
    tree = place / deb.stem
    subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
    control = tree / "DEBIAN/control"
    told = control.read_text()
    old = re.search(r"^Version: (.*)$", told, re.MULTILINE)
    assert old
    told = told.replace(f"Version: {old[1]}\n", f"Version: {old[1]}+next\n")
    control.write_text(told.replace(f"wxcontroller (= {old[1]})", f"wxcontroller (= {old[1]}+next)"))
    made = place / deb.name.replace(old[1], f"{old[1]}+next")
    build = ("dpkg-deb", "-b", "-Znone", "--root-owner-group")
    subprocess.run([*build, tree, made], check=True, stdout=subprocess.DEVNULL)
    return made


@contextmanager
def asking_without_pause(host: Host) -> Iterator[list[str]]:
    """Have requests under way, each on a new connection; the list holds those that failed."""
    failed: list[str] = []
    counted: list[int] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                status, _, body = host.http("GET", f"{CONTROLLER}/openwx/check_client")
                if status != 200:
                    failed.append(f"{status} {body!r}")
            except OSError as problem:
                failed.append(repr(problem))
            counted.append(1)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield failed
    finally:
        done.set()
        for thread in threads:
            thread.join()
        print(f"{len(counted)} requests, {len(failed)} failed")


def test_installing_sets_everything_up(machine: Host, debs: list[Path]) -> None:
    machine.install(debs[0])
    assert re.fullmatch(
        r"wxcontroller:x:\d+:\d+:.*:/var/lib/wxcontroller:/usr/sbin/nologin",
        machine.text("getent", "passwd", "wxcontroller").strip(),
    )
    assert kind(machine, "/var/lib/wxcontroller") == "700 wxcontroller:wxcontroller"
    assert kind(machine, "/var/lib/wxcontroller/clients") == "750 wxcontroller:wxcontroller"
    assert kind(machine, "/etc/wxcontroller/clients") == "750 root:wxcontroller"
    assert kind(machine, "/var/lib/wxclient-access") == "750 wxcontroller:wxcontroller"
    assert kind(machine, "/etc/wxcontroller/wxcontroller.toml.d") == "755 root:root"
    assert kind(machine, "/run/wxclient") == "755 root:root"
    assert kind(machine, "/var/spool/wxcontroller") == "750 wxcontroller:wxalert"
    for channel in ("webhook", "mail", "command"):
        assert kind(machine, f"/var/spool/wxcontroller/{channel}") == "2770 wxcontroller:wxalert"
        assert kind(machine, f"/run/wxcontroller-alerts/{channel}") == "2770 wxcontroller:wxalert"
    for unit in ("wxcontroller.socket", "wxcontroller.service", "wxclient.target"):
        assert machine.text("systemctl", "is-enabled", unit).strip() == "enabled", unit
        assert machine.text("systemctl", "is-active", unit).strip() == "active", unit
    machine.run("test", "-s", "/usr/share/polkit-1/rules.d/50-wxcontroller.rules")
    for address in ("127.0.0.1", "[::1]"):
        assert machine.run("curl", "-sf", f"http://{address}:2000/openwx/check_client").stdout
    programs = machine.text("sh", "-c", "head -qn1 /usr/bin/wx* /usr/sbin/wx* /usr/lib/wxcontroller/wx*").split("\n")
    assert {*programs} == {"#!/usr/bin/python3 -I", "#!/bin/sh", ""}
    for command in ("wxcontroller --check-config", "wxctl --help", "/usr/lib/wxcontroller/wxclient --help"):
        machine.run(*command.split())
    machine.run("test", "-s", "/usr/share/doc/wxcontroller/README.Debian")
    assert machine.text("systemctl", "is-system-running").strip() == "running"


def test_the_sandbox_is_there_but_waits_to_be_started(machine: Host, debs: list[Path]) -> None:
    machine.install(debs[1])
    assert show(machine, "wxcontroller-sandbox.service", "ActiveState") == "inactive"
    machine.run("systemctl", "start", "wxcontroller-sandbox")
    assert machine.http("GET", "http://127.0.0.1:2100/sandbox/health")[0] == 200


def test_the_message_catalog_explains_journal_lines(machine: Host) -> None:
    assert "man:wxclient(8)" in machine.text("journalctl", "--dump-catalog", check=False)
    # In Chinese too; the host has no Chinese locale to have it shown.
    machine.run("grep", "-q", "微信拒绝账号", "/var/lib/systemd/catalog/database")


def test_an_upgrade_keeps_socket_and_accounts(machine: Host, debs: list[Path], tmp_path: Path) -> None:
    caller = Caller(machine)
    assert caller.openwx("start_client", client="alice")["code"] == 0
    before = {
        "socket": show(machine, "wxcontroller.socket", "ActiveEnterTimestampMonotonic"),
        "account": show(machine, "wxclient@alice.service", "MainPID"),
        "target": show(machine, "wxclient.target", "ActiveEnterTimestampMonotonic"),
    }
    controller = show(machine, "wxcontroller.service", "MainPID")
    sandbox = show(machine, "wxcontroller-sandbox.service", "MainPID")
    machine.write("/etc/wxcontroller/wxcontroller.toml", b"# mine\nmax_clients = 7\n")
    with asking_without_pause(machine) as failed:
        told = machine.install(*(next_version(deb, tmp_path) for deb in debs))
    assert failed == []
    assert "restart them" in told
    after = {
        "socket": show(machine, "wxcontroller.socket", "ActiveEnterTimestampMonotonic"),
        "account": show(machine, "wxclient@alice.service", "MainPID"),
        "target": show(machine, "wxclient.target", "ActiveEnterTimestampMonotonic"),
    }
    assert after == before
    assert before["account"] != "0"
    assert show(machine, "wxcontroller.service", "MainPID") not in ("0", controller)
    assert show(machine, "wxcontroller-sandbox.service", "MainPID") not in ("0", sandbox)
    assert machine.read("/etc/wxcontroller/wxcontroller.toml").startswith(b"# mine")
    assert caller.openwx("check_client", client="alice")["code"] == 0


def test_removing_stops_everything_and_keeps_accounts(machine: Host) -> None:
    machine.run("systemctl", "start", "wxclient@by-hand")
    machine.run("systemctl", "enable", "wxclient@by-hand")
    machine.run("apt-get", "-qy", "remove", "wxcontroller")
    listed = machine.text("systemctl", "list-units", "--no-legend", "--plain", "wx*")
    assert "running" not in listed, listed
    assert "wxcontroller-alert" not in machine.text("systemctl", "list-units", "--no-legend", "--plain", "wx*")
    assert machine.run("pgrep", "-f", "[w]xc", check=False).returncode == 1
    assert machine.run("curl", "-s", CONTROLLER, check=False).returncode == 7
    for name in ("alice", "by-hand"):
        machine.run("test", "-s", f"/var/lib/wxcontroller/clients/{name}.env")
        machine.run("test", "-d", f"/var/lib/private/wxclient/{name}")
    assert machine.read("/etc/wxcontroller/wxcontroller.toml").startswith(b"# mine")


def test_after_another_installation_the_accounts_are_back(machine: Host, debs: list[Path]) -> None:
    machine.install(*debs)
    caller = Caller(machine)
    until(lambda: caller.openwx("check_client")["code"] == 0, "the API")
    assert caller.account("alice")["desired"] == "started"
    # As README.Debian says: those that were wanted come up by themselves.
    until(lambda: show(machine, "wxclient@alice.service", "ActiveState") == "active", "alice")


def test_purging_leaves_nothing(machine: Host) -> None:
    machine.write("/etc/wxcontroller/clients/alice.env", b"MOJO_WEIXIN_SEND_INTERVAL=1\n", 0o640)
    machine.run("wxctl", "token", "create", "last", "--account", "alice")
    machine.write("/etc/wxcontroller/wxcontroller.toml.d/site.toml", b"")
    machine.run("apt-get", "-qy", "purge", "wxcontroller", "wxcontroller-sandbox")
    found = machine.text("find", "/", "-xdev", "(", "-name", "*wxc*", "-o", "-name", "*wxsandbox*", ")").splitlines()
    found += machine.text("find", "/run", "-name", "*wxc*").splitlines()
    assert [path for path in found if not ALLOWED_TO_STAY.match(path)] == []
    assert machine.text("dpkg-query", "-W", "wxcontroller*", check=False).startswith("dpkg-query: no packages")
    listed = machine.text("systemctl", "list-units", "--all", "--no-legend", "--plain", "wx*")
    assert listed.strip() == ""
    assert machine.text("systemctl", "is-system-running", check=False).strip() == "running"
