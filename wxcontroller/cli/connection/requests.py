"""Requests to one controller: its address, the token, and the meaning of error responses.

This uses http.client instead of aiohttp, so that commands start fast. http.client also ignores proxies in the
environment, which would be wrong for loopback.
"""

import base64
import json
import os
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field as field_of
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from wxcontroller.cli.clierrors import BadUsage, MachineUnreachable, NoResponse, NotCancelled, WrongUrl
from wxcontroller.cli.connection.credential import Finder
from wxcontroller.core.errors import (
    AccountExists,
    ControllerUnreachable,
    NotAllowed,
    UnitFailed,
    UnknownAccount,
    WxError,
    reason_of,
)
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, obj, one_line, read_json, text
from wxcontroller.core.names import AccountName
from wxcontroller.core.net.addresses import is_loopback_host
from wxcontroller.core.registry.account import redacted
from wxcontroller.core.text.templates import N_, Text, text_in, verbatim
from wxcontroller.openwx.contract.replies import REFUSED

_CONNECT = 5.0
_LOOK = 1.0  # for an answer; then whether there is a controller to give it
ANSWER = 30.0
_KINDS: Mapping[str, type[WxError]] = {
    **dict.fromkeys(("no-such-event", "unknown-target"), UnknownAccount),
    **dict.fromkeys(("account-exists", "target-exists"), AccountExists),
    **dict.fromkeys(("no-such-send", "being-sent"), NotCancelled),
    "unit-failed": UnitFailed,
}
_HOW = N_(
    "give one by --token-file FILE, $WXCTL_TOKEN, $WXCTL_TOKEN_FILE or ~/.config/wxctl/token; root on the "
    "controller's machine needs none, and creates one with: wxctl token create NAME --scope SCOPE"
)


@dataclass(frozen=True, slots=True)
class RequestBody:
    """The body of a request: its type, its length (-1: unknown), and a function that opens it, again if need be."""

    kind: str
    length: int
    pieces: Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class HostAccess:
    """How to reach another host of the fleet: the authority of its certificate, and headers that authenticate us."""

    tls: ssl.SSLContext
    headers: Mapping[str, str] = field_of(repr=False)


def _kind(connection: HTTPConnection) -> type[ControllerUnreachable]:
    """Return why a connection failed; one that lacks only TLS has its socket."""
    return MachineUnreachable if connection.sock is None else ControllerUnreachable


def json_body(members: Mapping[str, JsonValue]) -> RequestBody:
    content = json.dumps(dict(members)).encode()
    return RequestBody("application/json", len(content), lambda: (content,))


