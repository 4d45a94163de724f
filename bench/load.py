"""Figures of one busy account in a booted host: a large address book, and a stream of messages.

make deb && /usr/bin/python3 -m bench.load dist/*.deb
"""

import sys
import time

from bench.figures import in_a_host, memory, show
from tests.system.actors import Caller, Phone, Webhook, until
from tests.system.host import Host

FRIENDS, GROUPS, MEMBERS = 5000, 200, 500
RATE, SECONDS = 50, 10


def main() -> int:
    return in_a_host(__doc__, measure)


def measure(host: Host) -> None:
    caller, phone = Caller(host), Phone(host)
    uin = phone.account("大", friends=FRIENDS, groups=GROUPS, members=MEMBERS)
    friend = phone.friend(uin)
    with Webhook(host) as hook:
        caller.openwx("start_client", client="busy", post_api=hook.address)
        caller.until_state("busy", "scaning")
        _, qr = caller.v1("GET", "/accounts/busy/qr")
        uuid = phone.login_of(qr["link"])
        begun = time.monotonic()
        phone.scan(uuid, uin)
        phone.confirm(uuid)
        slowest = 0.0
        while caller.state("busy") != "running":
            asked = time.monotonic()
            caller.openwx("get_client_info", client="busy")
            slowest = max(slowest, time.monotonic() - asked)
            time.sleep(0.05)
        took = time.monotonic() - begun
        print(f"{FRIENDS} friends, {GROUPS} groups of {MEMBERS}: running after {took:.1f} s")
        print(f"slowest answer of its API meanwhile: {slowest:.2f} s")
        groups = until(lambda: _loaded(caller), 120, "all groups with members")
        print(f"{groups} groups have their members {time.monotonic() - begun:.1f} s after the scan")
        print(f"private memory / PSS: {memory(host, caller.account('busy')['pid'])}")

        sent: dict[str, float] = {}
        start = time.monotonic()
        for number in range(RATE * SECONDS):
            time.sleep(max(0.0, start + number / RATE - time.monotonic()))
            sent[f"load {number}"] = time.time()
            phone.write(uin, friend, f"load {number}")
        last = f"load {RATE * SECONDS - 1}"
        hook.wait_for(lambda report: report.get("content") == last, 60, "the last message")
        delays, order = [], []
        for report, at in zip(hook.reports, hook.times, strict=True):
            if str(report.get("content", "")).startswith("load "):
                delays.append(at - sent[report["content"]])
                order.append(int(report["content"].split()[1]))
        print(f"{len(order)} of {RATE * SECONDS} messages came, in order: {order == list(range(RATE * SECONDS))}")
        show(f"message to webhook at {RATE} a second", delays)


def _loaded(caller: Caller) -> int:
    groups = caller.openwx("get_group_info", client="busy")
    return len(groups) if groups and all(len(group["member"]) > 1 for group in groups) else 0


if __name__ == "__main__":
    sys.exit(main())
