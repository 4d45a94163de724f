"""The verbs ``fleet init`` and ``fleet join``: several hosts with an etcd of their own, from one line copied to each.

``init`` makes, for each host, all that it needs to take part (``Membership``): a certificate of a new authority, its
password in etcd, and the passphrase of moves and standby copies. It sets up its own host, and prints a token for each
other one, which ``join`` reads there. Every host is a member of etcd. One certificate serves its API, its member, and
its calls to other hosts and to etcd, so no other tokens are needed.

Once enough members run, ``init`` creates etcd's users, as only it has all passwords. Both can be run again after a
failure: ``init`` keeps what it has made in a directory of root, with the authority's key.
"""

import base64
import datetime
import ipaddress
import json
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import click
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from wxcontroller.cli.clierrors import BadUsage
from wxcontroller.cli.connection.systemd import act, reload_units, show
from wxcontroller.cli.context import WxctlRun
from wxcontroller.cli.language import say, tell
from wxcontroller.cli.transfer.copy.preconditions import PATHS, at_home, disk_errors
from wxcontroller.core.access.tokenfile import TokenFile
from wxcontroller.core.config.fleetsettings import EtcdSettings
from wxcontroller.core.config.options import HOST_NAME
from wxcontroller.core.config.settings import load_settings
from wxcontroller.core.errors import WxError
from wxcontroller.core.files.atomic import replace_file
from wxcontroller.core.jsontypes import obj, objects, read_json, text
from wxcontroller.core.text.templates import N_, NOTHING, Text, text_in

# The guide's lives. ``wxctl fleet`` warns 30 days before they end.
_AUTHORITY_DAYS, _HOST_DAYS = 3650, 800
_MOST_MEMBERS = 9
_TOKEN = "wxf_"  # noqa: S105 - how a token begins
# Characters of a token, and bytes of its content. Those of nine hosts have 1500 and 3000.
_MOST_TOKEN = 16_384
# For another member to be set up.
_FORMING_SECONDS, _LOOK_SECONDS = 3600.0, 2.0
# For the first host to create the users, once this one has made the quorum, and for the keeper to get a lease.
_JOINING_SECONDS = 300.0
# Not in /etc/ssl/certs: update-ca-certificates would have the whole system trust it.
_AUTHORITY = "etc/ssl/wx-fleet.pem"
_PROGRAMS = ("etcd", "etcdctl", "/usr/lib/wxcontroller/wxcontroller-keeper")


@dataclass(frozen=True, slots=True)
class Membership:
    """What the host ``name`` needs to take part. ``hosts`` are the addresses of all, ``cluster`` identifies etcd."""

    name: str
    hosts: Mapping[str, str]
    authority: str
    certificate: str
    key: str = field(repr=False)
    passphrase: str = field(repr=False)
    password: str = field(repr=False)
    cluster: str

    def token(self) -> str:
        """Return it as one line."""
        return _TOKEN + base64.urlsafe_b64encode(zlib.compress(json.dumps(asdict(self)).encode(), 9)).decode()


def membership_from(token: str) -> Membership:
    """Read a token, of which no part can mean anything else in the files that it is written to. Raises BadUsage."""
    try:
        if len(token) > _MOST_TOKEN:
            raise ValueError
        inflating = zlib.decompressobj()
        raw = inflating.decompress(base64.urlsafe_b64decode(token.strip().removeprefix(_TOKEN)), _MOST_TOKEN)
        if not inflating.eof:
            raise ValueError
        content = obj(read_json(raw))
        hosts = {name: _address(text(each)) for name, each in obj(content.get("hosts")).items()}
        words = {key: text(content[key]) for key in Membership.__slots__ if key != "hosts"}
        found = Membership(hosts=hosts, **words)
        if not all(re.fullmatch(HOST_NAME, name) for name in hosts) or len(hosts) > _MOST_MEMBERS:
            raise ValueError
        if not all(
            re.fullmatch("[A-Za-z0-9_-]{1,64}", each) for each in (found.passphrase, found.password, found.cluster)
        ):
            raise ValueError
        _check_certificate(found)
    except (
        zlib.error,
        ValueError,
        KeyError,
        TypeError,
        InvalidSignature,
        UnsupportedAlgorithm,
        x509.ExtensionNotFound,
    ):
        raise BadUsage(
            N_("this is not a token of wxctl fleet init, or not all of it"),
            N_("copy the whole line that wxctl fleet init has printed for this host"),
        ) from None
    return found