class _RootConnection(HTTPConnection):
    """Reaches this machine's controller at its socket for root, which others cannot occupy, or else at its port."""

    def __init__(self, host: str, port: int | None, path: Path) -> None:
        super().__init__(host, port, timeout=_CONNECT)
        self._path = path

    def connect(self) -> None:
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(_CONNECT)
        try:
            # The directory is the controller's, so a link there is not followed.
            node = os.open(self._path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                made.connect(f"/proc/self/fd/{node}")
            finally:
                os.close(node)
        except OSError:  # systemd keeps the port open while the controller is restarted
            made.close()
            super().connect()
        else:
            self.sock = made


_SEE_UNIT = Text("see: systemctl status wxcontroller")


class Connection:
    """One controller, by the URL of its root. Every method raises WxError with a remedy."""

    def __init__(
        self, url: str, finder: Finder | None = None, insecure: bool = False, host_access: HostAccess | None = None
    ) -> None:
        """Raises BadUsage for an invalid URL, and for one to which a secret would be sent unencrypted."""
        wrong = BadUsage(
            N_("--url (or WXCTL_URL) is not a controller's URL"), N_("use a URL like http://127.0.0.1:2000")
        )
        try:
            parts = urlsplit(url)
            self._host, self._port = parts.hostname or "", parts.port
        except ValueError:
            raise wrong from None
        if parts.scheme not in ("http", "https") or not self._host:
            raise wrong
        self._secure = parts.scheme == "https"
        self._base = parts.path.rstrip("/")
        self._headers = {"Accept": "application/json", "Connection": "close"}
        if parts.username is not None:
            login = f"{parts.username}:{parts.password or ''}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
        self.shown = redacted(url)
        self._finder = finder or Finder()
        self._address = (self._host, self._port or (443 if self._secure else 80))
        self._tls = host_access.tls if host_access else None
        self._headers |= host_access.headers if host_access else {}
        self._token = "" if host_access else self._finder.token(*self._address)
        self.is_roots = host_access is None and bool(self._finder.roots(*self._address))
        self.port = self._address[1]
        self.is_local = is_loopback_host(self._host)
        exposed = not (self._secure or self.is_local or insecure)
        if exposed and self._token and self._token != self._finder.roots(*self._address):
            raise self._exposed(Text("the token"))
        if exposed and parts.password:
            raise self._exposed(Text("the password of --url"))

    def _exposed(self, what: Text) -> BadUsage:
        return BadUsage(
            N_("{what} would be sent to {host} without encryption"),
            N_("use https://, or a tunnel: ssh -NL 2000:127.0.0.1:2000 HOST; --insecure sends it anyway"),
            what=what,
            host=self._host,
        )

    def _unreachable(self, problem: Exception, kind: type[ControllerUnreachable]) -> ControllerUnreachable:
        """Return the error for a failed connection."""
        kind = WrongUrl if isinstance(problem, ssl.SSLError) else kind
        words, remedy = reason_of(problem), N_("check --url or WXCTL_URL, and the network")
        if isinstance(problem, ssl.SSLCertVerificationError):
            words = Text("its certificate is not valid: {verify_message}", verify_message=problem.verify_message)
            remedy = N_("if it is its own, name the file of who signed it: SSL_CERT_FILE=ca.pem wxctl …")
        elif isinstance(problem, ssl.SSLError):
            words = Text("it does not support TLS ({reason})", reason=problem.reason)
            remedy = N_("use --url http://… if the controller has no TLS")
        elif self.is_local:
            remedy = N_("start it with 'systemctl start wxcontroller.socket', or give another --url")
        return kind(N_("the controller at {url} cannot be reached: {words}"), remedy, url=self.shown, words=words)

    def call(
        self,
        method: str,
        path: str,
        body: RequestBody | None = None,
        about: AccountName | None = None,
        wait: float = ANSWER,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> JsonObject:
        """Make a request and return its JSON, which is an object. Raises WxError for an error response."""
        status, content = self._exchange(method, path, body, wait, headers)
        answer = self._read(status, content)
        if may_be_unauthorized(status, answer) and self._renewed():
            status, content = self._exchange(method, path, body, wait, headers)
            answer = self._read(status, content)
        if status >= 400:
            raise _problem(status, answer, about)
        return obj(answer)

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str], silence: float) -> Iterator[HTTPResponse]:
        """Open a stream; a silence of this many seconds ends it with ControllerUnreachable. Raises WxError."""
        for again in (True, False):
            with self._request("GET", path, None, headers, silence) as response:
                if response.status == 401 and again and self._renewed():
                    continue
                streams = response.getheader("Content-Type", "").startswith("text/event-stream")
                if response.status != 200 or not streams:
                    answer = self._read(response.status, response.read())
                    if response.status >= 400:
                        raise _problem(response.status, answer, None)
                    raise WrongUrl(
                        f"{self.shown} answered {response.status} instead of a stream", "is it this version's?"
                    )
                yield response
                return

    def _renewed(self) -> bool:
        """Whether root's token has changed: the controller was restarted, and did not carry out the refused
        request."""
        fresh = self._finder.roots(*self._address)
        if not fresh or not self._token or fresh == self._token:
            return False
        self._token = fresh
        return True

    def _read(self, status: int, content: bytes) -> JsonValue:
        try:
            answer = read_json(content) if content else {}
        except ValueError:
            raise WrongUrl(
                f"{self.shown} answered {status}, but not as wxcontroller does",
                "check --url or WXCTL_URL: another program may listen there",
            ) from None
        return answer

    def _remedy(self) -> Text:
        """Return what to do about a controller that does not answer."""
        if self.is_local:
            return _SEE_UNIT
        return Text(
            "on {host}, check: systemctl status wxcontroller.socket wxcontroller; it must listen on "
            "an address that others reach, and no firewall may block it; or use another --url",
            host=self._host,
        )

    def _authority(self) -> dict[str, str]:
        """Return the header with the token; Authorization may be a reverse proxy's."""
        if not self._token:
            return {}
        if "Authorization" in self._headers:
            return {"X-Auth-Token": self._token}
        return {"Authorization": f"Bearer {self._token}"}

    def _exchange(
        self, method: str, path: str, body: RequestBody | None, wait: float, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        with self._request(method, path, body, headers, wait) as response:
            return response.status, response.read()

    @contextmanager
    def _request(
        self, method: str, path: str, body: RequestBody | None, more: Mapping[str, str], wait: float
    ) -> Iterator[HTTPResponse]:
        connection, connected = self._connection(), False
        headers = {**self._headers, **self._authority(), **more}
        if body is not None:
            headers |= {"Content-Type": body.kind}
            headers |= {"Content-Length": str(body.length)} if body.length >= 0 else {}
        try:
            connection.connect()
            # From here on, the controller may have carried out the request.
            connected = True
            connection.sock.settimeout(wait)
            connection.request(method, self._base + path, body.pieces() if body else None, headers)
            if self.is_local:
                self._await_answer(connection.sock, wait)
            yield connection.getresponse()
        except TimeoutError:
            words = Text("the controller at {url} did not answer in time", url=self.shown), self._remedy()
            raise (NoResponse(*words, exit_code=3) if connected else _kind(connection)(*words)) from None
        except WxError:
            raise
        except (OSError, HTTPException) as problem:
            if connected:
                raise NoResponse(
                    N_("connection to the controller at {url} reset"),
                    self._remedy(),
                    exit_code=3,
                    url=self.shown,
                ) from None
            kind = ControllerUnreachable if isinstance(problem, ConnectionRefusedError) else _kind(connection)
            raise self._unreachable(problem, kind) from None
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        if self._secure:
            return HTTPSConnection(self._host, self._port, timeout=_CONNECT, context=self._tls)
        if self.is_roots and self._token == self._finder.roots(*self._address):
            return _RootConnection(self._host, self._port, self._finder.paths.root_socket)
        return HTTPConnection(self._host, self._port, timeout=_CONNECT)

    def _await_answer(self, answering: socket.socket, wait: float) -> None:
        """Wait for the answer to begin. Raises TimeoutError, and ControllerUnreachable when it cannot come.

        systemd holds the port: connections are accepted while the controller crashes at each start.
        """
        end = time.monotonic() + wait
        while not select.select([answering], [], [], min(_LOOK, max(0, end - time.monotonic())))[0]:
            if time.monotonic() >= end:
                raise TimeoutError
            from wxcontroller.cli.connection.systemd import crashes  # rarely needed

            if crash := crashes(self.port):
                raise ControllerUnreachable(
                    N_("the controller at {url} does not start: {crash}"),
                    N_("see: journalctl -u wxcontroller -n 20"),
                    url=self.shown,
                    crash=crash,
                )


def may_be_unauthorized(status: int, answer: JsonValue) -> bool:
    """Whether an answer may mean an invalid token; the old API has the same answer for all refusals."""
    return status == 401 or (status == 403 and field(answer, "code") == REFUSED)


def _problem(status: int, answer: JsonValue, about: AccountName | None) -> WxError:
    """Turn an error answer into the exception with the right exit code."""
    error = field(answer, "error")
    code, remedy = text(field(error, "code")), text_in(error, "remedy")
    # The openwx endpoints' errors have the old shape.
    old = one_line(field(answer, "reason")) or one_line(field(answer, "status"))
    message = text_in(error, "message") or (verbatim(old) if old else Text("HTTP status {status}", status=status))
    if status == 401 or code == "no-token":
        return NotAllowed(N_("the controller refuses requests without a token: {message}"), _HOW, message=message)
    if status in (403, 429) and (code in ("not-allowed", "too-many-failures") or field(answer, "code") == REFUSED):
        return NotAllowed(message, remedy)
    if about is not None and about.name not in str(message) and about.instance not in str(message):
        message = Text("{about}: {message}", about=about.name, message=message)
    if code == "unknown-account":
        return UnknownAccount(message, N_("wxctl list shows the accounts"))
    # 502 and 504: the account's part of it; the controller has passed it on.
    by_status = NoResponse if status in (502, 504) else BadUsage if status in (400, 413, 422) else WxError
    return _KINDS.get(code, by_status)(message, remedy)
