"""Figures of one account in a booted host: memory, times to QR code and to running, message to webhook, exposure.

make deb && /usr/bin/python3 -m bench.figures dist/*.deb
"""

import argparse
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from tests.system.actors import Caller, Phone, Webhook, until, use_sandbox
from tests.system.host import Host

Figures: TypeAlias = list[float]  # seconds
STARTS = 5
MESSAGES = 30


def main() -> int:
    return in_a_host(__doc__, measure)


def in_a_host(about: str | None, figures: Callable[[Host], None]) -> int:
    """Measure in a fresh host with the packages that the command line names, against the sandbox."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("debs", nargs="+", type=Path, help="the built packages")
    with Host.up("wxbench", packages=parser.parse_args().debs) as host:
        use_sandbox(host)
        figures(host)
    return 0


def measure(host: Host) -> None:
    caller, phone = Caller(host), Phone(host)
    uin = phone.account("量", friends=30, groups=4)
    friend = phone.friend(uin)
    with Webhook(host) as hook:
        ready: list[float] = []
        starts: list[float] = []
        for number in range(STARTS):
            name = f"start{number}"
            begun = time.monotonic()
            caller.openwx("start_client", client=name)
            starts.append(time.monotonic() - begun)
            until(lambda name=name: caller.state(name) == "scaning", "QR code")  # type: ignore[misc]
            ready.append(time.monotonic() - begun)
            caller.openwx("stop_client", client=name)
        show("start_client answered (unit READY)", starts)
        show("start_client to QR code ready", ready)

        caller.openwx("start_client", client="bench", post_api=hook.address)
        caller.until_state("bench", "scaning")
        _, qr = caller.v1("GET", "/accounts/bench/qr")
        uuid = phone.login_of(qr["link"])
        begun = time.monotonic()
        phone.scan(uuid, uin)
        phone.confirm(uuid)
        caller.until_state("bench", "running")
        show("scan and confirm to running", [time.monotonic() - begun])

        delays: list[float] = []
        for number in range(MESSAGES):
            sent_at = time.time()
            phone.write(uin, friend, f"message {number}")
            hook.wait_for(lambda report, n=number: report.get("content") == f"message {n}")  # type: ignore[misc]
            index = next(i for i, r in enumerate(hook.reports) if r.get("content") == f"message {number}")
            delays.append(hook.times[index] - sent_at)
            time.sleep(1.1)  # faster ones share a check: the account asks once a second in the long run
        show("message at the sandbox to webhook", delays)

        line("memory of an idle wxclient", memory(host, caller.account("bench")["pid"]))
        controller = int(host.text("systemctl", "show", "-P", "MainPID", "wxcontroller").strip())
        line("memory of the controller", memory(host, controller))
    accounts = (f"wxclient{part}@x.service" for part in ("", "-prepare", "-credentials", "-purge"))
    for unit in ("wxcontroller.service", *accounts):
        last = host.text("systemd-analyze", "security", "--no-pager", unit).strip().splitlines()[-1]
        line(f"exposure of {unit}", f"{last.rpartition(':')[0].split()[-1]} {last.rpartition(': ')[2]}")


def line(what: str, value: str) -> None:
    """Print a figure under its name."""
    print(f"{what:52} {value}", flush=True)


def show(what: str, seconds: Figures) -> None:
    """Print how long something took, of many times the tail too."""
    ordered = sorted(seconds)
    words = f"p50 {_ms(statistics.median(ordered))}"
    if len(ordered) >= 20:
        words += f", p99 {_ms(ordered[int(len(ordered) * 0.99)])}"
    if len(ordered) > 1:
        words += f", worst {_ms(ordered[-1])}"
    line(what, f"{words} (of {len(ordered)})")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


def memory(host: Host, pid: int) -> str:
    """Return what a process has for itself, with its share of what it has in common, and the most it ever had."""
    rollup = host.text("cat", f"/proc/{pid}/smaps_rollup")
    kib = {key: int(value) for key, value in re.findall(r"^(\w+):\s+(\d+) kB", rollup, re.MULTILINE)}
    status = host.text("cat", f"/proc/{pid}/status")
    peak = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return (
        f"private {(kib['Private_Clean'] + kib['Private_Dirty']) / 1024:.1f} MiB, PSS {kib['Pss'] / 1024:.1f} MiB"
        + (f", peak {int(peak[1]) / 1024:.1f} MiB" if peak else "")
    )


if __name__ == "__main__":
    sys.exit(main())
