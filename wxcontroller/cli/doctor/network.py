"""Ports in use by other programs, the connection to WeChat, and this machine's clock compared with WeChat's."""

import email.utils
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from wxcontroller.cli.connection.systemd import controllers_ports, run_program, show
from wxcontroller.cli.doctor.result import CheckResult, CheckTarget, check, fail, ok, warn
from wxcontroller.core.config.checklist import DoctorCheck
from wxcontroller.core.config.options import OPTIONS
from wxcontroller.core.errors import reason_of
from wxcontroller.core.names import parse_name
from wxcontroller.core.net.egress import parse_proxy
from wxcontroller.core.net.tcptable import listeners, program_of
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import PORT, Account
from wxcontroller.core.text.templates import N_, Text

_WAIT = 8.0
_PROBE = 2.0
_SOMEBODY = Text("another program")
_CLOCK = N_("clock")
_NOTICED, _HARMFUL = 30.0, 300.0  # seconds that the clock is off


@check(DoctorCheck.PORTS, Text("no other program uses the ports"))
def ports(target: CheckTarget) -> Iterator[CheckResult]:
    """Whether the controller's and the accounts' ports are theirs."""
    active = show(("ActiveState",), "wxcontroller.socket")["wxcontroller.socket"].get("ActiveState")
    own = controllers_ports()
    if active != "active":
        for port in sorted(own):
            if listens(port):
                yield fail(
                    Text("the controller's port {port} is in use by {who}", port=port, who=_listener(port)),
                    Text("stop that program, or change the port: systemctl edit wxcontroller.socket"),
                )
    users = listeners()
    for account in target.registered:
        others = users.get(account.port, frozenset()) - _users_of(account, target.paths)
        if others:
            # The account works without its port, but local programs would call that one.
            yield warn(
                Text(
                    "port {port} of {account} is in use by {who}",
                    port=account.port,
                    account=str(account.name),
                    who=program_of(min(others), target.paths),
                ),
                Text(
                    "stop that program, or give the account another port: {port} in {override}",
                    port=PORT,
                    override=target.paths.override_file(account.name.instance),
                ),
            )


def _users_of(account: Account, paths: Paths) -> set[int]:
    """Return the user of a running account, none for one that is stopped."""
    try:
        return {paths.runtime(account.name.instance).lstat().st_uid}
    except OSError:
        return set()


def listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), _PROBE):
            return True
    except OSError:
        return False


def _listener(port: int) -> Text:
    """Return which program listens, if this user may know it."""
    try:
        done = run_program("ss", "-Hltnp", f"sport = :{port}", wait=5)
    except (OSError, subprocess.TimeoutExpired):
        return _SOMEBODY
    match = re.search(r'\(\("([^"]+)",pid=(\d+)', done.stdout)
    return Text("{found} (pid {found2})", found=match[1], found2=match[2]) if match else _SOMEBODY


@dataclass(frozen=True, slots=True)
class _Way:
    """How accounts reach WeChat: its host, the server in its place, the proxy before it."""

    host: str
    server: str
    proxy: str
    ca_file: str

    def __str__(self) -> str:
        return f"{self.server} in place of {self.host}" if self.server else self.host


@check(DoctorCheck.WECHAT)
def wechat(target: CheckTarget) -> Iterator[CheckResult]:
    """Check each route that accounts take to WeChat, and the clock by WeChat's time."""
    for way in sorted({_way(account) for account in accounts(target)}, key=str):
        if way.proxy:
            yield through(way)
        else:
            yield from direct(way)


def accounts(target: CheckTarget) -> list[Account]:
    return target.registered or [
        Account(parse_name("example"), target.settings.backend_start_port, options=target.settings.client)
    ]


def _way(account: Account) -> _Way:
    def option(name: str) -> str:
        return account.options.get(name, OPTIONS[name].default)

    return _Way(option("domain"), option("server"), option("proxy"), option("ca_file"))


def through(way: _Way) -> CheckResult:
    try:
        proxy = parse_proxy(way.proxy)
    except ValueError as problem:
        return fail(
            Text("the option proxy {problem}", problem=reason_of(problem)),
            Text("wxctl set NAME proxy=… && wxctl restart NAME"),
        )
    try:
        socket.create_connection((proxy.host, proxy.port), _WAIT).close()
    except OSError as problem:
        return fail(
            Text("the proxy {proxy} cannot be reached: {reason}", proxy=str(proxy), reason=reason_of(problem)),
            Text("check that it is running; to use another one: wxctl set NAME proxy=… && wxctl restart NAME"),
        )
    return ok(Text("the proxy {proxy} answers", proxy=str(proxy)))


def direct(way: _Way) -> Iterator[CheckResult]:
    try:
        status, date, middle = front_page(way)
    except ssl.SSLError as problem:
        yield fail(
            Text("{way} is not trusted: {problem}", way=str(way), problem=reason_of(problem)),
            Text(
                "the clock may be wrong, or something between here and WeChat intercepts TLS; apt "
                "install ca-certificates"
            ),
        )
        return
    except (OSError, HTTPException) as problem:
        yield fail(
            Text("{way} cannot be reached: {reason}", way=str(way), reason=reason_of(problem)),
            Text(
                "check DNS, routes and firewall: curl -I https://wx.qq.com/; another way out: "
                "wxctl set NAME proxy=… && wxctl restart NAME"
            ),
        )
        return
    if status >= 500:
        yield warn(
            Text("{way} answers {status}", way=str(way), status=status),
            Text("it is busy or broken; accounts keep retrying"),
        )
    else:
        yield ok(Text("{way} answers", way=str(way)))
    try:
        theirs = email.utils.parsedate_to_datetime(date).timestamp()
    except ValueError:
        yield warn(Text("{way} reports no time", way=str(way)), Text("compare it by hand: timedatectl"), _CLOCK)
        return
    off = middle - theirs
    words = (
        Text("the clock is {off} s ahead of {way}", off=f"{off:.0f}", way=str(way))
        if off > 0
        else Text("the clock is {off} s behind {way}", off=f"{-off:.0f}", way=str(way))
    )
    remedy = Text("enable time synchronization: timedatectl set-ntp true")
    if abs(off) > _HARMFUL:
        yield fail(words, remedy, _CLOCK)
    elif abs(off) > _NOTICED:
        yield warn(words, remedy, _CLOCK)
    else:
        yield ok(Text("correct to within a few seconds, compared with {way}", way=str(way)), _CLOCK)


def front_page(way: _Way) -> tuple[int, str, float]:
    """Ask for the front page; return status, Date, and our time in the middle of it."""
    parts = urlsplit(way.server or f"https://{way.host}")
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = ssl.create_default_context()
        if way.ca_file:
            context.load_verify_locations(cafile=way.ca_file)
        connection: HTTPConnection = HTTPSConnection(host, parts.port, timeout=_WAIT, context=context)
    else:
        connection = HTTPConnection(host, parts.port, timeout=_WAIT)
    try:
        connection.connect()
        begun = time.time()
        connection.request("HEAD", "/", headers={"Host": way.host, "Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Date", ""), (begun + time.time()) / 2
    finally:
        connection.close()
