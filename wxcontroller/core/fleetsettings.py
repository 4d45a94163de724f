"""The table [fleet] of the settings: this host's name, and the other hosts whose accounts this controller shows.

Secrets are in files or systemd credentials; the settings, which everyone on the machine can read, name them.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from wxcontroller.core.access import LADDER, Scope
from wxcontroller.core.addresses import Network, is_loopback_host
from wxcontroller.core.errors import BadName
from wxcontroller.core.messages import Text
from wxcontroller.core.names import parse_name

# Each host costs a connection, a stream and a request every few seconds. Larger fleets need an engine.
FLEET_HOSTS = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,31}")
_URL = re.compile(r"https://([0-9A-Za-z.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?/?")
_FILE = re.compile(r"/.+|[0-9A-Za-z._-]+")
_HOSTS = "hosts."
_HOST_KEYS = ("url", "token", "ca_file", "certificate", "key", "scope", "accounts", "from")
_ENDPOINT = re.compile(r"https?://([0-9A-Za-z.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?/?")
# Names of a fleet and of an etcd user: they are parts of keys and roles.
_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ETCD_FILES = ("ca_file", "certificate", "key", "password")
# An etcd has three or five members; more are slower.
_ETCD_MEMBERS = 9
_LABELS = 32
# Seconds and accounts per second: least and most of the keys about takeovers.
_TAKEOVERS = {"after": (0, 86400), "pause": (60, 30 * 86400), "rate": (0.01, 100)}


@dataclass(frozen=True, slots=True)
class HostSettings:
    """Another host. ``token``, ``ca_file``, ``certificate`` and ``key`` are paths or credentials' names, or "".

    Without a ``url`` it only calls this host, and nothing is forwarded to it. Its callers may do here what ``scope``
    allows with ``accounts`` (names; none: all), from addresses within ``sources`` (none: any).
    """

    name: str
    url: str
    token: str = ""
    ca_file: str = ""
    certificate: str = ""
    key: str = ""
    scope: Scope = Scope.SEND
    accounts: tuple[str, ...] = ()
    sources: tuple[Network, ...] = ()

    @property
    def instances(self) -> frozenset[str] | None:
        """The ids of the accounts that its callers may access, None for all."""
        return frozenset(parse_name(name).instance for name in self.accounts) or None


@dataclass(frozen=True, slots=True)
class TakeoverSettings:
    """When accounts of a lost host are taken over.

    ``after`` seconds after its lease has ended: restarting a machine takes less. ``pause`` is the least number of
    seconds between two takeovers of an account, so that hosts that come and go do not pass it around. ``rate`` is how
    many accounts a host takes over per second.
    """

    after: float = 120.0
    pause: float = 86400.0
    rate: float = 1.0


@dataclass(frozen=True, slots=True)
class EtcdSettings:
    """The etcd that records which host owns an account: the addresses of its members, like ``https://etcd-1:2379``.

    ``ca_file``, ``certificate``, ``key`` and ``password`` are paths or credentials' names, or "". ``fleet`` keeps
    several fleets in one etcd apart. ``failsafe``: see fleet/failsafe.py.
    """

    endpoints: tuple[str, ...]
    fleet: str = "main"
    ca_file: str = ""
    certificate: str = ""
    key: str = ""
    user: str = ""
    password: str = ""
    takeovers: TakeoverSettings = TakeoverSettings()
    failsafe: bool = False

    @property
    def prefix(self) -> str:
        """Return what all keys of the fleet begin with."""
        return f"/wxcontroller/{self.fleet}/"


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """``client_ca`` signs the certificates of the other hosts that may call with one; "": tokens only.

    ``labels`` are words by which accounts are placed on this host. ``egress`` is another one: hosts with the same
    egress reach WeChat from the same address.
    """

    name: str
    client_ca: str = ""
    hosts: tuple[HostSettings, ...] = ()
    etcd: EtcdSettings | None = None
    labels: tuple[str, ...] = ()
    egress: str = ""

    @property
    def credentials(self) -> frozenset[str]:
        """Return all paths and credentials' names."""
        found = {self.client_ca}
        for host in self.hosts:
            found |= {host.token, host.ca_file, host.certificate, host.key}
        if self.etcd is not None:
            found |= {self.etcd.ca_file, self.etcd.certificate, self.etcd.key, self.etcd.password}
        return frozenset(found)


