"""Cause failures around running accounts, and report each message that is lost, repeated or out of order."""

import argparse
import sys
import time

from tests.system.host import Host
from tests.torture.run import debs, torture


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.torture", description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}: {chosen.messages} messages", flush=True)
    with Host.up("wx-torture", packages=debs()) as host:
        scene, faults = torture(host, chosen.messages, accounts=3, seed=chosen.seed)
        if faults or not scene.backlogs:
            print(host.journal("wxclient@*.service", lines=400), *faults[:50], sep="\n")
    print(f"{chosen.messages} messages: {f'{len(faults)} FAULTS' if faults else 'nothing lost or repeated'}")
    return 1 if faults or not scene.backlogs else 0


if __name__ == "__main__":
    sys.exit(main())
