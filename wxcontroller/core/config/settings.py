"""The controller's settings: one table from which come the file parser, its checks and the documentation.

Read from wxcontroller.toml and then the drop-ins next to it in name order; later files win key by key. Every option
of the original controller keeps its name (openwx-api 1.1). Those that systemd has taken over are accepted and
reported as without effect.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wxcontroller.core.config.alertsettings import AlertSettings
from wxcontroller.core.config.fleetsettings import NETWORKS, FleetSettings
from wxcontroller.core.config.limits import DEFAULTS, Limits
from wxcontroller.core.config.options import Origin, check_options
from wxcontroller.core.config.reporttargets import SETTING as TARGETS
from wxcontroller.core.config.reporttargets import Target, Targets
from wxcontroller.core.config.tables import (
    AUTHORITY,
    FILE,
    SWITCH,
    URL,
    CheckedTable,
    Choice,
    KeyProblem,
    Table,
    Word,
    Words,
    Wrong,
    entries,
    integer,
    pair,
    row,
    seconds,
)
from wxcontroller.core.errors import BadSettings, reason_of
from wxcontroller.core.net.addresses import Network, parse_ip
from wxcontroller.core.paths import Paths
from wxcontroller.core.process.journal import LEVELS
from wxcontroller.core.text.templates import N_, Text, in_file

# In characters. An option of the administrator's may be longer than one of a request (options.OPTION_LENGTH).
_OPTION_LENGTH = 1 << 16
# All of webhook_targets together: they are one variable in the environment of each account.
WEBHOOK_TARGETS_LENGTH = 50_000


@dataclass(frozen=True, slots=True)
class Listen:
    """An address the controller binds itself when it was not socket-activated."""

    host: str
    port: int


def _listen(value: object) -> tuple[Listen, ...]:
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


def _targets(value: object) -> Targets:
    targets = Targets(_TARGETS(value))
    if len(str(targets)) > WEBHOOK_TARGETS_LENGTH:
        raise ValueError(Text("has more than {most} characters", most=WEBHOOK_TARGETS_LENGTH))
    return targets


def _client(content: object) -> Mapping[str, str]:
    return entries(content, Text("must be a table of account options, as [client]"), _option)


def _option(name: str, value: object) -> Mapping[str, str]:
    if name == TARGETS:
        raise ValueError(Text("must be set above the tables, as a list"))
    if isinstance(value, bool):
        value = "1" if value else "0"
    if not isinstance(value, str | int | float):
        raise ValueError(Text("must be text, a number, true or false"))
    return check_options([(name, str(value))], Origin.SETTINGS, _OPTION_LENGTH).options


_ORIGIN = Word(
    N_('must be an origin like "https://wx.example", without a path, or ""'),
    f"(https?://{AUTHORITY})?",
)
_ORIGINS = Words(
    N_('must be a list like ["https://panel.example"]'),
    Word(N_('names {item}, an origin is like "https://panel.example:8443", or "*" for all'), r"\*|https?://[^/]+"),
)
_HOSTS = Words(
    N_('must be a list like ["panel.example"]'),
    Word(N_('names {item}, a host is like "panel.example", or "*" for all'), r"\*|[0-9A-Za-z._\[\]:-]+"),
)
_TARGETS = Words(
    N_('must be a list like ["https://bots.example/", "http://127.0.0.1:8080/"]'), Word(made=Target.parse)
)
_PATH = Word(N_("must be an absolute path in quotes"), r"(?s:/.*)", Path)


@dataclass(frozen=True, slots=True)
class Settings(CheckedTable):
    """The controller's settings. Durations are in seconds."""

    listen: tuple[Listen, ...] = row(
        (Listen("127.0.0.1", 2000),), _listen, "addresses, used only without wxcontroller.socket"
    )
    backend_start_port: int = row(3000, integer(1024, 65000), "lowest port given to an account")
    backend_end_port: int = row(4999, integer(1024, 65000), "highest port given to an account")
    post_api: str = row("", URL, "default report URL of accounts")
    poll_api: str = row("", URL, "heartbeat URL of the controller itself")
    webhook_targets: Targets = row(
        Targets(), _targets, "address prefixes allowed for post_api and poll_api of accounts; empty: any"
    )
    poll_interval: float = row(5, seconds(0.1, 86400), "pause between two heartbeats of the controller")
    max_clients: int = row(100, integer(1, 10000), "accounts that may run at a time")
    check_interval: float = row(5, seconds(0.5, 3600), "pause between two checks of all units")
    template_path: Path = row(Path("/etc/wxcontroller/client.env.j2"), _PATH, "account template (jinja2)")
    log_level: str = row("info", Choice(tuple(LEVELS)), "level of detail in the journal")
    http_debug: bool = row(False, SWITCH, "log each request to the controller, without secrets")
    ua_connect_timeout: float = row(10, seconds(0.1, 600), "connect timeout towards an account")
    ua_request_timeout: float = row(120, seconds(1, 3600), "longest proxied request")
    ua_inactivity_timeout: float = row(120, seconds(1, 3600), "longest silence of a proxied request")
    start_timeout: float = row(40, seconds(1, 600), "longest wait for an account's unit to start")
    stop_timeout: float = row(40, seconds(1, 600), "longest wait for an account's unit to stop")
    drain_timeout: float = row(15, seconds(0, 3600), "longest wait for running requests at a stop")
    max_body: int = row(64 * 1024 * 1024, integer(1024, 1 << 32, "bytes"), "largest request body in bytes")
    max_bodies: int = row(
        256 << 20, integer(1 << 20, 1 << 36, "bytes"), "bytes of request bodies held in memory at a time"
    )
    max_connections: int = row(4096, integer(16, 65536), "callers' connections at a time")
    max_connections_per_peer: int = row(2048, integer(8, 65536), "of them from one address")
    max_requests: int = row(1024, integer(8, 65536), "concurrent requests, except long polls")
    max_long_polls: int = row(1024, integer(8, 65536), "check_event, consult and streams of events at a time")
    max_readers: int = row(32, integer(1, 4096), "readers of events at a time")
    max_headers: int = row(100, integer(20, 1000), "headers of a request")
    max_head: int = row(64 * 1024, integer(8192, 1 << 20, "bytes"), "bytes of a request's head")
    idle_timeout: float = row(75, seconds(1, 3600), "longest pause of a connection without a request")
    header_timeout: float = row(20, seconds(0.1, 600), "longest time for the head of a request")
    send_timeout: float = row(60, seconds(0.1, 3600), "longest time without progress while sending a response")
    unknown_options: str = row("refuse", Choice(("refuse", "ignore")), "what to do with an unknown start parameter")
    allow_origins: tuple[str, ...] = row((), _ORIGINS, "additional web origins whose pages may call the API")
    allow_hosts: tuple[str, ...] = row(
        (), _HOSTS, "additional host names of the API, for example behind a reverse proxy"
    )
    trusted_proxies: tuple[Network, ...] = row(
        (), NETWORKS, "addresses of reverse proxies whose X-Forwarded-For is trusted"
    )
    public_url: str = row(
        "", _ORIGIN, "origin at which others reach the controller, behind a proxy; empty: as each request names it"
    )
    ilink_serve: bool = row(False, SWITCH, "serve the iLink API to agents under /ilink")
    ilink_pair_digits: bool = row(False, SWITCH, "agents that pair have to enter six digits from the page")
    mcp_serve: bool = row(False, SWITCH, "serve MCP to AI agents under /mcp")
    alerts: AlertSettings = row(
        AlertSettings(), Table(AlertSettings, "alerts"), "[alerts]: alerts when an account goes offline"
    )
    tls_certificate: str = row("", FILE, "certificate with its chain, PEM: a path, or a credential's name")
    tls_key: str = row("", FILE, "the key of tls_certificate, PEM: a path, or a credential's name")
    fleet: FleetSettings | None = row(
        None, Table(FleetSettings, "fleet"), "[fleet]: other hosts whose accounts are shown here"
    )
    limits: Limits = row(DEFAULTS, Table(Limits, "limits"), "[limits]: limits on external input")
    client: Mapping[str, str] = row({}, _client, "[client]: defaults of account options")

    def problems(self) -> Iterator[KeyProblem]:
        if self.backend_end_port < self.backend_start_port:
            yield KeyProblem(
                Text(
                    "backend_end_port {end} is below backend_start_port {start}",
                    end=self.backend_end_port,
                    start=self.backend_start_port,
                ),
                ("backend_end_port", "backend_start_port"),
                Text("choose a range of at least one port, and allow it in wxclient.slice (SocketBindAllow=)"),
            )
        for option, address in (
            ("post_api", self.post_api),
            *((option, self.client.get(option, "")) for option in ("post_api", "poll_api")),
        ):
            if address and not self.webhook_targets.allow(address):
                yield KeyProblem(
                    Text("{option} in the settings is not among {setting}", option=option, setting=TARGETS),
                    (TARGETS,),
                    Text("add its address to {setting}, or use another one", setting=TARGETS),
                )
        yield from pair(self, "tls_certificate", "tls_key")


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
    return read_settings(settings_files(paths))


