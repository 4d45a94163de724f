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

from tests.system.actors import Caller, Phone, Webhook, until, use_sandbox
from tests.system.host import Host

STARTS = 5
MESSAGES = 30


def main() -> int:
    return in_a_host(__doc__, measure)


def in_a_host(about: str | None, figures: Callable[[Host], None]) -> int:
    """Measure in a fresh host with the packages that the command line names, against the sandbox."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("debs", nargs="+", type=Path, help="the built packages")
    with Host.up("wxbench") as host:
        host.install(*parser.parse_args().debs)
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
            until(lambda name=name: caller.state(name) == "scaning", 20, "QR code")  # type: ignore[misc]
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

        print(f"{'private memory / PSS of an idle wxclient':45} {memory(host, caller.account('bench')['pid'])}")
        controller = int(host.text("systemctl", "show", "-P", "MainPID", "wxcontroller").strip())
        print(f"{'private memory / PSS of the controller':45} {memory(host, controller)}")
    units = ("wxclient@x.service", "wxcontroller.service", "wxclient-prepare@x.service", "wxclient-purge@x.service")
    for unit in units:
        last = host.text("systemd-analyze", "security", "--no-pager", unit).strip().splitlines()[-1]
        print(f"{'exposure of ' + unit:45} {last.rpartition(':')[0].split()[-1]} {last.rpartition(': ')[2]}")


def show(what: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    tail = f", p99 {ordered[int(len(ordered) * 0.99)] * 1000:.0f} ms" if len(ordered) >= 20 else ""
    print(f"{what:45} median {statistics.median(ordered) * 1000:.0f} ms of {len(ordered)}{tail}", flush=True)


def memory(host: Host, pid: int) -> str:
    rollup = host.text("cat", f"/proc/{pid}/smaps_rollup")
    kib = {key: int(value) for key, value in re.findall(r"^(\w+):\s+(\d+) kB", rollup, re.MULTILINE)}
    return f"{(kib['Private_Clean'] + kib['Private_Dirty']) / 1024:.1f} MiB / {kib['Pss'] / 1024:.1f} MiB"


if __name__ == "__main__":
    sys.exit(main())
