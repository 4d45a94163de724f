"""The controller's settings: one table from which come the file parser, its checks and the documentation.

Read from wxcontroller.toml and then the drop-ins next to it in name order; later files win key by key. Every option
of the original controller keeps its name (openwx-api 1.1). Those that systemd has taken over are accepted and
reported as without effect.
"""

import ipaddress
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TypeVar

from wxcontroller.core.addresses import Network, parse_ip
from wxcontroller.core.alertsettings import AlertSettings, parse_alerts
from wxcontroller.core.errors import BadOption, BadSettings, reason_of
from wxcontroller.core.fleetsettings import FleetSettings, fleet_of, parse_fleet
from wxcontroller.core.journal import LEVELS
from wxcontroller.core.limits import DEFAULTS, Limits, parse_limits
from wxcontroller.core.messages import N_, Text, in_file
from wxcontroller.core.options import Origin, check_options
from wxcontroller.core.parsers import Parser
from wxcontroller.core.parsers import int_between as _int_between
from wxcontroller.core.parsers import number as _number
from wxcontroller.core.parsers import web_address as _url
from wxcontroller.core.paths import Paths
from wxcontroller.core.targets import SETTING as TARGETS
from wxcontroller.core.targets import Targets

T = TypeVar("T")
# In characters. An option of the administrator's may be longer than one of a request (options.OPTION_LENGTH).
_OPTION_LENGTH = 1 << 16
_ORIGIN = re.compile(r"https?://([0-9A-Za-z.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")
# All of webhook_targets together: they are one variable in the environment of each account.
WEBHOOK_TARGETS_LENGTH = 50_000


@dataclass(frozen=True, slots=True)
class Listen:
    """An address the controller binds itself when it was not socket-activated."""

    host: str
    port: int


def switch(value: object) -> object:
    if not isinstance(value, bool):
        raise ValueError(Text("must be true or false"))
    return value


def _word(*allowed: str) -> Parser:
    def parse(value: object) -> object:
        if value not in allowed:
            raise ValueError(Text("must be one of {allowed}", allowed=", ".join(f'"{word}"' for word in allowed)))
        return value

    return parse


def absolute(value: object) -> object:
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError(Text("must be an absolute path in quotes"))
    return Path(value)


def _listen(value: object) -> object:
    entries = value if isinstance(value, list) else [value]
    addresses: list[Listen] = []
    for entry in entries:
        if not isinstance(entry, dict) or set(entry) - {"host", "port"}:
            raise ValueError(Text('must be a list like [{ host = "127.0.0.1", port = 2000 }]'))
        host, port = entry.get("host", "127.0.0.1"), entry.get("port", 2000)
        if not isinstance(host, str) or isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
            raise ValueError(Text("needs a host in quotes and a port from 0 to 65535"))
        if host != "localhost" and parse_ip(host) is None:
            raise ValueError(
                Text(
                    "contains {host}, which is not an IP address; 0.0.0.0 and :: stand for all addresses of "
                    "this machine",
                    host=host[:64],
                )
            )
        addresses.append(Listen("127.0.0.1" if host == "localhost" else host, port))
    if not addresses:
        raise ValueError(Text("must name at least one address"))
    return tuple(addresses)


def file(value: object) -> object:
    if not isinstance(value, str) or (value and not re.fullmatch(r"/.+|[0-9A-Za-z._-]+", value)):
        raise ValueError(Text('must be an absolute path in quotes, the name of a credential of the unit, or ""'))
    return value


def origins(value: object) -> object:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(Text('must be a list like ["https://panel.example"]'))
    for each in value:
        scheme, separator, rest = each.partition("://")
        if each != "*" and (scheme not in ("http", "https") or not separator or not rest or "/" in rest):
            raise ValueError(
                Text('names {item}, an origin is like "https://panel.example:8443", or "*" for all', item=f"{each!r}")
            )
    return tuple(value)


def _origin(value: object) -> object:
    if value == "":
        return value
    if not isinstance(value, str) or not _ORIGIN.fullmatch(value):
        raise ValueError(Text(N_('must be an origin like "https://wx.example", without a path, or ""')))
    return value


def hosts(value: object) -> object:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(Text('must be a list like ["panel.example"]'))
    for each in value:
        if each != "*" and not re.fullmatch(r"[0-9A-Za-z._\[\]:-]+", each):
            raise ValueError(Text('names {item}, a host is like "panel.example", or "*" for all', item=f"{each!r}"))
    return tuple(value)