def settings_files(paths: Paths) -> list[Path]:
    return [paths.settings_file, *sorted(paths.settings_dropins.glob("*.toml"))]


def read_settings(files: Iterable[Path]) -> Loaded:
    """Read settings from these files, the first of which is the main one. As load_settings."""
    loaded, problems = examine(files)
    if problems:
        raise problems[0]
    return loaded


def examine(files: Iterable[Path]) -> tuple[Loaded, list[BadSettings]]:
    """Read settings; return them and all problems, with which they are the defaults."""
    content, origins = dict[str, object](), dict[str, Path]()
    read, notices, refused = list[Path](), list[Text](), list[BadSettings]()
    for path in files:
        try:
            found = _read(path)
        except BadSettings as problem:
            refused.append(problem)
            continue
        if found is not None:
            read.append(path)
            for key in OBSOLETE.keys() & found.keys():
                del found[key]
                words = Text("{key} has no effect: {reason}", key=key, reason=Text(OBSOLETE[key]))
                notices.append(in_file(path, words, key))
            content = merged(content, found)
            origins |= dict.fromkeys(_keys(found), path)
    settings = Settings()
    if not refused:
        try:
            settings = Table(Settings, "")(content)
        except Wrong as wrong:
            refused = [_refused(problem, origins) for problem in wrong.problems]
    return Loaded(settings, tuple(notices), tuple(read)), refused


def merged(earlier: Mapping[str, object], later: Mapping[str, object]) -> dict[str, object]:
    """Return the content of two files: the later one wins, key by key, also in tables."""
    both = {
        key: merged(table, value)
        for key, value in later.items()
        if isinstance(value, dict) and isinstance(table := earlier.get(key), dict)
    }
    return {**earlier, **later, **both}


def _keys(content: Mapping[str, object], place: str = "") -> Iterator[str]:
    for key, value in content.items():
        yield place + key
        if isinstance(value, dict):
            yield from _keys(value, f"{place}{key}.")


def _refused(problem: KeyProblem, origins: Mapping[str, Path]) -> BadSettings:
    """Return a problem as one of the file that sets its key."""
    key = next(key for key in problem.keys if key in origins)
    return BadSettings(in_file(origins[key], problem.text, key), problem.remedy)


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
