"""make torture: a long run, for numbers. ``python3 -m tests.torture --help``"""

import argparse
import sys
import time

from tests.system.host import Host
from tests.torture.play import Play, debs


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.torture", description="Break everything, and count what is lost.")
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--accounts", type=int, default=3)
    parser.add_argument("--rate", type=float, default=20.0, help="messages a second")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--resend", action="store_true", help="let WeChat send again what was acknowledged")
    given = parser.parse_args()
    print(f"seed {given.seed}: {given.messages} messages to {given.accounts} accounts", flush=True)
    begun = time.monotonic()
    with Host.up("wx-torture", packages=debs()) as host:
        play = Play(
            host,
            given.messages,
            given.accounts,
            given.seed,
            given.rate,
            resend=given.resend,
            say=lambda words: print(words, flush=True),
        )
        verdict = play.run()
        if not verdict.good:
            print(host.journal("wxclient@*.service", lines=400))
    print(f"{time.monotonic() - begun:.0f} s: {'nothing lost' if verdict.good else 'LOST'}")
    return 0 if verdict.good else 1


if __name__ == "__main__":
    sys.exit(main())
