"""The packages on a host that has never had them: install, upgrade, remove, install again, purge.

The tests build on each other, in the order of this file.
"""

import re
import subprocess
from pathlib import Path

import pytest

from tests.system.actors import CONTROLLER, Caller, until
from tests.system.host import Host
from tests.system.units import show
from tests.torture.restarts import Knocking

pytestmark = pytest.mark.system
# What may be left after a purge: the packages' files that the tests copied, logs, and records of dpkg and systemd.
ALLOWED_TO_STAY = re.compile(r"/root/debs(/|$)|/var/(log|cache)/|/var/lib/(dpkg|apt)/|/run/systemd/units/")
DIRECTORIES = {
    "/var/lib/wxcontroller": "700 wxcontroller:wxcontroller",
    "/var/lib/wxcontroller/clients": "750 wxcontroller:wxcontroller",
    "/etc/wxcontroller/clients": "750 root:wxcontroller",
    "/var/lib/wxclient-access": "750 wxcontroller:wxcontroller",
    "/etc/wxcontroller/wxcontroller.toml.d": "755 root:root",
    "/run/wxclient": "755 root:root",
    "/var/spool/wxcontroller": "750 wxcontroller:wxalert",
    "/var/spool/wxcontroller/webhook": "2770 wxcontroller:wxalert",
    "/run/wxcontroller-alerts/webhook": "2770 wxcontroller:wxalert",
}


def next_version(deb: Path, place: Path) -> Path:
    """Return the same package as a later version."""
    tree = place / deb.stem
    subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
    control = tree / "DEBIAN/control"
    [old] = re.findall(r"^Version: (.*)$", control.read_text(), re.MULTILINE)
    depends = rf"(^Version: |\(= ){re.escape(old)}"
    control.write_text(re.sub(depends, r"\g<0>+next", control.read_text(), flags=re.MULTILINE))
    made = place / deb.name.replace(old, f"{old}+next")
    subprocess.run(
        ["dpkg-deb", "-b", "-Znone", "--root-owner-group", tree, made], check=True, stdout=subprocess.DEVNULL
    )
    return made


def test_installation_starts_the_controller(bare_host: Host, debs: list[Path]) -> None:
    bare_host.install(debs[0])
    user = bare_host.text("getent", "passwd", "wxcontroller").strip()
    assert re.fullmatch(r"wxcontroller:x:\d+:\d+:.*:/var/lib/wxcontroller:/usr/sbin/nologin", user)
    assert {path: bare_host.text("stat", "-c", "%a %U:%G", path).strip() for path in DIRECTORIES} == DIRECTORIES
    units = ("wxcontroller.socket", "wxcontroller.service", "wxclient.target")
    assert bare_host.text("systemctl", "is-enabled", *units).split() == ["enabled"] * 3
    assert bare_host.text("systemctl", "is-active", *units).split() == ["active"] * 3
    for address in ("127.0.0.1", "[::1]"):
        assert bare_host.run("curl", "-sf", f"http://{address}:2000/openwx/check_client").stdout
    places = "/usr/bin /usr/sbin /usr/lib/wxcontroller"
    find = f"find {places} -name 'wx*' -type f -executable -exec head -qn1 {{}} +"
    programs = bare_host.text("sh", "-c", find).split("\n")
    assert {*programs} == {"#!/usr/bin/python3 -I", "#!/bin/sh", ""}
    assert "man:wxclient(8)" in bare_host.text("journalctl", "--dump-catalog", check=False)
    assert bare_host.text("systemctl", "is-system-running").strip() == "running"


def test_sandbox_is_installed_but_not_started(bare_host: Host, debs: list[Path]) -> None:
    bare_host.install(debs[1])
    assert show(bare_host, "wxcontroller-sandbox.service", "ActiveState") == "inactive"
    bare_host.run("systemctl", "start", "wxcontroller-sandbox")
    assert bare_host.http("GET", "http://127.0.0.1:2100/sandbox/health")[0] == 200