def parse_fleet(value: object) -> Mapping[str, object]:
    """Check the table or a part of it, with hosts as ``hosts.NAME``. Raises ValueError naming the key."""
    if not isinstance(value, dict):
        raise ValueError(Text("must be a table, as [fleet]"))
    found: dict[str, object] = {}
    for key, setting in value.items():
        if key == "name":
            found[key] = _name(setting, Text("key {key}", key=key))
        elif key == "client_ca":
            found[key] = file(setting, Text("key {key}", key=key))
        elif key == "hosts":
            if not isinstance(setting, dict):
                raise ValueError(Text("must have a table for each host, as [fleet.hosts.NAME]"))
            found |= {f"{_HOSTS}{name}": _host(str(name), host) for name, host in setting.items()}
        elif key == "etcd":
            found[key] = _etcd(setting)
        elif key == "labels":
            if not isinstance(setting, list) or len(setting) > _LABELS or not all(map(_is_word, setting)):
                raise ValueError(Text('key {key} must be a list of words like ["eu", "line-2"]', key=key))
            found[key] = tuple(setting)
        elif key == "egress":
            if not _is_word(setting):
                raise ValueError(Text("key {key} must be a word of A-Z a-z 0-9 . _ -", key=key))
            found[key] = setting
        else:
            raise ValueError(Text("has no key {key}", key=key))
    return found


def fleet_of(parsed: Mapping[str, object]) -> FleetSettings:
    """Put together what ``parse_fleet`` has found in all files. Raises ValueError."""
    name, client_ca = parsed.get("name"), parsed.get("client_ca", "")
    hosts = tuple(host for host in parsed.values() if isinstance(host, HostSettings))
    if not isinstance(name, str) or not isinstance(client_ca, str):
        raise ValueError(Text('needs the name of this host, as name = "host-a"'))
    if any(host.name == name for host in hosts):
        raise ValueError(Text("lists this host, {host}, as another host", host=name))
    if len(hosts) > FLEET_HOSTS:
        raise ValueError(Text("must have at most {most} hosts", most=FLEET_HOSTS))
    urls = [host.url.rstrip("/") for host in hosts if host.url]
    if len(set(urls)) < len(urls):
        raise ValueError(Text("has two hosts with the same url"))
    etcd, labels, egress = parsed.get("etcd"), parsed.get("labels", ()), parsed.get("egress", "")
    assert etcd is None or isinstance(etcd, EtcdSettings)
    assert isinstance(labels, tuple)
    assert isinstance(egress, str)
    if etcd is not None and etcd.failsafe and not urls:
        raise ValueError(Text("etcd has failsafe, which needs all other hosts of the fleet, as [fleet.hosts.NAME]"))
    return FleetSettings(name, client_ca, hosts, etcd, labels, egress)


def _is_word(value: object) -> bool:
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


def _etcd(value: object) -> EtcdSettings:
    if not isinstance(value, dict):
        raise ValueError(Text("etcd must be a table, as [fleet.etcd]"))
    endpoints: tuple[str, ...] = ()
    texts: dict[str, str] = {}
    numbers: dict[str, float] = {}
    failsafe = False
    for key, each in value.items():
        where = Text("key {key} of etcd", key=key)
        if key == "endpoints":
            urls = each if isinstance(each, list) else []
            if not 1 <= len(urls) <= _ETCD_MEMBERS or not all(
                isinstance(url, str) and _ENDPOINT.fullmatch(url) for url in urls
            ):
                raise ValueError(
                    Text('{where} must be a list like ["https://etcd-1.example:2379"], without paths', where=where)
                )
            endpoints = tuple(url.rstrip("/") for url in urls)
        elif key in _ETCD_FILES:
            texts[key] = file(each, where)
        elif key in ("fleet", "user") and _is_word(each):
            texts[key] = each
        elif key in ("fleet", "user"):
            raise ValueError(Text("{where} must be a word of A-Z a-z 0-9 . _ -", where=where))
        elif (number := key.removeprefix("takeover_")) != key and number in _TAKEOVERS:
            least, maximum = _TAKEOVERS[number]
            if isinstance(each, bool) or not isinstance(each, int | float) or not least <= each <= maximum:
                words = Text(
                    "{where} must be a number from {least} to {most}", where=where, least=least, most=maximum
                )
                raise ValueError(words)
            numbers[number] = float(each)
        elif key == "failsafe":
            if not isinstance(each, bool):
                raise ValueError(Text("{where} must be true or false", where=where))
            failsafe = each
        else:
            raise ValueError(Text("etcd has no key {key}", key=key))
    if not endpoints:
        raise ValueError(Text('etcd needs endpoints, as endpoints = ["https://etcd-1.example:2379"]'))
    if bool(texts.get("certificate")) != bool(texts.get("key")):
        raise ValueError(Text("etcd needs both certificate and key, or neither"))
    if bool(texts.get("user")) != bool(texts.get("password")):
        raise ValueError(Text("etcd needs both user and password, or neither"))
    if texts.get("password") and (plain := [url for url in endpoints if not _is_private(url)]):
        raise ValueError(
            Text("etcd must not send the password to {endpoint} unencrypted; use https://", endpoint=plain[0])
        )
    return EtcdSettings(endpoints, takeovers=TakeoverSettings(**numbers), failsafe=failsafe, **texts)