def networks(value: object) -> object:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(Text(N_('must be a list like ["127.0.0.1", "10.0.0.0/8"]')))
    found: list[Network] = []
    for each in value:
        try:
            found.append(ipaddress.ip_network(each))
        except ValueError:
            raise ValueError(Text(N_("contains {value}, which is not an address or network"), value=each)) from None
    return tuple(found)


def _targets(value: object) -> object:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(Text('must be a list like ["https://bots.example/", "http://127.0.0.1:8080/"]'))
    targets = Targets.parse(value)
    if len(str(targets)) > WEBHOOK_TARGETS_LENGTH:
        raise ValueError(Text("has more than {most} characters", most=WEBHOOK_TARGETS_LENGTH))
    return targets


def _client(value: object) -> object:
    if not isinstance(value, dict):
        raise ValueError(Text("must be a table of account options, as [client]"))
    if TARGETS in value:
        raise ValueError(Text("has the option {option}, which stands above the tables, as a list", option=TARGETS))
    pairs: list[tuple[str, str]] = []
    for name, setting in value.items():
        if isinstance(setting, bool):
            setting = "1" if setting else "0"
        if not isinstance(setting, str | int | float):
            raise ValueError(Text("option {option} must be text, a number, true or false", option=name))
        pairs.append((str(name), str(setting)))
    try:
        return dict(check_options(pairs, Origin.SETTINGS, _OPTION_LENGTH).options)
    except BadOption as problem:
        raise ValueError(str(problem)) from None


def _setting(default: T, parse: Parser, doc: str) -> T:
    return field(default=default, metadata={"parse": parse, "doc": doc})


def table(parse: Parser, doc: str) -> Mapping[str, str]:
    return field(default_factory=dict[str, str], metadata={"parse": parse, "doc": doc})


@dataclass(frozen=True, slots=True)
class Settings:
    """The controller's settings. Durations are in seconds."""

    listen: tuple[Listen, ...] = _setting(
        (Listen("127.0.0.1", 2000),), _listen, "addresses, used only without wxcontroller.socket"
    )
    backend_start_port: int = _setting(3000, _int_between(1024, 65000), "lowest port given to an account")
    backend_end_port: int = _setting(4999, _int_between(1024, 65000), "highest port given to an account")
    post_api: str = _setting("", _url, "default report URL of accounts")
    poll_api: str = _setting("", _url, "heartbeat URL of the controller itself")
    webhook_targets: Targets = _setting(
        Targets(), _targets, "address prefixes allowed for post_api and poll_api of accounts; empty: any"
    )
    poll_interval: float = _setting(5, _number(0.1, 86400), "pause between two heartbeats of the controller")
    max_clients: int = _setting(100, _int_between(1, 10000), "accounts that may run at a time")
    check_interval: float = _setting(5, _number(0.5, 3600), "pause between two checks of all units")
    template_path: Path = _setting(Path("/etc/wxcontroller/client.env.j2"), absolute, "account template (jinja2)")
    log_level: str = _setting("info", _word(*LEVELS), "level of detail in the journal")
    http_debug: bool = _setting(False, switch, "log each request to the controller, without secrets")
    ua_connect_timeout: float = _setting(10, _number(0.1, 600), "connect timeout towards an account")
    ua_request_timeout: float = _setting(120, _number(1, 3600), "longest proxied request")
    ua_inactivity_timeout: float = _setting(120, _number(1, 3600), "longest silence of a proxied request")
    start_timeout: float = _setting(40, _number(1, 600), "longest wait for an account's unit to start")
    stop_timeout: float = _setting(40, _number(1, 600), "longest wait for an account's unit to stop")
    drain_timeout: float = _setting(15, _number(0, 3600), "longest wait for running requests at a stop")
    max_body: int = _setting(64 * 1024 * 1024, _int_between(1024, 1 << 32), "largest request body in bytes")
    max_bodies: int = _setting(
        256 << 20, _int_between(1 << 20, 1 << 36), "bytes of request bodies held in memory at a time"
    )
    max_connections: int = _setting(4096, _int_between(16, 65536), "callers' connections at a time")
    max_connections_per_peer: int = _setting(2048, _int_between(8, 65536), "of them from one address")
    max_requests: int = _setting(1024, _int_between(8, 65536), "concurrent requests, except long polls")
    max_long_polls: int = _setting(
        1024, _int_between(8, 65536), "check_event, consult and streams of events at a time"
    )
    max_readers: int = _setting(32, _int_between(1, 4096), "readers of events at a time")
    max_headers: int = _setting(100, _int_between(20, 1000), "headers of a request")
    max_head: int = _setting(64 * 1024, _int_between(8192, 1 << 20), "bytes of a request's head")
    idle_timeout: float = _setting(75, _number(1, 3600), "longest pause of a connection without a request")
    header_timeout: float = _setting(20, _number(0.1, 600), "longest time for the head of a request")
    send_timeout: float = _setting(60, _number(0.1, 3600), "longest time without progress while sending a response")
    unknown_options: str = _setting("refuse", _word("refuse", "ignore"), "what to do with an unknown start parameter")
    allow_origins: tuple[str, ...] = _setting((), origins, "additional web origins whose pages may call the API")
    allow_hosts: tuple[str, ...] = _setting(
        (), hosts, "additional host names of the API, for example behind a reverse proxy"
    )
    trusted_proxies: tuple[Network, ...] = _setting(
        (), networks, "addresses of reverse proxies whose X-Forwarded-For is trusted"
    )
    public_url: str = _setting(
        "", _origin, "origin at which others reach the controller, behind a proxy; empty: as each request names it"
    )
    ilink_serve: bool = _setting(False, switch, "serve the iLink API to agents under /ilink")
    ilink_pair_digits: bool = _setting(False, switch, "agents that pair have to enter six digits from the page")
    mcp_serve: bool = _setting(False, switch, "serve MCP to AI agents under /mcp")
    alerts: AlertSettings = _setting(AlertSettings(), parse_alerts, "[alerts]: alerts when an account goes offline")
    tls_certificate: str = _setting("", file, "certificate with its chain, PEM: a path, or a credential's name")
    tls_key: str = _setting("", file, "the key of tls_certificate, PEM: a path, or a credential's name")
    fleet: FleetSettings | None = _setting(None, parse_fleet, "[fleet]: other hosts whose accounts are shown here")
    limits: Limits = _setting(DEFAULTS, parse_limits, "[limits]: limits on external input")
    client: Mapping[str, str] = table(_client, "[client]: defaults of account options")