def test_upgrade_restarts_the_controller_and_no_account(bare_host: Host, debs: list[Path], tmp_path: Path) -> None:
    caller = Caller(bare_host)
    assert caller.openwx("start_client", client="alice")["code"] == 0

    def facts() -> list[str]:
        units = ("wxcontroller.socket", "wxclient.target")
        begun = [show(bare_host, unit, "ActiveEnterTimestampMonotonic") for unit in units]
        return [*begun, show(bare_host, "wxclient@alice.service", "MainPID")]

    def services() -> list[str]:
        return [show(bare_host, f"wxcontroller{part}.service", "MainPID") for part in ("", "-sandbox")]

    # By administrators who move accounts and keep copies of them.
    chosen = ("wxcontroller-receive.socket", "wxcontroller-standby.timer")
    bare_host.write("/etc/wxcontroller/credentials/fleet", b"passphrase", 0o600)
    bare_host.run("systemctl", "enable", "--now", *chosen)
    before, pids = facts(), services()
    assert before[-1] != "0"
    bare_host.write("/etc/wxcontroller/wxcontroller.toml", b"# mine\nmax_clients = 7\n")
    with Knocking(bare_host, rate=100, callers=2) as knocking:
        output = bare_host.install(*(next_version(deb, tmp_path) for deb in debs))
    assert (knocking.failed, knocking.asked > 0) == ([], True)
    assert "restart them" in output
    assert [show(bare_host, unit, "ActiveState") for unit in chosen] == ["active"] * 2
    assert "Failed" not in output
    assert facts() == before
    controller, sandbox = services()
    assert controller not in {"0", pids[0]}
    assert sandbox == pids[1]  # its restart would end all logins
    assert bare_host.read("/etc/wxcontroller/wxcontroller.toml").startswith(b"# mine")
    assert caller.openwx("check_client", client="alice")["code"] == 0


def test_removal_stops_all_units_and_keeps_accounts(bare_host: Host) -> None:
    bare_host.run("systemctl", "enable", "--now", "wxclient@by-hand")
    bare_host.run("apt-get", "-qy", "remove", "wxcontroller")
    listed = bare_host.text("systemctl", "list-units", "--no-legend", "--plain", "wx*")
    assert "running" not in listed, listed
    assert not re.search(r"wxcontroller-(alert|receive|standby)", listed), listed
    assert bare_host.run("pgrep", "-f", "[w]xc", check=False).returncode == 1
    assert bare_host.run("curl", "-s", CONTROLLER, check=False).returncode == 7
    for name in ("alice", "by-hand"):
        bare_host.run("test", "-s", f"/var/lib/wxcontroller/clients/{name}.env")
        bare_host.run("test", "-d", f"/var/lib/private/wxclient/{name}")
    assert bare_host.read("/etc/wxcontroller/wxcontroller.toml").startswith(b"# mine")


def test_installation_after_a_removal_starts_wanted_accounts(bare_host: Host, debs: list[Path]) -> None:
    """As README.Debian says."""
    bare_host.install(*debs)
    caller = Caller(bare_host)
    until(lambda: caller.openwx("check_client")["code"] == 0, "the API")
    assert caller.account("alice")["desired"] == "started"
    until(lambda: show(bare_host, "wxclient@alice.service", "ActiveState") == "active", "alice")


def test_purge_removes_everything(bare_host: Host) -> None:
    bare_host.write("/etc/wxcontroller/clients/alice.env", b"MOJO_WEIXIN_SEND_INTERVAL=1\n", 0o640)
    bare_host.run("wxctl", "token", "create", "last", "--account", "alice")
    bare_host.write("/etc/wxcontroller/wxcontroller.toml.d/site.toml", b"")
    bare_host.run("apt-get", "-qy", "purge", "wxcontroller", "wxcontroller-sandbox")
    found = bare_host.text(
        "sh", "-c", "find / -xdev -name '*wxc*' -o -xdev -name '*wxsandbox*'; find /run -name '*wxc*'"
    )
    assert [path for path in found.splitlines() if not ALLOWED_TO_STAY.match(path)] == []
    assert bare_host.text("dpkg-query", "-W", "wxcontroller*", check=False).startswith("dpkg-query: no packages")
    assert bare_host.text("systemctl", "list-units", "--all", "--no-legend", "--plain", "wx*").strip() == ""
    assert bare_host.text("systemctl", "is-system-running", check=False).strip() == "running"