def _is_private(url: str) -> bool:
    """Return whether data sent to an endpoint cannot be read by others."""
    match = _ENDPOINT.fullmatch(url)
    host = match[1].strip("[]") if match else ""
    return url.startswith("https:") or is_loopback_host(host)


def _host(name: str, value: object) -> HostSettings:
    where = Text("host {host}", host=name[:64])
    _name(name, where)
    if not isinstance(value, dict):
        raise ValueError(Text("{where} must be a table, as [fleet.hosts.NAME]", where=where))
    texts: dict[str, str] = {}
    scope, accounts, sources = Scope.SEND, tuple[str, ...](), tuple[Network, ...]()
    for key, each in value.items():
        if key not in _HOST_KEYS:
            raise ValueError(Text("{where} has no key {key}", where=where, key=key))
        inner = Text("key {key} of {where}", key=key, where=where)
        if key == "scope":
            if each not in LADDER:
                raise ValueError(Text("{where} must be one of {words}", where=inner, words=", ".join(LADDER)))
            scope = Scope(str(each))
        elif key == "accounts":
            accounts = _accounts(each, inner)
        elif key == "from":
            sources = _sources(each, inner)
        elif key != "url":
            texts[key] = file(each, inner)
        elif isinstance(each, str) and _URL.fullmatch(each):
            texts[key] = each.rstrip("/")
        else:
            raise ValueError(Text('{where} must be like "https://host-b.example:2443", without a path', where=inner))
    if bool(texts.get("certificate")) != bool(texts.get("key")):
        raise ValueError(Text("{where} needs both certificate and key, or neither", where=where))
    if "url" not in texts and texts:
        raise ValueError(Text("{where} needs a url", where=where))
    if "url" in texts and not texts.get("token") and not texts.get("certificate"):
        raise ValueError(Text("{where} needs a token, or a certificate and its key", where=where))
    return HostSettings(name, texts.pop("url", ""), **texts, scope=scope, accounts=accounts, sources=sources)


def _accounts(value: object, where: Text) -> tuple[str, ...]:
    """Read names of accounts. An empty list is refused: it would mean all."""
    names = value if isinstance(value, list) else []
    try:
        found = tuple(parse_name(name).name for name in names if isinstance(name, str))
    except BadName:
        found = ()
    if not found or len(found) < len(names):
        raise ValueError(Text('{where} must be a list of account names like ["alice"]', where=where))
    return found


def _sources(value: object, where: Text) -> tuple[Network, ...]:
    try:
        found = tuple(ipaddress.ip_network(each) for each in value) if isinstance(value, list) else ()
    except ValueError:
        found = ()
    if not found:
        raise ValueError(Text('{where} must be a list of addresses or networks like ["192.0.2.11"]', where=where))
    return found


def _name(value: object, where: Text) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(
            Text(
                "{where}: a host name consists of 1 to 32 of A-Z a-z 0-9 - and does not begin with a dash",
                where=where,
            )
        )
    return value


def file(value: object, where: Text) -> str:
    if not isinstance(value, str) or (value and not _FILE.fullmatch(value)):
        raise ValueError(
            Text(
                '{where} must be an absolute path in quotes, the name of a credential of the unit, or ""', where=where
            )
        )
    return value
