"""The ground that system tests stand on: hosts end with their maker, keep their disk over a reboot, are reached."""

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.system import host as hosts
from tests.system.actors import until
from tests.system.forward import forwarding
from tests.system.host import Host, HostError

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]
MAKER = """
import sys, time
from tests.system.host import Host
with Host.up(sys.argv[1]):
    print("up", flush=True)
    time.sleep(60)
"""


def traces(name: str) -> list[str]:
    """What of a host is still on this machine."""
    found = [line for line in Path("/proc/self/mounts").read_text().splitlines() if f"wxhost-{name} " in line]
    found += [str(place) for place in hosts.WORK.glob(name)]
    found += [str(place) for place in hosts.CGROUPS.glob(f"*/wx-{name}")]
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_host_ends_with_its_maker_however_that_ends(number: signal.Signals) -> None:
    name = f"wx-orphan-{os.getpid()}"
    maker = subprocess.Popen(
        [sys.executable, "-c", MAKER, name], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with maker:
        assert maker.stdout is not None
        assert maker.stdout.readline() == b"up\n"
        assert traces(name)
        maker.send_signal(number)
    until(lambda: not traces(name), "the end of the host")


def test_a_reboot_keeps_the_disk_and_nothing_else(bare_host: Host) -> None:
    boot = bare_host.read("/proc/sys/kernel/random/boot_id")
    bare_host.write("/var/lib/kept", b"kept")
    bare_host.write("/run/lost", b"lost")
    bare_host.reboot()
    assert bare_host.read("/proc/sys/kernel/random/boot_id") != boot
    assert bare_host.read("/var/lib/kept") == b"kept"
    assert bare_host.run("test", "-e", "/run/lost", check=False).returncode == 1


def test_a_second_host_of_the_same_name_is_refused(bare_host: Host) -> None:
    with pytest.raises(HostError, match="running already"), Host.up(bare_host.name):
        pass
    assert bare_host.text("hostname").strip() == bare_host.name


def test_a_port_of_the_host_is_reached_from_this_machine(bare_host: Host) -> None:
    port = 28000 + os.getpid() % 1000
    bare_host.write("/srv/page", b"x" * 3_000_000)
    serve = ("python3", "-m", "http.server", "-d", "/srv", "-b", "127.0.0.1", str(port))
    bare_host.run("systemd-run", "-q", "--unit=pages", *serve)
    address = f"http://127.0.0.1:{port}/page"
    until(lambda: bare_host.run("curl", "-sf", "-o", "/dev/null", address, check=False).returncode == 0)
    with forwarding(bare_host, port), urllib.request.urlopen(address, timeout=60) as answer:
        assert len(answer.read()) == 3_000_000
    bare_host.run("systemctl", "stop", "pages")
