"""The table [fleet] of the settings: this host's name, and the other hosts whose accounts this controller shows.

Secrets are in files or systemd credentials; the settings, which everyone on the machine can read, name them.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from wxcontroller.core.access.rights import LADDER, Scope
from wxcontroller.core.config.options import HOST_NAME, LABEL, LABELS
from wxcontroller.core.config.tables import (
    AUTHORITY,
    FILE,
    CheckedTable,
    Choice,
    KeyProblem,
    Table,
    Word,
    Words,
    entries,
    number,
    pair,
    row,
    seconds,
)
from wxcontroller.core.names import parse_name
from wxcontroller.core.net.addresses import Network, is_loopback_host
from wxcontroller.core.text.templates import N_, Text

# Each host costs a connection, a stream and a request every few seconds. Larger fleets need an engine.
FLEET_HOSTS = 64
_ADDRESS = f"://{AUTHORITY}/?"
_NAME = Word(N_("must consist of 1 to 32 of A-Z a-z 0-9 - and not begin with a dash"), HOST_NAME)
# Names of a fleet and of an etcd user: they are parts of keys and roles.
_WORD = Word(N_("must be a word of A-Z a-z 0-9 . _ -"), LABEL)
NETWORKS = Words(
    N_('must be a list like ["127.0.0.1", "10.0.0.0/8"]'),
    Word(N_("contains {item}, which is not an address or network"), made=ipaddress.ip_network),
)
# An etcd has three or five members; more are slower.
_ETCD_MEMBERS = 9
# Remedy for a certificate for etcd that expires soon.
RENEW_CERTIFICATE = N_("replace it; see Renew certificates in /usr/share/doc/wxcontroller/howto/etcd.md")


def _without_slash(url: str) -> str:
    return url.rstrip("/")


@dataclass(frozen=True, slots=True)
class HostSettings(CheckedTable):
    """Another host. Files are paths or credentials' names, or ""."""

    name: str
    url: str = row(
        "",
        Word(N_('must be like "https://host-b.example:2443", without a path'), f"https{_ADDRESS}", _without_slash),
        "its address; without one, it only calls this host",
    )
    token: str = row("", FILE, "file with a token of scope fleet, created on that host")
    ca_file: str = row("", FILE, "authority of its certificate, PEM; empty: those of the system")
    certificate: str = row("", FILE, "client certificate for calls of that host, instead of a token, PEM")
    key: str = row("", FILE, "its key, PEM")
    scope: Scope = row(Scope.SEND, Choice(LADDER), "what callers of that host may do here")
    accounts: tuple[str, ...] = row(
        (),
        # An empty list would mean all.
        Words(N_('must be a list of account names like ["alice"]'), Word(made=lambda name: parse_name(name).name), 1),
        "accounts that they may access; not set: all",
    )
    sources: tuple[Network, ...] = row(
        (),
        replace(NETWORKS, least=1),
        "addresses and networks from which they may call; not set: any",
        key="from",
    )

    @property
    def instances(self) -> frozenset[str] | None:
        """The ids of the accounts that its callers may access, None for all."""
        return frozenset(parse_name(name).instance for name in self.accounts) or None

    def problems(self) -> Iterator[KeyProblem]:
        yield from pair(self, "certificate", "key")
        if not self.url and (self.token or self.ca_file or self.certificate):
            yield KeyProblem(Text("needs a url"))
        if self.url and not self.token and not self.certificate:
            yield KeyProblem(Text("needs a token, or a certificate and its key"))


