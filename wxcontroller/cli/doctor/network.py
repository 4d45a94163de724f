"""Ports that somebody else has, the way to WeChat, and this machine's clock by WeChat's."""

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

from wxcontroller.cli.doctor.result import Patient, Result, fail, ok, warn
from wxcontroller.cli.local import controllers_ports, show
from wxcontroller.core.account import PORT, Account
from wxcontroller.core.egress import parse_proxy
from wxcontroller.core.errors import WxError
from wxcontroller.core.names import parse_name, unit_of
from wxcontroller.core.options import OPTIONS

_WAIT = 8.0
_PROBE = 2.0
_SOMEBODY = "another program"
_NOTICED, _HARMFUL = 30.0, 300.0  # seconds that the clock is off


def ports(patient: Patient) -> Iterator[Result]:
    """Whether the controller's and the accounts' ports are theirs."""
    good = True
    try:
        active = show(("ActiveState",), "wxcontroller.socket")["wxcontroller.socket"].get("ActiveState")
        own = controllers_ports()
    except WxError:
        return  # told before
    if active != "active":
        for port in sorted(own):
            if _listens(port):
                good = False
                yield fail(
                    "ports",
                    f"the controller's port {port} is taken by {_who(port)}",
                    "end that, or give it another: systemctl edit wxcontroller.socket",
                )
    instances = {unit_of(account.name.instance): account for account in patient.registered}
    states = show(("ActiveState",), *instances) if instances else {}
    for unit, account in instances.items():
        down = states.get(unit, {}).get("ActiveState", "") in ("", "inactive", "failed", "activating")
        if down and _listens(account.port):
            good = False
            override = patient.paths.override_file(account.name.instance)
            remedy = f"end that, or give the account another port: {PORT} in {override}"
            yield fail("ports", f"port {account.port} of {account.name} is taken by {_who(account.port)}", remedy)
    if good:
        yield ok("ports", "no port is taken by another program")


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), _PROBE):
            return True
    except OSError:
        return False


def _who(port: int) -> str:
    """Say which program listens, as far as it can be seen."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed program and words
            ["ss", "-Hltnp", f"sport = :{port}"],  # noqa: S607 - as the admin's PATH has it
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return _SOMEBODY
    found = re.search(r'\(\("([^"]+)",pid=(\d+)', done.stdout)
    return f"{found[1]} (pid {found[2]})" if found else _SOMEBODY


@dataclass(frozen=True, slots=True)
class _Way:
    """How accounts reach WeChat: its host, the server in its place, the proxy before it."""

    host: str
    server: str
    proxy: str
    ca_file: str

    def __str__(self) -> str:
        return f"{self.server} in place of {self.host}" if self.server else self.host


def wechat(patient: Patient) -> Iterator[Result]:
    """Every way that accounts go out: whether it leads there, and what time it is there."""
    for way in sorted({_way(account) for account in _accounts(patient)}, key=str):
        if way.proxy:
            yield _through(way)
        else:
            yield from _direct(way)


def _accounts(patient: Patient) -> list[Account]:
    return patient.registered or [
        Account(parse_name("example"), patient.settings.backend_start_port, options=patient.settings.client)
    ]


def _way(account: Account) -> _Way:
    def option(name: str) -> str:
        return account.options.get(name, OPTIONS[name].default)

    return _Way(option("domain"), option("server"), option("proxy"), option("ca_file"))


def _through(way: _Way) -> Result:
    try:
        proxy = parse_proxy(way.proxy)
    except ValueError as problem:
        return fail("WeChat", f"the option proxy {problem}", "wxctl set NAME proxy=…")
    try:
        socket.create_connection((proxy.host, proxy.port), _WAIT).close()
    except OSError as problem:
        return fail(
            "WeChat", f"the proxy {proxy} can't be reached: {_words(problem)}", "is it up? wxctl set NAME proxy=…"
        )
    return ok("WeChat", f"the proxy {proxy} answers")


def _direct(way: _Way) -> Iterator[Result]:
    try:
        status, date, middle = _asked(way)
    except ssl.SSLError as problem:
        yield fail(
            "WeChat",
            f"{way} can't be trusted: {problem.reason or problem}",
            "the clock may be off, or something between here and WeChat opens TLS; apt install ca-certificates",
        )
        return
    except (OSError, HTTPException) as problem:
        yield fail(
            "WeChat",
            f"{way} can't be reached: {_words(problem)}",
            "check DNS, routes and firewall: curl -I https://wx.qq.com/; another way out: wxctl set NAME proxy=…",
        )
        return
    if status >= 500:
        yield warn("WeChat", f"{way} answers {status}", "it is busy or broken; accounts try on")
    else:
        yield ok("WeChat", f"{way} answers")
    try:
        theirs = email.utils.parsedate_to_datetime(date).timestamp()
    except ValueError:
        yield warn("clock", f"{way} does not tell the time", "compare it by hand: timedatectl")
        return
    off = middle - theirs
    words = f"the clock is {off:.0f} s ahead of {way}" if off > 0 else f"the clock is {-off:.0f} s behind {way}"
    remedy = "let it be set by the network: timedatectl set-ntp true"
    if abs(off) > _HARMFUL:
        yield fail("clock", words, remedy)
    elif abs(off) > _NOTICED:
        yield warn("clock", words, remedy)
    else:
        yield ok("clock", f"right within a few seconds, by {way}")


def _asked(way: _Way) -> tuple[int, str, float]:
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


def _words(problem: BaseException) -> str:
    return (problem.strerror if isinstance(problem, OSError) else "") or str(problem) or type(problem).__name__