def _check_certificate(membership: Membership) -> None:
    """Raise ValueError, or what cryptography raises, if the certificate is not that of the host and its key."""
    authority = x509.load_pem_x509_certificate(membership.authority.encode())
    certificate = x509.load_pem_x509_certificate(membership.certificate.encode())
    key = serialization.load_pem_private_key(membership.key.encode(), None)
    certificate.verify_directly_issued_by(authority)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    if (
        not isinstance(key, ec.EllipticCurvePrivateKey)
        or key.public_key() != certificate.public_key()
        or membership.name not in names.get_values_for_type(x509.DNSName)
        or membership.hosts[membership.name] not in addresses
        or (_pem(authority), _pem(certificate), _private(key))
        != (membership.authority, membership.certificate, membership.key)
    ):
        raise ValueError


def _address(word: str) -> str:
    """Return an address at which other hosts can reach one. Raises ValueError."""
    found = ipaddress.ip_address(word)
    if getattr(found, "scope_id", None) or found.is_unspecified or found.is_loopback or found.is_multicast:
        raise ValueError
    return str(found)


def begun(session: WxctlRun, words: Sequence[str], renew: bool) -> None:
    """Run ``wxctl fleet init``; ``renew``: make new certificates. Raises WxError."""
    hosts = _hosts(words)
    _as_root(session)
    own, *others = hosts
    _require(own, hosts[own])
    place = PATHS.root / "var/lib/wxcontroller-fleet"
    with disk_errors(place):
        _create_directory(place, 0o700)
        if not (place / "authority.key").exists():
            _make(place, hosts)
        # In the order of the command; names of hosts have no dots.
        names = (*hosts, *sorted({path.name for path in place.iterdir() if "." not in path.name} - hosts.keys()))
        paths = [place / name for name in names if (place / name).exists()]
        found = {path.name: membership_from(path.read_bytes().decode("ascii", "replace")) for path in paths}
    if found.keys() != hosts.keys() or found[own].hosts != hosts:
        raise BadUsage(
            N_("{place} belongs to a fleet of {hosts}"),
            N_("run wxctl fleet init for these hosts again; or delete the directory if no host has joined"),
            place=place,
            hosts=", ".join(
                f"{name}={address}" for each in [*found.values()][:1] for name, address in each.hosts.items()
            ),
        )
    if renew:
        with disk_errors(place):
            found = _renew(place, found)
    set_up(found[own])
    if session.json:
        session.emit({"tokens": {name: found[name].token() for name in others}})
    for name in () if session.json else others:
        tell("On {host}, as root, run wxctl fleet join, and paste this line, which contains secrets:", host=name)
        click.echo(found[name].token())
    _create_users(found, place)
    _until_listed(session, found[own])
    tell("the fleet is ready: {command}", err=True, command="wxctl fleet")


def joined(session: WxctlRun) -> None:
    """Run ``wxctl fleet join``. Raises WxError."""
    _as_root(session)
    # Not an argument: other users see command lines, and shells store them.
    if sys.stdin.isatty():
        line = click.prompt(say("Token"), hide_input=True, err=True)
    else:
        line = sys.stdin.buffer.readline(_MOST_TOKEN + 1).decode("ascii", "replace")
    membership = membership_from(line)
    _require(membership.name, membership.hosts[membership.name])
    set_up(membership)
    _until_listed(session, membership)
    tell("host {host} has joined; see: {command}", host=membership.name, command="wxctl fleet")


def _as_root(session: WxctlRun) -> None:
    """Raise WxError for other users than root, and for the controller of another host."""
    at_home(session, N_("only root can set up a host of a fleet"), N_("run it as root on that host"))