@dataclass(frozen=True, slots=True)
class EtcdSettings(CheckedTable):
    """The etcd that records which host owns an account. Files are paths or credentials' names, or ""."""

    endpoints: tuple[str, ...] = row(
        (),
        Words(
            N_('must be a list like ["https://etcd-1.example:2379"], without paths'),
            Word(pattern=f"https?{_ADDRESS}", made=_without_slash),
            *(1, _ETCD_MEMBERS),
        ),
        "addresses of its members",
    )
    fleet: str = row("main", _WORD, "name of the fleet; several fleets can share an etcd")
    ca_file: str = row("", FILE, "authority of the members' certificates, PEM; empty: those of the system")
    certificate: str = row("", FILE, "client certificate, PEM")
    key: str = row("", FILE, "its key, PEM")
    user: str = row("", _WORD, "user of etcd")
    password: str = row("", FILE, "file with the user's password; sent to https addresses and loopback only")
    takeover_after: float = row(
        # Restarting a machine takes less.
        *(120.0, seconds(0, 86400), "how long the lease of a lost host has ended before its accounts are taken over")
    )
    takeover_pause: float = row(
        # So that hosts that come and go do not pass accounts around.
        *(86400.0, seconds(60, 30 * 86400), "shortest time between two takeovers of an account")
    )
    takeover_rate: float = row(1.0, number(0.01, 100), "accounts that this host takes over per second")

    @property
    def prefix(self) -> str:
        """Return what all keys of the fleet begin with."""
        return f"/wxcontroller/{self.fleet}/"

    def problems(self) -> Iterator[KeyProblem]:
        if not self.endpoints:
            yield KeyProblem(Text('needs endpoints, as endpoints = ["https://etcd-1.example:2379"]'))
        yield from pair(self, "certificate", "key")
        yield from pair(self, "user", "password")
        for url in self.endpoints if self.password else ():
            if not url.startswith("https:") and not is_loopback_host(urlsplit(url).hostname or ""):
                words = Text("must not send the password to {endpoint} unencrypted; use https://", endpoint=url)
                yield KeyProblem(words, ("endpoints",))


def _hosts(content: object) -> tuple[HostSettings, ...]:
    table, must = (
        Table(HostSettings, "fleet.hosts.NAME"),
        Text("must have a table for each host, as [fleet.hosts.NAME]"),
    )
    return tuple(entries(content, must, lambda name, value: {name: table(value, name=_NAME(name))}).values())


@dataclass(frozen=True, slots=True)
class FleetSettings(CheckedTable):
    """The table [fleet]."""

    name: str = row("", _NAME, "name of this host, which the others use; required")
    client_ca: str = row("", FILE, "authority of other hosts' client certificates, PEM; empty: tokens only")
    hosts: tuple[HostSettings, ...] = row((), _hosts)
    etcd: EtcdSettings | None = row(None, Table(EtcdSettings, "fleet.etcd"))
    labels: tuple[str, ...] = row(
        (),
        Words(N_('must be a list of words like ["eu", "line-2"]'), Word(pattern=LABEL), most=LABELS),
        "words by which accounts are placed on this host",
    )
    egress: str = row("", _WORD, "word for the address from which this host reaches WeChat; hosts may share one")

    @property
    def credentials(self) -> frozenset[str]:
        """Return all paths and credentials' names."""
        found = {self.client_ca}
        for host in self.hosts:
            found |= {host.token, host.ca_file, host.certificate, host.key}
        if self.etcd is not None:
            found |= {self.etcd.ca_file, self.etcd.certificate, self.etcd.key, self.etcd.password}
        return frozenset(found)

    def problems(self) -> Iterator[KeyProblem]:
        if not self.name:
            yield KeyProblem(Text('needs the name of this host, as name = "host-a"'))
        if any(host.name == self.name for host in self.hosts):
            yield KeyProblem(
                Text("lists this host, {host}, as another host", host=self.name), (f"hosts.{self.name}",)
            )
        if len(self.hosts) > FLEET_HOSTS:
            yield KeyProblem(Text("must have at most {most} hosts", most=FLEET_HOSTS), ("hosts",))
        urls = [host.url for host in self.hosts if host.url]
        if len(set(urls)) < len(urls):
            yield KeyProblem(Text("has two hosts with the same url"), ("hosts",))
