"""Many accounts in a booted host: their memory, and how long they take to run after a boot.

make deb && /usr/bin/python3 -m bench.many dist/*.deb        # MANY_ACCOUNTS=300 MANY_MINUTES=15, both as a rule
"""

import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from bench.figures import in_a_host, line, memory
from tests.system.actors import Caller, Phone, log_in, until
from tests.system.host import Host

MANY = int(os.environ.get("MANY_ACCOUNTS", "300"))
MINUTES = float(os.environ.get("MANY_MINUTES", "15"))
AT_ONCE = 4
BOOT_SECONDS = 600
_LIMITS = b"max_clients = 1000\n"
# Each process includes its share of common memory, so the sum is the memory that the host needs.
_SHARES = "cat /proc/[0-9]*/smaps_rollup 2>/dev/null | sed -n 's/^Pss: *//p'"


def main() -> int:
    return in_a_host(__doc__, measure)


def measure(host: Host) -> None:
    allow_many(host)
    begun = time.monotonic()
    names = list(logged_in(host, MANY, MINUTES))
    line("accounts logged in", f"{len(names)} in {time.monotonic() - begun:.0f} s")
    _show_memory(host, names)
    host.reboot()
    until(lambda: _running(host) == len(names), "all accounts running", BOOT_SECONDS)
    ended = time.monotonic()
    # From the start of PID 1, by the same clock: a delay of the boot itself counts.
    begun = int(host.text("systemctl", "show", "-P", "UserspaceTimestampMonotonic")) / 1e6
    line("from the host's boot to all running", f"{ended - begun:.1f} s")
    _show_memory(host, names)


def allow_many(host: Host) -> None:
    """Raise the limits that are made for fewer accounts."""
    host.write("/etc/wxcontroller/wxcontroller.toml.d/many.toml", _LIMITS, 0o644)
    host.run("systemctl", "reload", "wxcontroller.service")
    host.run("systemctl", "set-property", "wxclient.slice", "MemoryMax=infinity", "TasksMax=20000")


def logged_in(host: Host, number: int, minutes: float) -> dict[str, str]:
    """Log in as many accounts as there is time for; return their names and uins."""
    found: dict[str, str] = {}
    end = time.monotonic() + minutes * 60

    def start(index: int) -> None:
        if time.monotonic() > end:
            return
        phone, name = Phone(host), f"bot-{index}"
        uin = phone.account(f"机器人{index}", friends=30, groups=4)
        log_in(Caller(host), phone, name, uin)
        found[name] = uin

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(start, range(1, number + 1)))
    return found


def _running(host: Host) -> int:
    try:
        accounts = Caller(host).v1("GET", "/accounts")[1]["accounts"]
    except OSError:  # the controller is still starting
        return 0
    return sum(account["login_state"] == "running" for account in accounts)


def _show_memory(host: Host, names: list[str]) -> None:
    shares = [int(kib) for kib in re.findall(r"^(\d+) kB", host.text("sh", "-c", _SHARES), re.MULTILINE)]
    line("memory of all processes of the host", f"{sum(shares) / 1024:.0f} MiB, of {len(shares)} processes")
    for name in names[:3]:
        line(f"memory of {name}", memory(host, Caller(host).account(name)["pid"]))


if __name__ == "__main__":
    sys.exit(main())