# Options of the original controller without effect, with the reasons.
OBSOLETE: Mapping[str, str] = {
    "auth": N_("a settings file cannot contain a function; create tokens: wxctl token create NAME --scope admin"),
    "tmpdir": N_("files are under /run/wxclient and /var/lib/wxcontroller"),
    "pid_path": N_("systemd ensures a single process"),
    "backend_path": N_("the registry is /var/lib/wxcontroller/clients"),
    "cookie_path": N_("the controller keeps no cookies"),
    "keep_cookie": N_("the controller keeps no cookies; for accounts set it under [client]"),
    "log_path": N_("logs go to the journal: journalctl -u wxcontroller"),
    "log_encoding": N_("the journal is UTF-8"),
    "log_console": N_("logs go to the journal"),
    "log_head": N_("journal lines carry WX_ACCOUNT"),
    "disable_color": N_("the journal has no colours"),
    "ua_retry_times": N_("a proxied request is never repeated"),
    "ua_debug": N_("use http_debug"),
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings with the ``notices`` for the administrator and the ``files`` they came from."""

    settings: Settings
    notices: tuple[Text, ...]
    files: tuple[Path, ...]


def load_settings(paths: Paths) -> Loaded:
    """Read the settings file and its drop-ins.

    A missing file means defaults. Raises BadSettings with file, key and remedy for anything unusable.
    """
    return read_settings([paths.settings_file, *sorted(paths.settings_dropins.glob("*.toml"))])


def read_settings(files: Iterable[Path]) -> Loaded:
    """Read settings from these files, the first of which is the main one. As load_settings."""
    files = list(files)
    values: dict[str, object] = {}
    notices: list[Text] = []
    read: list[Path] = []
    origin: dict[str, Path] = {}
    for path in files:
        content = _read(path)
        if content is None:
            continue
        read.append(path)
        for key, value in content.items():
            if key in OBSOLETE:
                notices.append(
                    in_file(path, Text("{key} has no effect: {reason}", key=key, reason=Text(OBSOLETE[key])))
                )
                continue
            parsed = _parse(path, key, value)
            origin[key] = path
            if key in _TABLES and isinstance(parsed, dict):
                earlier = values.get(key, {})
                parsed = {**(earlier if isinstance(earlier, dict) else {}), **parsed}
            values[key] = parsed
    if isinstance(alerts := values.get("alerts"), dict):
        values["alerts"] = AlertSettings(**alerts)
    if isinstance(fleet := values.get("fleet"), dict):
        try:
            values["fleet"] = fleet_of(fleet)
        except ValueError as problem:
            raise BadSettings(
                in_file(origin["fleet"], Text("{key} {problem}", key="fleet", problem=reason_of(problem))),
                N_("wxcontroller.toml(5) explains each key"),
            ) from None
    if isinstance(limits := values.get("limits"), dict):
        values["limits"] = DEFAULTS.with_numbers(limits)
    settings = Settings(**values)  # type: ignore[arg-type]  # each value went through its field's parser
    if settings.backend_end_port < settings.backend_start_port:
        where = origin.get("backend_end_port") or origin.get("backend_start_port") or files[0]
        key = "backend_end_port" if "backend_end_port" in origin else "backend_start_port"
        raise BadSettings(
            in_file(
                where,
                Text(
                    "backend_end_port {end} is below backend_start_port {start}",
                    key=key,  # a literal here would be a plural form for xgettext
                    end=settings.backend_end_port,
                    start=settings.backend_start_port,
                ),
            ),
            N_("choose a range of at least one port, and allow it in wxclient.slice (SocketBindAllow=)"),
        )
    for option, address in (
        ("post_api", settings.post_api),
        *((option, settings.client.get(option, "")) for option in ("post_api", "poll_api")),
    ):
        if address and not settings.webhook_targets.allow(address):
            raise BadSettings(
                in_file(
                    origin[TARGETS],
                    Text(
                        "{option} in the settings is not among {setting}", option=option, setting=TARGETS, key=TARGETS
                    ),
                ),
                N_("add its address to {setting}, or use another one"),
                setting=TARGETS,
            )
    if bool(settings.tls_certificate) != bool(settings.tls_key):
        only = "tls_certificate" if settings.tls_certificate else "tls_key"
        where = origin.get(only, files[0])
        raise BadSettings(
            in_file(where, Text("only one of tls_certificate and tls_key is set", key=only)),
            N_("set both, or none; wxcontroller.toml(5)"),
        )
    return Loaded(settings, tuple(notices), tuple(read))


def problems_in(path: Path) -> list[tuple[str, BadSettings]]:
    """Return all problems of a single file by key, "" for the file as a whole."""
    try:
        content = _read(path) or {}
    except BadSettings as problem:
        return [("", problem)]
    return [
        problem
        for key, value in content.items()
        if key not in OBSOLETE
        for problem in problems_with(path, key, value)
    ]


def problems_with(path: Path, key: str, value: object) -> list[tuple[str, BadSettings]]:
    """Return the problems of a key; of a table, those of each key, as TABLE.KEY."""
    parts: dict[str, object] = {}
    if key in _TABLES and isinstance(value, dict):
        parts = {f"{key}.{name}": {name: inner} for name, inner in value.items()}
    found = [(place, problem) for place, part in parts.items() if (problem := _problem(path, key, part))]
    if not found and (problem := _problem(path, key, value)):
        found = [(key, problem)]
    return found


def _problem(path: Path, key: str, value: object) -> BadSettings | None:
    try:
        _parse(path, key, value)
    except BadSettings as problem:
        return problem
    return None


def _read(path: Path) -> dict[str, object] | None:
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except FileNotFoundError:
        return None
    except tomllib.TOMLDecodeError as problem:
        raise BadSettings(
            in_file(path, Text("not TOML: {problem}", problem=reason_of(problem))),
            N_("correct that line; see wxcontroller.toml(5)"),
        ) from None
    except UnicodeDecodeError as problem:
        raise BadSettings(
            in_file(path, Text("is not UTF-8 text: {reason}", reason=problem.reason)), N_("save it as UTF-8")
        ) from None
    except (ValueError, RecursionError):
        raise BadSettings(
            in_file(path, Text("contains a number that is too long, or is nested too deeply")), N_("remove it")
        ) from None
    except OSError as problem:
        raise BadSettings(
            in_file(path, Text("cannot be read: {reason}", reason=reason_of(problem))),
            N_("make it readable for user wxcontroller"),
        ) from None


_FIELDS = {entry.name: entry for entry in fields(Settings)}
# Merged key by key over the files.
_TABLES = ("alerts", "client", "fleet", "limits")


def _parse(path: Path, key: str, value: object) -> object:
    entry = _FIELDS.get(key)
    if entry is None:
        raise BadSettings(
            in_file(path, Text("unknown key {key}", key=key)), N_("wxcontroller.toml(5) lists all keys")
        )
    try:
        parse: Parser = entry.metadata["parse"]
        return parse(value)
    except ValueError as problem:
        raise BadSettings(
            in_file(path, Text("{key} {problem}", key=key, problem=reason_of(problem))),
            N_("wxcontroller.toml(5) explains each key"),
        ) from None
