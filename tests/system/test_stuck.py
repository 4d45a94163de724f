"""Clients that hang, are killed or cannot write: systemd or its watchdog restarts them, and no scan is needed."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.system import actors
from tests.system.actors import Json, Webhook, log_in, shorten_watchdog, until, use_sandbox
from tests.system.host import Host
from tests.system.units import dropin, show

pytestmark = [pytest.mark.system]
PROGRAM = "/usr/local/lib/wxstuck.py"
DROPIN = "/run/systemd/system/wxclient@.service.d/stuck.conf"
# What hangs, and what the journal must name.
PARTS = {"loop": "no sign of life", "send": "a send", "delivery": "posting a report", "disk": "writing the event log"}


class World(actors.World):
    def restarts(self, name: str) -> int:
        return int(show(self.host, f"wxclient@{name}.service", "NRestarts"))

    def told(self, text: str) -> int:
        return sum(report.get("content") == text for report in self.hook.reports)


@dataclass
class Hung:
    """An account that was made to hang at a time (monotonic), and the pid it had."""

    name: str
    uin: str
    pid: int
    since: float


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
    found: dict[str, Hung] = {}
    for part in ("stopped", *PARTS):
        uin = world.phone.account(part)
        log_in(world.caller, world.phone, part, uin, post_api=world.hook.address)
        found[part] = Hung(part, uin, int(world.caller.account(part)["pid"]), 0)
    for part, one in found.items():
        friend = world.phone.friend(one.uin)
        if part == "stopped":
            world.host.run("systemctl", "kill", "--signal=STOP", f"wxclient@{part}")
        else:
            trigger = f"/var/lib/private/wxclient/{part}/hang-{part}"
            world.host.run("touch", trigger)
            if part == "send":
                world.caller.openwx(
                    "send_friend_message", client=part, id="filehelper", content="x", **{"async": "1"}
                )
            if part in ("delivery", "disk"):
                world.phone.write(one.uin, friend, f"while {part} hung")
            until(lambda t=trigger: world.host.run("test", "-e", t, check=False).returncode, f"{part} hangs")  # type: ignore[misc]
        one.since = time.monotonic()
        if part not in ("delivery", "disk"):
            world.phone.write(one.uin, friend, f"while {part} hung")
    return found


@pytest.mark.parametrize("part", ["stopped", *PARTS])
def test_hanging_client_is_restarted_and_needs_no_scan(world: World, hung: dict[str, Hung], part: str) -> None:
    one = hung[part]
    until(lambda: world.restarts(part) == 1 or None, f"{part} restarted")
    print(f"{part}: restarted {time.monotonic() - one.since:.0f} s after it hung")
    world.caller.until_state(part, "running")
    assert int(world.caller.account(part)["pid"]) != one.pid
    # The stored login was good: nobody scanned.
    assert world.hook.events("login", part) == [[1], [0]]
    world.hook.wait_for(lambda report: report.get("content") == f"while {part} hung")
    assert world.told(f"while {part} hung") == 1
    world.phone.write(one.uin, world.phone.friend(one.uin), f"after {part} hung")
    world.hook.wait_for(lambda report: report.get("content") == f"after {part} hung")


@pytest.mark.parametrize("part", PARTS)
def test_journal_names_the_hung_part(world: World, hung: dict[str, Hung], part: str) -> None:
    until(lambda: world.restarts(part) == 1 or None, f"{part} restarted")
    journal = world.host.journal(f"wxclient@{part}.service", lines=400)
    assert f"the process hangs ({'does not end: ' if part != 'loop' else ''}{PARTS[part]}" in journal
    assert part == "disk" or "maybe_hang (wxstuck.py:" in journal
    assert "Watchdog timeout" in journal


@pytest.mark.parametrize("state", ["confirming", "updating"])
def test_client_killed_during_a_login_comes_back(world: World, state: str) -> None:
    name = f"kill-{state}"
    uin = world.phone.account(state)
    with ExitStack() as faults:
        if state == "updating":
            faults.enter_context(world.phone.fault("webwxgetcontact", "delay", 3600))
        world.caller.openwx("start_client", client=name)
        world.caller.until_state(name, "scaning")
        _, qr = world.caller.v1("GET", f"/accounts/{name}/qr")
        uuid = world.phone.login_of(qr["link"])
        world.phone.scan(uuid, uin)
        if state == "updating":
            world.phone.confirm(uuid)
        world.caller.until_state(name, state)
        before = world.caller.account(name)["pid"]
        world.host.run("systemctl", "kill", "--signal=KILL", f"wxclient@{name}")

    # Accepted logins are kept; before that a new code is shown.
    wanted = "running" if state == "updating" else "scaning"

    def back() -> Json:
        account = world.caller.account(name)
        return account["pid"] not in (0, None, before) and account["state"] == wanted

    until(back, f"{name} back and {wanted}")
    world.caller.openwx("stop_client", client=name)


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
            assert world.told("came meanwhile") == 1
            assert "read-only when the process began" in host.journal(unit, lines=400)
        finally:
            host.run("systemctl", "stop", unit)
            host.run("umount", place)
