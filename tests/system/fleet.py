"""Two booted hosts on one cable that know each other as a fleet, with one WeChat for both."""

import contextlib
import os
import re
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.certificates import self_signed
from tests.programs import output_of
from tests.system.actors import Caller, point_at_sandbox, token, until, use_sandbox
from tests.system.forward import passing_on
from tests.system.host import Host
from tests.system.pages import step

GUIDE, ACCESS, MOVES = "docs/howto/several-hosts.md", "docs/access.md", "docs/howto/backup-and-move.md"
_TOKENS, _NAMES = "2. Create a token for each other host", "3. Name the hosts"
ADDRESSES = {"host-a": "192.0.2.10", "host-b": "192.0.2.11"}
PASSPHRASE = b"correct horse battery staple\n"
PASSPHRASE_FILE = "/etc/wxcontroller/credentials/fleet"
FLEET = "/etc/wxcontroller/wxcontroller.toml.d/fleet.toml"
NETWORK = "/etc/wxcontroller/wxcontroller.toml.d/network.toml"


@dataclass
class Fleet:
    """The hosts by their names."""

    hosts: dict[str, Host]
    tokens: dict[str, str]  # of scope admin, for callers

    def lose(self, name: str) -> None:
        """Cut a host's power, and with it the cable."""
        self.hosts[name].cut_power()
        [(other, end)] = [(host, end) for host, end in zip(self.hosts, ends(), strict=True) if host != name]
        # It may be gone already, with the network of the host that was lost.
        self.hosts[other].run("ip", "link", "delete", end, check=False)

    def bring_back(self, name: str) -> None:
        """Boot a lost host again; its controller starts once the host is on the cable."""
        self.hosts[name].boot()
        cable(*self.hosts.values())
        self.hosts[name].run("systemctl", "restart", "wxcontroller.socket")
        self.hosts[name].run("systemctl", "restart", "wxcontroller.service")
        until(partial(_answers, self.caller(name)), "the controller")

    def caller(self, name: str) -> Caller:
        return Caller(self.hosts[name], self.tokens[name])

    def where(self, account: str) -> list[str]:
        """Return the hosts that have the account registered."""
        return self._succeeds("test", "-e", f"/var/lib/wxcontroller/clients/{account}.env")

    def running(self, account: str) -> list[str]:
        """Return the hosts on which its unit is active."""
        return self._succeeds("systemctl", "is-active", f"wxclient@{account}.service")

    def _succeeds(self, *command: str) -> list[str]:
        return [name for name, host in self.hosts.items() if host.run(*command, check=False).returncode == 0]


@contextlib.contextmanager
def fleet(debs: list[Path], place: Path) -> Iterator[Fleet]:
    """Boot both hosts and let each list the other; the second one's accounts reach the first one's sandbox."""
    with contextlib.ExitStack() as stack:
        booting = {name: Host.up(f"wx-{name}-{os.getpid()}", packages=debs) for name in ADDRESSES}
        hosts = {name: stack.enter_context(each) for name, each in booting.items()}
        cable(*hosts.values())
        first, second = hosts.values()
        use_sandbox(first)
        point_at_sandbox(second)
        with second.netns():
            listener = socket.create_server(("127.0.0.1", 2100))
        stack.enter_context(passing_on(listener, first, 2100))
        yield Fleet(hosts, acquaint(hosts, ADDRESSES, place))


