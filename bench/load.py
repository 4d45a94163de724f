"""Figures of one busy account in a booted host: a large address book, its API meanwhile, a stream of messages.

make deb && /usr/bin/python3 -m bench.load dist/*.deb
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.figures import Figures, in_a_host, line, memory, show
from tests.system.actors import Caller, Json, Phone, Webhook, until
from tests.system.host import Host

FRIENDS, GROUPS, MEMBERS = 5000, 200, 500
RATE, SECONDS = 50, 20
NAME = "busy"


def main() -> int:
    return in_a_host(__doc__, measure)


def measure(host: Host) -> None:
    caller, phone = Caller(host), Phone(host)
    uin = phone.account("大", friends=FRIENDS, groups=GROUPS, members=MEMBERS)
    world = phone.world(uin)
    with Webhook(host) as hook:
        caller.openwx("start_client", client=NAME, post_api=hook.address)
        caller.until_state(NAME, "scaning")
        line("memory of the account before the login", _memory(host, caller))
        _load(host, caller, phone, uin, world["groups"])
        friend = next(contact["wxid"] for contact in world["contacts"] if contact["kind"] == "friend")
        _stream(caller, phone, hook, uin, friend)
        line("memory afterwards", _memory(host, caller))


def _load(host: Host, caller: Caller, phone: Phone, uin: str, groups: list[Json]) -> None:
    """Log in to a large address book, and let each group that WeChat does not list at a login send a message."""
    link = caller.v1("GET", f"/accounts/{NAME}/qr")[1]["link"]
    uuid = phone.login_of(link)
    phone.scan(uuid, uin)
    with _asked_meanwhile(caller) as answers:
        begun = time.monotonic()
        phone.confirm(uuid)
        caller.until_state(NAME, "running", seconds=120)
        line(f"{FRIENDS} friends: confirmed to running", f"{time.monotonic() - begun:.1f} s, {_known(caller)}")
        begun = time.monotonic()
        for group in groups:
            if not group["saved"]:
                phone.write(uin, group["members"][1]["wxid"], "hello", group["wxid"])
        until(lambda: _roster(caller)["members"] >= GROUPS * MEMBERS, "all groups with their members", 120)
        line(
            "messages in all other groups to their members known",
            f"{time.monotonic() - begun:.1f} s, {_known(caller)}",
        )
    show("answer of the account's API meanwhile", answers)
    line("memory with all of them", _memory(host, caller))
    with _asked_meanwhile(caller) as answers:
        begun = time.monotonic()
        status, _, body = caller.get("/openwx/get_group_info", client=NAME)
        assert status == 200
        line("get_group_info", f"{len(body) / 2**20:.1f} MiB in {time.monotonic() - begun:.2f} s")
    show("answer of the account's API meanwhile", answers)
    line("memory after it", _memory(host, caller))


def _stream(caller: Caller, phone: Phone, hook: Webhook, uin: str, friend: str) -> None:
    """Write to the account at a steady rate and measure when the webhook receives the messages."""
    sent: dict[str, float] = {}
    with _asked_meanwhile(caller) as answers:
        start = time.monotonic()
        for number in range(RATE * SECONDS):
            time.sleep(max(0.0, start + number / RATE - time.monotonic()))
            sent[f"load {number}"] = time.time()
            phone.write(uin, friend, f"load {number}")
        took = time.monotonic() - start
        last = f"load {RATE * SECONDS - 1}"
        hook.wait_for(lambda report: report.get("content") == last, "the last message")
    delays: Figures = []
    order: list[int] = []
    for report, at in zip(list(hook.reports), list(hook.times), strict=True):
        if str(report.get("content", "")).startswith("load "):
            delays.append(at - sent[report["content"]])
            order.append(int(report["content"].split()[1]))
    verdict = "all, in order" if order == list(range(RATE * SECONDS)) else "NOT ALL, OR NOT IN ORDER"
    line(f"{RATE * SECONDS} messages, {RATE * SECONDS / took:.0f} a second", f"{len(order)} came: {verdict}")
    show("message at the sandbox to webhook, in a stream", delays)
    show("answer of the account's API meanwhile", answers)


@contextmanager
def _asked_meanwhile(caller: Caller) -> Iterator[Figures]:
    """Ask the account through the controller again and again; the list gets how long each answer took."""
    times: Figures = []
    done = threading.Event()

    def ask() -> None:
        while not done.wait(0.02):
            begun = time.monotonic()
            caller.openwx("get_client_info", client=NAME)
            times.append(time.monotonic() - begun)

    with _running(ask):
        try:
            yield times
        finally:
            done.set()


@contextmanager
def _running(work: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _roster(caller: Caller) -> Json:
    return caller.account(NAME)["roster"] or {"contacts": 0, "groups": 0, "members": 0}


def _known(caller: Caller) -> str:
    found = _roster(caller)
    return f"{found['contacts']} contacts, {found['groups']} groups, {found['members']} members known"


def _memory(host: Host, caller: Caller) -> str:
    return memory(host, caller.account(NAME)["pid"])


if __name__ == "__main__":
    sys.exit(main())
