"""Two booted hosts on one cable that know each other as a fleet, with one WeChat for both."""

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.certificates import self_signed
from tests.system.actors import Caller, point_at_sandbox, until, use_sandbox
from tests.system.callers import token
from tests.system.forward import passing_on
from tests.system.host import Host

PORT = 2443
ADDRESSES = {"host-a": "192.0.2.10", "host-b": "192.0.2.11"}
PASSPHRASE = b"correct horse battery staple\n"
PASSPHRASE_FILE = "/etc/wxcontroller/credentials/fleet"
FLEET = "/etc/wxcontroller/wxcontroller.toml.d/fleet.toml"


@dataclass
class Watch:
    """Looks on which of two hosts an account may talk to WeChat, hundreds of times a second; ``both`` must stay 0.

    Its program writes its pid before the first of that, and takes the file away after the last.
    """

    places: list[Path]
    looks: int = 0
    both: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._over.wait(0.003):
            self.looks += 1
            self.both += all(place.is_file() for place in self.places)

    def end(self) -> None:
        self._over.set()


@dataclass
class Fleet:
    """The hosts by their names."""

    hosts: dict[str, Host]
    tokens: dict[str, str]  # of scope admin, for callers

    @contextlib.contextmanager
    def watched(self, instance: str) -> Iterator[Watch]:
        """Watch an account during a block."""
        file = f"root/run/wxclient/{instance}/mojo_weixin_pid_{instance}.pid"
        watch = Watch([Path(f"/proc/{host.leader}") / file for host in self.hosts.values()])
        thread = threading.Thread(target=watch.run)
        thread.start()
        try:
            yield watch
        finally:
            watch.end()
            thread.join()

    def lose(self, name: str) -> None:
        """Cut a host's power, and with it the cable."""
        self.hosts[name].cut_power()
        [(other, end)] = [(host, end) for host, end in zip(self.hosts, ends(), strict=True) if host != name]
        self.hosts[other].run("ip", "link", "delete", end)

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
        file = f"/var/lib/wxcontroller/clients/{account}.env"
        return [
            name for name, host in self.hosts.items() if host.run("test", "-e", file, check=False).returncode == 0
        ]

    def running(self, account: str) -> list[str]:
        """Return the hosts on which its unit is active."""
        unit = f"wxclient@{account}.service"
        return [
            name
            for name, host in self.hosts.items()
            if host.run("systemctl", "is-active", unit, check=False).returncode == 0
        ]


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
        both = Fleet(hosts, acquaint(hosts, ADDRESSES, place))
        yield both


def acquaint(hosts: Mapping[str, Host], addresses: Mapping[str, str], place: Path) -> dict[str, str]:
    """Have each host list all others, and its controller answer; return a token of scope admin for each.

    The cable is there. ``place`` is a directory for the certificates.
    """
    certificates = {name: self_signed(place, address, called=name) for name, address in addresses.items()}

    def prepare(name: str) -> tuple[dict[str, bytes], str]:
        """Return the host's tokens for the others, and one for callers."""
        host = hosts[name]
        _listen(host, addresses[name], *certificates[name])
        made = {
            other: host.run("wxctl", "token", "create", other, "--scope", "fleet").stdout
            for other in hosts.keys() - {name}
        }
        return made, token(host, "test")

    with ThreadPoolExecutor() as several:
        prepared = dict(zip(hosts, several.map(prepare, hosts), strict=True))

        def join(name: str) -> None:
            others = {
                other: (addresses[other], prepared[other][0][name], certificates[other][0].read_bytes())
                for other in sorted(hosts.keys() - {name})
            }
            _join(hosts[name], name, others)
            until(partial(_answers, Caller(hosts[name], prepared[name][1])), "the controller")

        list(several.map(join, hosts))
    return {name: callers for name, (_, callers) in prepared.items()}


def _answers(caller: Caller) -> bool:
    return caller.get("/v1/health")[0] == 200


def ends() -> tuple[str, str]:
    return f"wxa{os.getpid()}", f"wxb{os.getpid()}"


def cable(first: Host, second: Host) -> None:
    names = ends()
    options = ("netns", str(first.leader), "type", "veth", "peer", "name", names[1], "netns", str(second.leader))
    subprocess.run(["ip", "link", "add", names[0], *options], check=True, capture_output=True)
    for host, name, address in zip((first, second), names, ADDRESSES.values(), strict=True):
        host.run("ip", "address", "add", f"{address}/24", "dev", name)
        host.run("ip", "link", "set", name, "up")


def _listen(host: Host, address: str, certificate: Path, key: Path) -> None:
    """Have the controller listen for other machines, with TLS."""
    host.run("mkdir", "-p", "-m", "700", "/etc/wx-tls")
    host.write("/etc/wx-tls/tls.crt", certificate.read_bytes(), 0o600)
    host.write("/etc/wx-tls/tls.key", key.read_bytes(), 0o600)
    host.write(
        "/etc/systemd/system/wxcontroller.service.d/fleet.conf",
        b"[Service]\nLoadCredential=tls.crt:/etc/wx-tls/tls.crt\nLoadCredential=tls.key:/etc/wx-tls/tls.key\n"
        b"IPAddressAllow=192.0.2.0/24\n",
    )
    host.write(
        "/etc/systemd/system/wxcontroller.socket.d/fleet.conf",
        f"[Socket]\nListenStream={address}:{PORT}\n".encode(),
    )
    host.write(
        "/etc/wxcontroller/wxcontroller.toml.d/tls.toml", b'tls_certificate = "tls.crt"\ntls_key = "tls.key"\n'
    )


def _join(host: Host, name: str, others: Mapping[str, tuple[str, bytes, bytes]]) -> None:
    """Name the other hosts in the settings, by address, token and authority, and let this one receive accounts."""
    settings, credentials = f'[fleet]\nname = "{name}"\n', "[Service]\n"
    for other, (address, token_there, authority) in others.items():
        credential = f"/etc/wxcontroller/credentials/fleet-{other}"
        host.write(credential, token_there, 0o600)
        credentials += f"LoadCredential=fleet-{other}:{credential}\n"
        host.write(f"/etc/ssl/certs/{other}.crt", authority)
        settings += (
            f'[fleet.hosts.{other}]\nurl = "https://{address}:{PORT}"\n'
            f'token = "fleet-{other}"\nca_file = "/etc/ssl/certs/{other}.crt"\n'
        )
    host.write("/etc/systemd/system/wxcontroller.service.d/token.conf", credentials.encode())
    host.write(FLEET, settings.encode())
    host.write(PASSPHRASE_FILE, PASSPHRASE, 0o600)
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "enable", "--now", "wxcontroller-receive.socket")
    host.run("systemctl", "stop", "wxcontroller.socket", "wxcontroller.service")
    host.run("systemctl", "start", "wxcontroller.socket", "wxcontroller.service")