def acquaint(hosts: Mapping[str, Host], addresses: Mapping[str, str], place: Path) -> dict[str, str]:
    """Have each host list all others and receive accounts, by the guides; return a token of scope admin for each.

    The cable is there. ``place`` is a directory for the certificates.
    """
    certificates = {name: self_signed(place, f"{name}.example", called=name) for name in hosts}
    authorities = b"".join(certificate.read_bytes() for certificate, _ in certificates.values())

    def prepare(name: str) -> str:
        """Give a host certificates, and tokens for the others; return one for callers."""
        host = hosts[name]
        names = "".join(f"{address} {each}.example\n" for each, address in addresses.items())
        host.run("sh", "-c", f"echo '{names}' >>/etc/hosts")
        host.write("/etc/ssl/wx-fleet.pem", authorities)
        for file, made in zip(("fullchain", "privkey"), certificates[name], strict=True):
            host.write(f"/etc/letsencrypt/live/{name}.example/{file}.pem", made.read_bytes(), 0o600)
        for other in hosts.keys() - {name}:
            host.run("bash", "-euc", of_hosts(step(GUIDE, _TOKENS), other, name))
        return token(host, "test")

    with ThreadPoolExecutor() as several:
        tokens = dict(zip(hosts, several.map(prepare, hosts), strict=True))

        def join(name: str) -> None:
            _join(name, hosts, addresses)
            until(partial(_answers, Caller(hosts[name], tokens[name])), "the controller")

        list(several.map(join, hosts))
    return tokens


def of_hosts(text: str, first: str, second: str, address: str = "") -> str:
    """Return what a page says of host-a and host-b, and of the address of the latter, for these hosts."""
    words = {"host-a": first, "host-b": second, "fleet-b": f"fleet-{second}", "192.0.2.12": address}
    return re.sub("|".join(map(re.escape, words)), lambda match: words[match[0]], text)


def _join(name: str, hosts: Mapping[str, Host], addresses: Mapping[str, str]) -> None:
    """Follow the guides on a host; the other hosts have tokens for it."""
    host, tls = hosts[name], "TLS by the controller"
    network, service = (
        step(ACCESS, tls, kind).replace("wx.example", f"{name}.example") for kind in (NETWORK, "wxcontroller.service")
    )
    socket = step(ACCESS, "Other machines", "ini").replace("192.0.2.10", addresses[name])
    fleet = ""
    for other in sorted(hosts.keys() - {name}):
        [(source, target)] = re.findall(r"^scp (\S+) [^:]+:(\S+)$", step(GUIDE, _TOKENS, number=1), re.MULTILINE)
        copied = hosts[other].read(of_hosts(source, name, other))
        host.write(of_hosts(target, name, other), copied, 0o600)
        table = of_hosts(step(GUIDE, _NAMES, FLEET), name, other)
        table = table.replace('scope = "send"', 'scope = "admin"')  # accounts are moved
        fleet += table[table.index("[fleet.hosts") :] if fleet else table
        service += of_hosts(step(GUIDE, _NAMES, "wxcontroller.service"), name, other, addresses[other])
    host.write(NETWORK, network.encode())
    host.write(FLEET, fleet.encode())
    for unit, content in ("wxcontroller.service", service), ("wxcontroller.socket", socket):
        host.write(f"/etc/systemd/system/{unit}.d/override.conf", content.encode())  # where systemctl edit puts it
    host.run("systemctl", "daemon-reload")
    host.run("bash", "-euc", step(MOVES, "Move accounts between hosts of a fleet"), input=PASSPHRASE)
    host.run("bash", "-euc", step(ACCESS, "Other machines", number=1))
    # The other hosts may not be ready yet.
    host.run("bash", "-euc", step(GUIDE, _NAMES).replace("wxctl fleet", "wxctl fleet || true"))


def _answers(caller: Caller) -> bool:
    return caller.get("/v1/health")[0] == 200


def ends() -> tuple[str, str]:
    return f"wxa{os.getpid()}", f"wxb{os.getpid()}"


def cable(first: Host, second: Host) -> None:
    names = ends()
    options = ("netns", str(first.leader), "type", "veth", "peer", "name", names[1], "netns", str(second.leader))
    output_of("ip", "link", "add", names[0], *options)
    for host, name, address in zip((first, second), names, ADDRESSES.values(), strict=True):
        host.run("ip", "address", "add", f"{address}/24", "dev", name)
        host.run("ip", "link", "set", name, "up")
