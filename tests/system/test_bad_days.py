"""Bad days: a kill while a login is under way, and a disk that was read-only at the start."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.system.actors import Caller, Json, Phone, Webhook, log_in, shorten_watchdog, until, use_sandbox
from tests.system.host import Host

pytestmark = pytest.mark.system


@dataclass
class World:
    host: Host
    caller: Caller
    phone: Phone


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    shorten_watchdog(host)
    use_sandbox(host)
    yield World(host, Caller(host), Phone(host))


@pytest.mark.parametrize("state", ["confirming", "updating"])
def test_a_client_killed_in_any_state_comes_back(world: World, state: str) -> None:
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


def test_a_disk_that_was_read_only_when_the_account_began_holds_it_up_only_for_so_long(world: World) -> None:
    """Its process can never write there; when the disk is well again, another one takes its place."""
    uin, place = world.phone.account("只读"), "/var/lib/private/wxclient/shut"
    with Webhook(world.host) as hook:
        world.host.run("mkdir", "-p", "-m", "0700", place)
        world.host.run("mount", "-t", "tmpfs", "-o", "size=20m,mode=0700", "tmpfs", place)
        try:
            log_in(world.caller, world.phone, "shut", uin, post_api=hook.address)
            world.caller.openwx("stop_client", client="shut")
            world.host.run("mount", "-o", "remount,ro", place)
            world.caller.openwx("start_client", client="shut", post_api=hook.address)
            until(lambda: "Read-only" in world.host.journal("wxclient@shut.service"), "trouble with the disk")
            world.phone.write(uin, world.phone.friend(uin), "came meanwhile")
            world.host.run("mount", "-o", "remount,rw", place)
            hook.wait_for(lambda report: report.get("content") == "came meanwhile", "the message")
            assert sum(report.get("content") == "came meanwhile" for report in hook.reports) == 1
            assert "read-only when the process began" in world.host.journal("wxclient@shut.service", lines=400)
            world.caller.openwx("stop_client", client="shut")
        finally:
            world.host.run("systemctl", "stop", "wxclient@shut")
            world.host.run("umount", place)
