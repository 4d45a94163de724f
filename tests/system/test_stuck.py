"""Clients that hang or cannot write: systemd restarts them, and no scan is needed."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system import actors
from tests.system.actors import Webhook, log_in, shorten_watchdog, until, use_sandbox
from tests.system.host import Host
from tests.system.units import dropin, show

pytestmark = [pytest.mark.system]
PROGRAM = "/usr/local/lib/wxstuck.py"
DROPIN = "/run/systemd/system/wxclient@.service.d/stuck.conf"
# What hangs, and what the journal must name. A stopped process names nothing.
PARTS = {
    "stopped": "",
    "send": "the process hangs (does not end: a send",
    "disk": "the process hangs (does not end: writing the event log",
}


class World(actors.World):
    def received(self, text: str) -> int:
        return sum(report.get("content") == text for report in self.hook.reports)


@dataclass
class Hung:
    """An account that was made to hang, and the pid it had."""

    uin: str
    pid: int


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    shorten_watchdog(host)
    use_sandbox(host)
    host.write(PROGRAM, (Path(__file__).parent / "stuck.py").read_bytes())
    host.write(DROPIN, f"[Service]\nExecStart=\nExecStart=/usr/bin/python3 {PROGRAM} %i\n".encode())
    host.run("systemctl", "daemon-reload")
    with Webhook(host) as hook:
        yield World(host, hook)


@pytest.fixture(scope="module")
def hung(world: World) -> dict[str, Hung]:
    """Accounts that hang at the same time, as the watchdog needs seconds for each."""
    host, found = world.host, dict[str, Hung]()
    for part in PARTS:
        uin = world.phone.account(part)
        log_in(world.caller, world.phone, part, uin, post_api=world.hook.address)
        found[part] = Hung(uin, int(world.caller.account(part)["pid"]))
        trigger = f"/var/lib/private/wxclient/{part}/hang-{part}"
        if part == "stopped":
            host.run("systemctl", "kill", "--signal=STOP", f"wxclient@{part}")
            world.phone.write(uin, world.phone.friend(uin), f"while {part} hung")
            continue
        host.run("touch", trigger)
        if part == "send":
            world.caller.openwx("send_friend_message", client=part, id="filehelper", content="x", **{"async": "1"})
        world.phone.write(uin, world.phone.friend(uin), f"while {part} hung")
        until(lambda path=trigger: host.run("test", "-e", path, check=False).returncode, f"{part} hangs")  # type: ignore[misc]
    return found


@pytest.mark.parametrize("part", PARTS)
def test_hanging_client_is_restarted_and_needs_no_scan(world: World, hung: dict[str, Hung], part: str) -> None:
    account, unit = hung[part], f"wxclient@{part}.service"
    until(lambda: show(world.host, unit, "NRestarts") == "1", f"the restart of {part}")
    world.caller.until_state(part, "running")
    assert int(world.caller.account(part)["pid"]) != account.pid
    # It logged in with the stored session. A kill may repeat the reports of its last second.
    assert [event for event, _ in itertools.groupby(world.hook.events("login", part))] == [[1], [0]]
    world.hook.wait_for(lambda report: report.get("content") == f"while {part} hung")
    assert world.received(f"while {part} hung") == 1
    world.phone.write(account.uin, world.phone.friend(account.uin), f"after {part} hung")
    world.hook.wait_for(lambda report: report.get("content") == f"after {part} hung")
    journal = world.host.journal(unit, lines=400)
    assert PARTS[part] in journal
    assert "Watchdog timeout" in journal


def test_account_on_a_read_only_disk_is_restarted_when_it_is_writable(world: World) -> None:
    """A process that was started on a read-only mount can never write there."""
    host, caller, hook = world.host, world.caller, world.hook
    uin, place, unit = world.phone.account("只读"), "/var/lib/private/wxclient/shut", "wxclient@shut.service"
    host.run("mkdir", "-p", "-m", "0700", place)
    host.run("mount", "-t", "tmpfs", "-o", "size=20m,mode=0700", "tmpfs", place)
    # With the time limits of the product.
    with dropin(host, unit, "[Service]\nExecStart=\nExecStart=/usr/lib/wxcontroller/wxclient %i\n"):
        try:
            log_in(caller, world.phone, "shut", uin, post_api=hook.address)
            caller.openwx("stop_client", client="shut")
            host.run("mount", "-o", "remount,ro", place)
            caller.openwx("start_client", client="shut", post_api=hook.address)
            until(lambda: "Read-only" in host.journal(unit), "trouble with the disk")
            world.phone.write(uin, world.phone.friend(uin), "came meanwhile")
            host.run("mount", "-o", "remount,rw", place)
            hook.wait_for(lambda report: report.get("content") == "came meanwhile", "the message")
            assert world.received("came meanwhile") == 1
            assert "read-only when the process began" in host.journal(unit, lines=400)
        finally:
            host.run("systemctl", "stop", unit)
            host.run("umount", place)