def _until_listed(session: WxctlRun, membership: Membership) -> None:
    """Wait until a host takes part, and say what it waits for. Raises WxError."""
    end, said = time.monotonic() + _JOINING_SECONDS, ""
    while obstacle := _obstacle(session, membership):
        if time.monotonic() > end:
            raise WxError(
                N_("host {host} is set up and has not joined yet: {reason}"),
                N_("run wxctl fleet init on the first host again; see: wxctl fleet; journalctl -u etcd"),
                host=membership.name,
                reason=obstacle,
            )
        if str(obstacle) != said:
            tell("waiting: {reason}", err=True, reason=obstacle)
        said = str(obstacle)
        time.sleep(_LOOK_SECONDS)


def _obstacle(session: WxctlRun, membership: Membership) -> Text:
    """Return why a host does not take part yet, NOTHING if its member of etcd does, and etcd lists its lease."""
    try:
        etcd = obj(session.api().fleet().get("etcd"))
    except WxError as problem:  # its controller has just been started again
        return problem.text
    url = _client_url(membership.hosts[membership.name])
    member = next((each for each in objects(etcd.get("members")) if each.get("url") == url), None)
    if member is None:
        return text_in(etcd, "reason") or Text(N_("its controller does not know the members of etcd"))
    if down := text_in(member, "reason"):
        return Text(N_("its member of etcd cannot be used: {reason}"), reason=down)
    if reason := text_in(etcd, "reason"):
        return reason
    listed = (each.get("name") for each in objects(etcd.get("hosts")))
    return NOTHING if membership.name in listed else Text(N_("etcd does not list this host"))


def _hosts(words: Sequence[str]) -> dict[str, str]:
    """Return the addresses of the hosts by name. Raises BadUsage."""
    found = dict[str, str]()
    for word in words:
        name, _, address = word.partition("=")
        try:
            found[name] = _address(address)
        except ValueError:
            found[name] = ""
        if not found[name] or not re.fullmatch(HOST_NAME, name):
            raise BadUsage(
                N_("{word} is not a host with its address"),
                N_("write it like host-a=192.0.2.10, with the IP address at which the others reach it"),
                word=word,
            )
    if "root" in found:
        raise BadUsage(N_("no host can be named root, as etcd's administrator"), N_("give it another name"))
    if len(found) < len(words) or len({*found.values()}) < len(found):
        raise BadUsage(N_("a host or an address is given twice"), N_("name each host once"))
    if len(found) > _MOST_MEMBERS:
        raise BadUsage(
            N_("etcd cannot have {count} members, but at most {most}"),
            N_("name three or five hosts; others can use this etcd, see howto/etcd.md"),
            count=len(found),
            most=_MOST_MEMBERS,
        )
    if len(found) % 2 == 0:
        raise BadUsage(
            N_("{count} hosts cannot form an etcd that survives the loss of one"),
            N_("name three or five hosts; others can use this etcd, see howto/etcd.md"),
            count=len(found),
        )
    return found


def _require(name: str, address: str) -> None:
    """Raise WxError if this host lacks something, or is another one."""
    missing = [each for each in _PROGRAMS if shutil.which(each) is None]
    if missing or _uid("etcd") is None:
        raise WxError(
            N_("this host has no {programs}"),
            N_("apt install wxcontroller-fleet etcd-server etcd-client"),
            programs=", ".join(missing or ["etcd-server"]),
        )
    settings = load_settings(PATHS).settings
    fleet = settings.fleet
    if (fleet is not None or settings.tls_certificate) and not _settings_file().exists():
        raise BadUsage(
            N_("the settings have a table [fleet] or a certificate already"),
            N_("remove them, or set the fleet up by howto/several-hosts.md and howto/etcd.md"),
        )
    if fleet is not None and fleet.name != name:
        raise BadUsage(N_("this is host {host}"), N_("use the token of this host"), host=fleet.name)
    if not _has_address(address):
        raise BadUsage(
            N_("{address} is not an address of this host"),
            N_("wxctl fleet init names the host it is run on first; wxctl fleet join needs the token of this host"),
            address=address,
        )
    if not TokenFile(PATHS.tokens_file).read().required:
        # From then on, programs on this machine need one, too.
        raise WxError(
            N_("other machines can call the API of a fleet's host, and no token exists"),
            N_("create one: wxctl token create NAME --scope admin"),
        )


