"""A clock of a host's services that can be set apart from that of the machine, which all hosts share."""

import random

from tests.system.host import Host

_FILE = "/run/wx-clock"
# The unit of the accounts unsets LD_PRELOAD.
DROP_IN = f"""[Service]
UnsetEnvironment=
Environment=LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1
Environment=FAKETIME_TIMESTAMP_FILE={_FILE} FAKETIME_CACHE_DURATION=1 FAKETIME_DONT_FAKE_MONOTONIC=1
Environment=FAKETIME_DONT_RESET=1 FAKETIME_FORCE_MONOTONIC_FIX=0
"""
IN_USE = "grep -q faketime /proc/$(systemctl show -P MainPID wxcontroller.service)/maps"


def set_right(host: Host) -> None:
    """Let the services have the machine's time; before they start, too."""
    host.write(_FILE, b"+0")


def jump(host: Host, chance: random.Random) -> None:
    """Set the clock of the services forwards or backwards."""
    host.write(_FILE, chance.choice((b"+86400", b"-86400", b"+30", b"-30")))
