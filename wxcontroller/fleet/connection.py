"""The HTTP connection to one other host: TLS, credentials, time limits and errors.

Requests are never repeated, redirects never followed, cookies never kept. A connection is there within two seconds or
the call fails; after that the limits of the call count.
"""

import errno
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from wxcontroller.core.access import CALLER_HEADER
from wxcontroller.core.credentials import place_of
from wxcontroller.core.errors import BadSettings, HostFailure, reason_of
from wxcontroller.core.fleetsettings import HostSettings
from wxcontroller.core.messages import N_, Text
from wxcontroller.core.relay import Body, relay_session
from wxcontroller.core.resolver import Resolver
from wxcontroller.fleet.hop import HopCaller

CONNECT_SECONDS = 2.0
_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class HostCredentials:
    """What the settings of a host name, read: the TLS context and the token, "" for none.

    ``files`` is what the files contain, to see whether that has changed.
    """

    tls: ssl.SSLContext
    token: str
    files: tuple[bytes, ...] = ()


def credentials_of(settings: HostSettings) -> HostCredentials:
    """Read the files of a host's settings. Raises BadSettings naming the host and the file."""
    where = f"fleet.hosts.{settings.name}"
    places = {
        name: place_of(f"{where}.{name}", given)
        for name in ("ca_file", "certificate", "key", "token")
        if (given := getattr(settings, name))
    }
    contents: dict[str, bytes] = {}
    reading = ""
    try:
        for reading, place in places.items():
            with place.open("rb") as stream:
                contents[reading] = stream.read(_FILE_BYTES)
        reading = "ca_file"
        # The authority of the settings alone, or the system's.
        tls = ssl.create_default_context(cafile=str(places[reading]) if reading in places else None)
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        reading = "certificate"
        if reading in places:
            # With a password at hand nobody is asked for one.
            tls.load_cert_chain(places[reading], places["key"], password="")
        reading = "token"
        token = contents.get(reading, b"").decode("ascii").strip()
        if reading in places and not re.fullmatch("[!-~]+", token):
            raise ValueError(Text("it does not contain a token"))
    except (OSError, ValueError) as problem:  # also the TLS library's
        raise BadSettings(
            N_("{setting}: {file} can't be used: {reason}"),
            N_("make it readable for user wxcontroller, or pass it as a credential; see wxcontroller.toml(5)"),
            setting=f"{where}.{reading}",
            file=places.get(reading, ""),
            reason=reason_of(problem),
        ) from None
    return HostCredentials(tls, token, tuple(contents.values()))


class HostConnection:
    """Sends requests to one host. Use as an async context manager."""

    def __init__(self, settings: HostSettings, credentials: HostCredentials) -> None:
        self._settings = settings
        self._credentials = credentials

    async def __aenter__(self) -> "HostConnection":
        tls = self._credentials.tls
        self._session = relay_session(
            aiohttp.TCPConnector(limit=0, ssl=tls, keepalive_timeout=30, resolver=Resolver())
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def open(
        self,
        target: str,
        caller: HopCaller,
        timeout: aiohttp.ClientTimeout,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: Body = None,
    ) -> aiohttp.ClientResponse:
        """Send a request for a caller; return the response once its head has arrived.

        ``target`` is path and query, encoded. ``timeout`` is without the time to connect. Raises HostFailure.
        """
        sent = CIMultiDict(headers or {})
        sent[CALLER_HEADER] = str(caller)
        if self._credentials.token:
            sent["Authorization"] = f"Bearer {self._credentials.token}"
        url = URL(f"{self._settings.url}{target}", encoded=True)
        limits = aiohttp.ClientTimeout(timeout.total, CONNECT_SECONDS, timeout.sock_read)
        try:
            return await self._session.request(
                method, url, headers=sent, data=body, allow_redirects=False, timeout=limits
            )
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            raise self.failure_of(problem) from None

    def failure_of(self, problem: Exception) -> HostFailure:
        """Return the failure that an error of the connection is."""
        host = self._settings.name
        if isinstance(problem, aiohttp.ConnectionTimeoutError):
            why = Text(N_("no connection within {seconds} s"), seconds=f"{CONNECT_SECONDS:g}")
        elif isinstance(problem, TimeoutError):
            return HostFailure(host, Text(N_("no response in time")), timed_out=True)
        elif isinstance(problem, aiohttp.ClientConnectorCertificateError):
            # As "certificate has expired", without the library's numbers.
            found = problem.certificate_error
            words = getattr(found, "verify_message", "") or str(found)
            why = Text(N_("its certificate is not valid: {reason}"), reason=words)
        elif isinstance(problem, aiohttp.ClientSSLError | ssl.SSLError):
            why = Text(N_("TLS handshake failed: {reason}"), reason=getattr(problem, "reason", None) or str(problem))
        elif isinstance(problem, aiohttp.ClientConnectorError) and problem.os_error.errno == errno.EPERM:
            why = Text(N_("the controller's unit may not reach its address; add it to IPAddressAllow= of the unit"))
        elif isinstance(problem, aiohttp.ClientConnectorError):
            why = reason_of(problem.os_error)
        else:
            why = Text(N_("connection reset"))
        return HostFailure(host, why)