def _uid(user: str) -> int | None:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def _has_address(address: str) -> bool:
    """Whether an address is one of this machine."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def _check_before(membership: Membership) -> None:
    """Raise WxError if the certificate is not valid now, or if files would be lost."""
    certificate = x509.load_pem_x509_certificate(membership.certificate.encode())
    now, begins, ends = (
        datetime.datetime.now(datetime.UTC),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )
    if now < begins:
        raise WxError(
            N_("the certificate of {host} is valid from {day}"),
            N_("set the clock of this host, see timedatectl"),
            host=membership.name,
            day=f"{begins:%Y-%m-%d}",
        )
    if now > ends:
        raise WxError(
            N_("the certificate of {host} expired on {day}"),
            N_("on the first host, run wxctl fleet init again with --renew"),
            host=membership.name,
            day=f"{ends:%Y-%m-%d}",
        )
    with disk_errors(PATHS.root / "etc"):
        files = {path: path.read_text("utf-8", "replace") for path in files_of(membership) if path.exists()}
    # The first file that is written. The others are then those of this fleet, of before a renewal or an interruption.
    if files.get(PATHS.root / _AUTHORITY) == membership.authority:
        return
    # Debian's /etc/default/etcd has comments only.
    used = [path for path, content in files.items() if re.search(r"^\s*[^\s#]", content, re.MULTILINE)]
    if used:
        raise BadUsage(
            N_("these files would be replaced: {files}"),
            N_("move them away if this host is in no other fleet and uses no other etcd"),
            files=", ".join(map(str, used)),
        )


# -- what is made


def _make(place: Path, hosts: Mapping[str, str]) -> None:
    """Make the authority and the tokens of all hosts in a directory. Raises OSError."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"wxcontroller fleet {secrets.token_hex(4)}")])
    usage = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    ) | dict.fromkeys(("encipher_only", "decipher_only"), False)
    authority = (
        _certificate(name, name, key.public_key(), _AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    passphrase, cluster = secrets.token_urlsafe(24), f"wx-{secrets.token_hex(8)}"
    for host in hosts:
        password, (made, own) = secrets.token_urlsafe(24), _signed(host, hosts[host], authority, key)
        membership = Membership(host, hosts, _pem(authority), made, own, passphrase, password, cluster)
        replace_file(place / host, membership.token().encode(), durable=True)
    replace_file(place / "etcd.root", secrets.token_urlsafe(24).encode(), durable=True)
    # Last: without it, everything is made again.
    replace_file(place / "authority.key", _private(key).encode(), durable=True)


def _renew(place: Path, found: Mapping[str, Membership]) -> dict[str, Membership]:
    """Return all with new certificates of the same authority; their tokens are stored. Raises OSError."""
    key = serialization.load_pem_private_key((place / "authority.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    renewed = dict[str, Membership]()
    for name, each in found.items():
        authority = x509.load_pem_x509_certificate(each.authority.encode())
        certificate, own = _signed(name, each.hosts[name], authority, key)
        renewed[name] = replace(each, certificate=certificate, key=own)
        replace_file(place / name, renewed[name].token().encode(), durable=True)
    return renewed


def _signed(host: str, address: str, authority: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> tuple[str, str]:
    """Return a certificate for a host, and its key."""
    own = ec.generate_private_key(ec.SECP256R1())
    # Without a common name, which etcd's JSON gateway refuses.
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, host)])
    names = x509.SubjectAlternativeName([x509.DNSName(host), x509.IPAddress(ipaddress.ip_address(address))])
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    made = (
        _certificate(subject, authority.subject, own.public_key(), _HOST_DAYS)
        .add_extension(names, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pem(made), _private(own)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # The clocks of the hosts may differ a little.
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _private(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*form).decode()


# -- what is set up


def set_up(membership: Membership) -> None:
    """Write the files of a host, and have its etcd, controller and keeper use them. Raises WxError."""
    _check_before(membership)
    # Before accounts stop: the disk may be full.
    for path, (content, mode, user) in files_of(membership).items():
        with disk_errors(path):
            _create_directory(path.parent, 0o700 if mode == 0o600 and not user else 0o755)
            replace_file(path, content.encode(), mode, durable=True, owner=_uid(user) if user else None)
    tell("host {host}: accounts stop, and are started again under a lease", err=True, host=membership.name)
    act("stop", "wxclient.target")
    reload_units()
    for unit in ("etcd.service", "wxcontroller-keeper.service"):
        act("enable", unit)
    # It is up once another member is.
    act("restart", "etcd.service", "--no-block")
    # The socket gets another address, for which it has to be closed.
    for verb, unit in (("stop", "wxcontroller.service"), ("restart", "wxcontroller.socket")):
        act(verb, unit)
    for unit in ("wxcontroller-receive.socket", "wxcontroller-standby.timer"):
        act("enable", unit, "--now")
    act("start", "wxcontroller.service")
    act("restart", "wxcontroller-keeper.service", "--no-block")


def _create_directory(place: Path, mode: int) -> None:
    """Create a directory that does not exist with a mode, regardless of the umask. Raises OSError."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        place.mkdir(mode=0o700)
    except FileExistsError:
        return
    place.chmod(mode)


def _settings_file() -> Path:
    return PATHS.settings_dropins / "50-fleet.toml"


def files_of(membership: Membership) -> dict[Path, tuple[str, int, str]]:
    """Return the content, mode and user of a host's files, in the order in which they are written."""
    root, credentials, name = PATHS.root, PATHS.root / "etc/wxcontroller/credentials", membership.name
    urls = {host: _in_url(address) for host, address in membership.hosts.items()}
    unit = root / "etc/systemd/system"
    passed = "".join(f"LoadCredential={each}:{credentials / each}\n" for each in ("fleet.pem", "fleet.key", "etcd"))
    drop_in = f"[Service]\n{passed}IPAddressAllow={' '.join(membership.hosts.values())}\n"
    secret = {
        credentials / "fleet.pem": membership.certificate,
        credentials / "fleet.key": membership.key,
        credentials / "fleet": f"{membership.passphrase}\n",
        credentials / "etcd": f"{membership.password}\n",
    }
    for_etcd = {root / "etc/etcd/fleet.pem": membership.certificate, root / "etc/etcd/fleet.key": membership.key}
    readable = {
        root / "etc/default/etcd": _etcd_environment(membership, urls),
        unit / "wxcontroller.service.d/50-fleet.conf": drop_in,
        unit / "wxcontroller-keeper.service.d/50-fleet.conf": drop_in,
        _settings_file(): _settings(name, urls, membership.hosts),
        # Last: until the settings name a certificate, the API has no TLS.
        unit / "wxcontroller.socket.d/50-fleet.conf": f"[Socket]\nFreeBind=yes\nListenStream={urls[name]}:2000\n",
    }
    return {
        root / _AUTHORITY: (membership.authority, 0o644, ""),
        **{path: (content, 0o600, "") for path, content in secret.items()},
        **{path: (content, 0o600, "etcd") for path, content in for_etcd.items()},
        **{path: (content, 0o644, "") for path, content in readable.items()},
    }


def _etcd_environment(membership: Membership, urls: Mapping[str, str]) -> str:
    own = urls[membership.name]
    every = "[::]" if own.startswith("[") else "0.0.0.0"
    values = {
        "NAME": membership.name,
        # Not that of another cluster, which etcd would resume.
        "DATA_DIR": f"/var/lib/etcd/{membership.cluster}",
        "LISTEN_CLIENT_URLS": f"https://{every}:2379",
        "ADVERTISE_CLIENT_URLS": _client_url(membership.hosts[membership.name]),
        "LISTEN_PEER_URLS": f"https://{every}:2380",
        "INITIAL_ADVERTISE_PEER_URLS": f"https://{own}:2380",
        "INITIAL_CLUSTER": ",".join(f"{name}=https://{url}:2380" for name, url in urls.items()),
        "INITIAL_CLUSTER_TOKEN": membership.cluster,
        "AUTO_COMPACTION_RETENTION": "1",
    }
    for kind in ("", "PEER_"):
        values |= {f"{kind}CERT_FILE": "/etc/etcd/fleet.pem", f"{kind}KEY_FILE": "/etc/etcd/fleet.key"}
        values |= {f"{kind}TRUSTED_CA_FILE": f"/{_AUTHORITY}", f"{kind}CLIENT_CERT_AUTH": "true"}
    return "".join(f"ETCD_{key}={value}\n" for key, value in values.items())


def _settings(name: str, urls: Mapping[str, str], hosts: Mapping[str, str]) -> str:
    files = f'ca_file = "/{_AUTHORITY}"\ncertificate = "fleet.pem"\nkey = "fleet.key"\n'
    tables = "".join(
        f'\n[fleet.hosts.{host}]\nurl = "https://{url}:2000"\n{files}scope = "admin"\nfrom = ["{hosts[host]}"]\n'
        for host, url in urls.items()
        if host != name
    )
    return (
        f'tls_certificate = "fleet.pem"\ntls_key = "fleet.key"\n\n[fleet]\nname = "{name}"\n'
        f'client_ca = "/{_AUTHORITY}"\n{tables}\n[fleet.etcd]\n'
        f"endpoints = {json.dumps([*map(_client_url, hosts.values())])}\n{files}"
        f'user = "{name}"\npassword = "etcd"\n'
    )


# -- etcd's users


@dataclass(frozen=True, slots=True)
class Etcdctl:
    """Runs Debian's etcdctl at the member of this host."""

    address: str

    def run(self, *words: str, given: str = "") -> str:
        """Return why it fails, "" if it does not, or if that was done before. Raises OSError."""
        environment = {
            **os.environ,
            "ETCDCTL_ENDPOINTS": _client_url(self.address),
            "ETCDCTL_CACERT": f"/{_AUTHORITY}",
            "ETCDCTL_CERT": "/etc/etcd/fleet.pem",
            "ETCDCTL_KEY": "/etc/etcd/fleet.key",
        }
        done = subprocess.run(  # noqa: S603 - names of hosts that were checked
            ("etcdctl", *words),  # noqa: S607 - Debian's
            input=given,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        problem = (done.stderr.strip().splitlines() or ["?"])[-1] if done.returncode else ""
        return "" if "already exist" in problem or "already granted" in problem else problem

    def wait(self) -> bool:
        """Wait until etcd has a quorum; return whether it needs passwords already. Raises WxError and OSError."""
        end = time.monotonic() + _FORMING_SECONDS
        while True:
            if "user name is empty" in (problem := self.run("auth", "status")):
                return True
            problem = problem or self.run("get", "/")
            if not problem:
                return False
            # It is not, while it waits for other members.
            failed = show(("ActiveState",), "etcd.service")["etcd.service"].get("ActiveState") == "failed"
            if failed or time.monotonic() > end:
                remedy = N_("let the other hosts join; see journalctl -u etcd; then run this again")
                raise WxError(N_("etcd does not respond: {reason}"), remedy, reason=problem)
            time.sleep(_LOOK_SECONDS)


def _create_users(found: Mapping[str, Membership], place: Path) -> None:
    """Create etcd's users and roles once enough members run, unless that was done before. Raises WxError."""
    own = next(iter(found.values()))
    etcdctl, prefix = Etcdctl(own.hosts[own.name]), EtcdSettings().prefix
    with disk_errors("etcdctl"):
        if len(found) > 1:
            tell("waiting until another host has joined", err=True)
        if etcdctl.wait():
            return
        calls = [("user add root --interactive=false", (place / "etcd.root").read_text("ascii"))]
        calls.append(("user grant-role root root", ""))
        for name, each in found.items():
            grant = f"role grant-permission {name}"
            calls += [
                (f"user add {name} --interactive=false", each.password),
                (f"role add {name}", ""),
                (f"{grant} --prefix=true read {prefix}", ""),
                (f"{grant} --prefix=true readwrite {prefix}accounts/", ""),
                (f"{grant} --prefix=true readwrite {prefix}takeovers/", ""),
                (f"{grant} readwrite {prefix}hosts/{name}", ""),
                (f"{grant} readwrite {prefix}schema", ""),
                (f"user grant-role {name} {name}", ""),
            ]
        for words, given in [*calls, ("auth enable", "")]:
            if problem := etcdctl.run(*words.split(), given=given):
                remedy = N_("see journalctl -u etcd; then run this again")
                raise WxError(N_("etcdctl {words}: {reason}"), remedy, words=words, reason=problem)


def _client_url(address: str) -> str:
    """Return the URL of the member of a host."""
    return f"https://{_in_url(address)}:2379"


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address
