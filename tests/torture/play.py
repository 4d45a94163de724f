"""One run: accounts that are written to while everything around them breaks, and the books at the end."""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.system.actors import Caller, Phone, log_in, shorten_watchdog, use_sandbox
from tests.system.host import Host
from tests.torture.disk import Disk
from tests.torture.ledger import Verdict
from tests.torture.mischief import CLOCK, MISCHIEF, Stage
from tests.torture.receiver import Receiver

# The clock of a service can be set apart from the machine's, which is everybody's. The unit of the accounts unsets
# LD_PRELOAD.
_FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
CLOCK_DROPIN = f"""[Service]
UnsetEnvironment=
Environment=LD_PRELOAD={_FAKETIME}
Environment=FAKETIME_TIMESTAMP_FILE={CLOCK} FAKETIME_CACHE_DURATION=1 FAKETIME_DONT_FAKE_MONOTONIC=1
Environment=FAKETIME_DONT_RESET=1 FAKETIME_FORCE_MONOTONIC_FIX=0
"""
# Impatient, so that a run has many tries in it.
_OPTIONS = {"webhook_retry_first": "0.5", "webhook_retry_longest": "2", "webhook_timeout": "2"}


@dataclass
class Play:
    """A run of ``messages`` over ``accounts``; ``say`` tells how it goes on.

    ``resend``: WeChat gives an old SyncKey again what was acknowledged already. Without, only the account has it.
    """

    host: Host
    messages: int
    accounts: int = 2
    seed: int = 1
    rate: float = 20.0  # messages a second
    pause: float = 1.0
    patience: float = 300.0
    resend: bool = False
    say: Callable[[str], None] = print

    def run(self, mischief: Sequence[str] = tuple(MISCHIEF), least: int = 0) -> Verdict:
        """Play until all messages were sent and ``least`` things were broken, put everything right, and judge."""
        chance = random.Random(self.seed)
        with self._stage(chance) as stage:
            sending = threading.Thread(target=self._send, args=(stage, random.Random(self.seed + 1)), daemon=True)
            sending.start()
            turn: list[str] = []
            while sending.is_alive() or stage.done.total() < least:
                if not turn:  # each comes before any comes again
                    turn = [*mischief]
                    chance.shuffle(turn)
                name = turn.pop()
                MISCHIEF[name](stage)
                stage.done[name] += 1
                stage.rest(0, 1)
            sending.join()
            self.say(f"{stage.done.total()} things were broken; waiting for what is still on its way")
            for account in stage.people:
                stage.start(account)
            stage.receiver.ledger.wait(self.patience)
            verdict = stage.receiver.ledger.verdict()
            self.say(str(verdict))
            self.say(", ".join(f"{name} {number}" for name, number in sorted(stage.done.items())))
            cuts = sum(disk.cuts for disk in stage.disks.values())
            self.say(f"{cuts} disks were cut off, {stage.backlogs} with a backlog that WeChat had been told of")
        return verdict

    @contextlib.contextmanager
    def _stage(self, chance: random.Random) -> Iterator[Stage]:
        host, phone = self.host, Phone(self.host)
        shorten_watchdog(host)  # it restarts a program that began on a read-only disk
        use_sandbox(host)
        host.write(CLOCK, b"+0")
        host.write("/etc/systemd/system/wxclient@.service.d/clock.conf", CLOCK_DROPIN.encode())
        host.run("systemctl", "daemon-reload")
        disks = {f"acc{number}": Disk(host, f"acc{number}") for number in range(self.accounts)}
        people: dict[str, tuple[str, str]] = {}
        with Receiver(host) as receiver, contextlib.ExitStack() as stack:
            for account, disk in disks.items():
                disk.make()
                stack.callback(disk.destroy)
                uin = phone.account(account, resend=self.resend)
                log_in(Caller(host), phone, account, uin, post_api=receiver.address, **_OPTIONS)
                has_clock(host, f"wxclient@{account}")
                people[account] = (uin, phone.friend(uin))
            stack.callback(lambda: [host.run("systemctl", "stop", f"wxclient@{one}") for one in disks])
            yield Stage(host, phone, receiver, disks, people, chance, self.pause)

    def _send(self, stage: Stage, chance: random.Random) -> None:
        """Write all the messages, as WeChat lets one."""
        told = time.monotonic()
        for number in range(self.messages):
            account = chance.choice(list(stage.people))
            while not stage.write(account):
                time.sleep(0.1)
            time.sleep(chance.expovariate(self.rate))
            if time.monotonic() - told > 30:
                told = time.monotonic()
                self.say(f"{number} of {self.messages} sent, {len(stage.receiver.ledger.got)} reports taken")


def has_clock(host: Host, unit: str) -> None:
    """Check that a service has the clock of CLOCK_DROPIN."""
    host.run("sh", "-c", f"grep -q faketime /proc/$(systemctl show -P MainPID {unit})/maps")


def debs() -> list[Path]:
    """The built packages, the product first."""
    dist = Path(__file__).parents[2] / "dist"
    return sorted(dist.glob("*.deb"), key=lambda path: path.name.startswith("wxcontroller-sandbox"))
