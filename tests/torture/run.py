"""One run: accounts receive messages while everything around them fails, and the ledger is compared at the end."""

import argparse
import contextlib
import random
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.system import clock
from tests.system.actors import Caller, Phone, log_in, use_sandbox
from tests.system.host import Host
from tests.torture.disk import Disk
from tests.torture.failures import FAILURES, Receiver, Scene
from tests.torture.lines import LINES

_SETTLE_SECONDS = 300
# Impatient, so that a run has many tries in it.
_OPTIONS = {"webhook_retry_first": "0.5", "webhook_retry_longest": "2", "webhook_timeout": "2"}


def torture(
    host: Host, route: str, messages: int, accounts: int = 2, seed: int = 1, rate: float = 20.0, pause: float = 1.0
) -> tuple[Scene, list[str]]:
    """Send messages to accounts while each failure happens at least once.

    Args:
        rate: messages a second.
        pause: scales how long failures last.

    Returns:
        The final state, and the problems.
    """
    chance = random.Random(seed)
    with _scene(host, route, accounts, chance, pause) as scene:
        sending = threading.Thread(target=_send, args=(scene, messages, rate, random.Random(seed + 1)), daemon=True)
        sending.start()
        turn: list[str] = []
        while sending.is_alive() or len(scene.done) < len(FAILURES):
            turn = turn or chance.sample([*FAILURES], len(FAILURES))  # each comes before any comes again
            name = turn.pop()
            FAILURES[name](scene)
            scene.done[name] += 1
            scene.wait(0, 1)
        sending.join()
        for account in scene.uins:
            scene.start(account)
        deadline = time.monotonic() + _SETTLE_SECONDS
        while (faults := scene.faults()) and time.monotonic() < deadline:
            time.sleep(0.5)
    print(", ".join(f"{name} {number}" for name, number in sorted(scene.done.items())))
    print(f"{scene.backlogs} power cuts with a backlog that WeChat will not send again")
    print(f"{sum(map(len, scene.excused.values()))} messages that WeChat gave once, in responses that did not arrive")
    return scene, faults


@contextlib.contextmanager
def _scene(host: Host, route: str, accounts: int, chance: random.Random, pause: float) -> Iterator[Scene]:
    clock.set_right(host)
    for unit in ("wxclient@", "wxcontroller"):
        host.write(f"/etc/systemd/system/{unit}.service.d/40-clock.conf", clock.DROP_IN.encode())
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "restart", "wxcontroller.service")
    use_sandbox(host)
    phone = Phone(host)
    line = LINES[route](phone)
    disks = {f"acc{number}": Disk(host, f"acc{number}") for number in range(accounts)}
    uins: dict[str, str] = {}
    with Receiver(host) as receiver, contextlib.ExitStack() as stack:
        for account, disk in disks.items():
            disk.make()
            stack.callback(disk.destroy)
            uin = uins[account] = phone.account(account, resend=False)
            log_in(Caller(host), phone, account, uin, post_api=receiver.address, **_OPTIONS, **line.options)
        stack.callback(lambda: [host.run("systemctl", "stop", f"wxclient@{disk}") for disk in disks])
        host.run("sh", "-c", clock.IN_USE)
        yield Scene(host, phone, receiver, disks, line, uins, chance, pause)


def _send(scene: Scene, messages: int, rate: float, chance: random.Random) -> None:
    """Send all messages, as fast as WeChat accepts them."""
    for number in range(messages):
        account = chance.choice(list(scene.uins))
        while not scene.write(account):
            time.sleep(0.1)
        time.sleep(chance.expovariate(rate))
        if number % 1000 == 999:
            print(f"{number + 1} of {messages} sent, {len(scene.receiver.ledger.reports)} reports", flush=True)


def debs() -> list[Path]:
    """Return the built packages, the product first."""
    dist = Path(__file__).parents[2] / "dist"
    return sorted(dist.glob("*.deb"), key=lambda path: path.name.startswith("wxcontroller-sandbox"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.torture.run", description=__doc__)
    parser.add_argument("--route", choices=sorted(LINES), default="web")
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}: {chosen.messages} messages on the route {chosen.route}", flush=True)
    with Host.up("wx-torture", packages=debs()) as host:
        scene, faults = torture(host, chosen.route, chosen.messages, accounts=3, seed=chosen.seed)
        if faults or not scene.backlogs:
            print(host.journal("wxclient@*.service", lines=400), *faults[:50], sep="\n")
    print(f"{chosen.messages} messages: {f'{len(faults)} FAULTS' if faults else 'nothing lost or repeated'}")
    return 1 if faults or not scene.backlogs else 0


if __name__ == "__main__":
    sys.exit(main())
