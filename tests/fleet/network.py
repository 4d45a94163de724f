"""The switch between the machines of the test fleet. Each direction of each link can be cut.

    wechat ────  the switch  ──┬── host-a
                               ├── host-b
                               └── host-c

Every machine is a network namespace with one interface, ``lan0``, whose other end is a port of the switch. The switch
is a bridge in a namespace of its own. Nothing else is connected, and this machine's own network is left alone.

A port has the name of its machine. Packets between two ports are dropped by rules of nftables in the bridge, so
that a one-way cut is one rule, and neither machine sees its link go down: packets disappear, as in real networks.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.programs import output_of, program

NAMESPACES = Path("/run/netns")
PREFIX = "wx-fleet"


@dataclass(frozen=True, slots=True)
class Cut:
    """Packets from one port to another are dropped."""

    source: str
    target: str

    def __str__(self) -> str:
        return f'iifname "{self.source}" oifname "{self.target}" drop'


def both_ways(one: str, *others: str) -> list[Cut]:
    """Return the cuts between a port and others, in both directions."""
    return [Cut(*ends) for other in others for ends in ((one, other), (other, one))]


@dataclass
class Switch:
    """The bridge, in the namespace ``name``; made by ``switch``."""

    name: str
    cuts: list[Cut] = field(default_factory=list)

    def connect(self, port: str, namespace: str, address: str) -> None:
        """Give the namespace (a name, or a pid) an interface with ``address``, on a new port of the switch."""
        far = ("peer", "name", "lan0", "netns", namespace)
        ip("link", "add", port, "netns", self.name, "type", "veth", *far)
        inside("ip", "link", "set", port, "master", "switch", "up", namespace=self.name)
        inside("ip", "address", "add", f"{address}/24", "dev", "lan0", namespace=namespace)
        for interface in ("lo", "lan0"):
            inside("ip", "link", "set", interface, "up", namespace=namespace)

    def disconnect(self, port: str) -> None:
        """Take a port away, whose machine may be gone."""
        inside("ip", "link", "delete", port, namespace=self.name)

    @contextlib.contextmanager
    def cut(self, *cuts: Cut) -> Iterator[None]:
        """Drop packets for the duration of a block."""
        self.cuts.extend(cuts)
        self._apply()
        try:
            yield
        finally:
            for each in cuts:
                self.cuts.remove(each)
            self._apply()

    def _apply(self) -> None:
        """Have exactly the present cuts, in one transaction."""
        rules = "".join(f"add rule bridge fleet forward {cut}\n" for cut in self.cuts)
        inside("nft", "-f", "-", namespace=self.name, text=f"flush chain bridge fleet forward\n{rules}")


@contextlib.contextmanager
def switch() -> Iterator[Switch]:
    """Make the switch for the duration of a block; the ports go with the machines that are connected."""
    with namespace("switch") as name:
        inside("ip", "link", "add", "switch", "type", "bridge", namespace=name)
        inside("ip", "link", "set", "switch", "up", namespace=name)
        hook = "type filter hook forward priority 0;"
        inside("nft", f"add table bridge fleet; add chain bridge fleet forward {{ {hook} }}", namespace=name)
        yield Switch(name)


@contextlib.contextmanager
def namespace(name: str) -> Iterator[str]:
    """Make a network namespace for the duration of a block; gives its full name."""
    full = f"{PREFIX}-{os.getpid()}-{name}"
    ip("netns", "add", full)
    try:
        yield full
    finally:
        ip("netns", "delete", full)


def sweep() -> None:
    """Remove the namespaces of runs that were killed."""
    for left in NAMESPACES.glob(f"{PREFIX}-*-*"):
        if not Path("/proc", left.name.removeprefix(PREFIX).split("-")[1]).exists():
            ip("netns", "delete", left.name)


def ip(*argv: str) -> None:
    output_of("ip", *argv)


def inside(*argv: str, namespace: str, text: str = "") -> None:
    """Run a command in a namespace: one with a name, or that of a process."""
    where = f"/proc/{namespace}/ns/net" if namespace.isdecimal() else NAMESPACES / namespace
    done = subprocess.run(
        ["nsenter", f"--net={where}", program(argv[0]), *argv[1:]],
        input=text,
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(argv)} in {namespace}: {done.stderr.strip()}\n{text}")
