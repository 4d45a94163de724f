"""Measures the time in which a booted host takes over the accounts of a lost host: etcd, bundles, imports and units
are real.

make deb && /usr/bin/python3 -m bench.takeover dist/*.deb        # TAKEOVER_ACCOUNTS=500, as a rule

With TAKEOVER_UNITS=simulated, units start a program that does nothing: the accounts that run already do not take CPU
from the takeovers.

The lost host is not there: its records are written into an etcd of one member on the host, and its bundles into the
host's directory. The accounts have no login. The rate is not limited.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

from bench.figures import in_a_host, line
from bench.many import allow_many
from tests.programs import program
from tests.system.actors import Caller, Json, until
from tests.system.fleet import MOVES, PASSPHRASE
from tests.system.host import Host
from tests.system.pages import step
from wxcontroller.cli.transfer.copy import seal
from wxcontroller.cli.transfer.sending import SealedAccount
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.names import parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import Account
from wxcontroller.core.states import Desired
from wxcontroller.fleet.standby import KeptBundle, write_kept

MANY = int(os.environ.get("TAKEOVER_ACCOUNTS", "500"))
SIMULATED = os.environ.get("TAKEOVER_UNITS", "") == "simulated"
SECONDS = 1200
_PROGRAM = """import os, socket, time
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
while True:
    notify.sendto(b"READY=1\\nWATCHDOG=1", os.environ["NOTIFY_SOCKET"])
    time.sleep(5)
"""
_STANDIN = "/usr/lib/wxcontroller/standin"
_UNIT = f"[Service]\nExecStart=\nExecStart=/usr/bin/python3 -I -S {_STANDIN}\n"
_LOST = "/wxcontroller/main/hosts/host-a"
_SETTINGS = """[fleet]
name = "host-b"
[fleet.etcd]
endpoints = ["http://127.0.0.1:2379"]
takeover_after = 0
takeover_rate = 100
"""


def main() -> int:
    return in_a_host(__doc__, measure)


def measure(host: Host) -> None:
    allow_many(host)
    for name in ("etcd", "etcdctl"):
        host.write(f"/usr/bin/{name}", Path(program(name)).read_bytes(), 0o755)
    host.run("systemd-run", "--unit=etcd", "-p", "Type=notify", "etcd", "--data-dir=/var/lib/etcd")
    host.run("bash", "-euc", step(MOVES, "Move accounts between hosts of a fleet"), input=PASSPHRASE)
    names = [f"bot-{number}" for number in range(MANY)]
    host.run("etcdctl", "put", _LOST, '{"version":"2.3.0","capacity":1000}')
    bring_bundles(host, names)
    write_records(host, names)
    host.write("/etc/wxcontroller/wxcontroller.toml.d/fleet.toml", _SETTINGS.encode())
    if SIMULATED:
        host.write(_STANDIN, _PROGRAM.encode())
        host.write("/etc/systemd/system/wxclient@.service.d/60-simulated.conf", _UNIT.encode())
    host.run("systemctl", "enable", "--now", "wxcontroller-keeper.service")
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "restart", "wxcontroller.service")
    until(lambda: len(owners(host).get("accounts", ())) == MANY, "the records")
    host.run("etcdctl", "del", _LOST)  # the end of its lease
    begun = time.monotonic()
    for part in (1, MANY // 2, MANY):
        until(lambda part=part: taken(host) >= part, f"{part} takeovers", SECONDS)  # type: ignore[misc]
        line(f"{part} of {MANY} accounts taken over and started", f"{time.monotonic() - begun:.1f} s")
    running = host.text("systemctl", "list-units", "--state=active", "--no-legend", "wxclient@*").splitlines()
    line("units that are active then", str(len(running)))


def owners(host: Host) -> Json:
    return Caller(host).v1("GET", "/fleet")[1].get("etcd") or {}


def taken(host: Host) -> int:
    return int(owners(host).get("takeovers", {}).get("done", 0))


def write_records(host: Host, names: list[str]) -> None:
    """Let etcd know the accounts as those of the lost host."""
    record: JsonObject = {"desired": "started", "driver": "ilink", "placement": "", "adopted": [], "policy": "any"}
    record |= {"standby": "host-b", "egress": "", "host": "host-a", "epoch": 1}
    values = "".join(f"{name} {json.dumps({'name': name, **record})}\n" for name in names)
    script = 'while read -r name value; do etcdctl put /wxcontroller/main/accounts/$name "$value" >/dev/null; done'
    host.run("bash", "-euc", script, input=values.encode(), timeout=300)


def bring_bundles(host: Host, names: list[str]) -> None:
    """Let the host have a bundle of each account, as the lost one has sent it.

    One key does for all, as it takes half a second; the host makes it for each bundle that it opens.
    """
    seal.os = SimpleNamespace(urandom=bytes)  # type: ignore[assignment, attr-defined]
    key = seal.key(PASSPHRASE.strip(), bytes(16), seal._COST)
    seal.key = lambda *_: key
    now, paths, kept = int(time.time()), Paths(host.path("/")), dict[str, KeptBundle]()
    host.run("mkdir", "-p", str(Paths().standby))
    with tempfile.TemporaryDirectory() as empty:
        for name in map(parse_name, names):
            options = {"driver": "ilink", "takeover": "any", "standby": "host-b"}
            account = Account(name, 3000, Desired.STARTED, options, options)
            content = b"".join(SealedAccount(account, PASSPHRASE, now, "host-a", Paths(Path(empty))).pieces())
            paths.standby_bundle(name.instance).write_bytes(content)
            kept[name.instance] = KeptBundle(name.name, "host-a", 1, now, len(content), True)
    write_kept(paths, kept)


if __name__ == "__main__":
    sys.exit(main())
