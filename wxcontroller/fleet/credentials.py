"""Files that let this host talk to others over TLS, and why a connection to them failed."""

import asyncio
import errno
import os
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from wxcontroller.core.access.systemdcredentials import place_of
from wxcontroller.core.budget import TooMuch
from wxcontroller.core.config.fleetsettings import EtcdSettings, HostSettings
from wxcontroller.core.errors import BadSettings, reason_of
from wxcontroller.core.net.unreachable import connect_errno
from wxcontroller.core.text.templates import N_, Text

_FILE_BYTES = 1 << 20
_SECRETS = ("token", "password")


@dataclass(frozen=True, slots=True)
class PeerCredentials:
    """Loaded credentials: the TLS context, and the token or password, "" for none. ``files`` is the files' content,
    to detect changes; ``certificate`` is this host's; ``has_authority``: the settings name the authority.
    """

    tls: ssl.SSLContext
    secret: str
    files: tuple[bytes, ...] = ()
    certificate: bytes = b""
    has_authority: bool = False

    def own_end(self) -> int:
        """Return when the certificate of this host ends, 0 if it has none."""
        if not self.certificate:
            return 0
        from cryptography import x509  # 5 MiB, of which an account needs none

        return int(x509.load_pem_x509_certificate(self.certificate).not_valid_after_utc.timestamp())

    def authority_end(self) -> int:
        """Return when the first authority that is trusted ends, 0 for those of the system, which Debian renews."""
        ends = (_end(each) for each in self.tls.get_ca_certs()) if self.has_authority else ()
        return min(ends, default=0)

    async def server_end(self, url: str, seconds: float) -> int:
        """Return when the certificate of a server ends, 0 if it has none, or is not reached."""
        parts = urlsplit(url)
        if parts.scheme != "https":
            return 0
        try:
            async with asyncio.timeout(seconds):
                _, writer = await asyncio.open_connection(parts.hostname, parts.port or 443, ssl=self.tls)
        except (OSError, TimeoutError):
            return 0
        try:
            return _end(writer.get_extra_info("peercert"))
        finally:
            writer.close()


def _end(certificate: Mapping[str, object] | None) -> int:
    return int(ssl.cert_time_to_seconds(str((certificate or {})["notAfter"])))


def credentials_of(settings: HostSettings | EtcdSettings) -> PeerCredentials:
    """Read the files that the settings of a host or of etcd name. Raises BadSettings naming setting and file."""
    where = f"fleet.hosts.{settings.name}" if isinstance(settings, HostSettings) else "fleet.etcd"
    places = {
        name: place_of(f"{where}.{name}", value)
        for name in ("ca_file", "certificate", "key", *_SECRETS)
        if (value := getattr(settings, name, ""))
    }
    contents: dict[str, bytes] = {}
    reading, secret = "", ""
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
            # An empty password keeps OpenSSL from asking for one.
            tls.load_cert_chain(places[reading], places["key"], password="")
        for reading in contents.keys() & set(_SECRETS):
            secret = contents[reading].decode("ascii").strip()
            if not re.fullmatch("[!-~]+", secret):
                raise ValueError(
                    Text("it does not contain a token")
                    if reading == "token"
                    else Text("it does not contain a password")
                )
    except (OSError, ValueError) as problem:  # also the TLS library's
        raise BadSettings(
            N_("{setting}: {file} cannot be used: {reason}"),
            N_("make it readable for user wxcontroller, or pass it as a credential; see wxcontroller.toml(5)"),
            setting=f"{where}.{reading}",
            file=places.get(reading, ""),
            reason=reason_of(problem),
        ) from None
    own = contents.get("certificate", b"")
    return PeerCredentials(tls, secret, tuple(contents.values()), own, "ca_file" in places)


def connection_reason(problem: Exception, credentials: PeerCredentials | None = None) -> Text:
    """Return why a connection failed, without the library's numbers. ``credentials`` are those of this host."""
    if isinstance(problem, TooMuch):
        return Text(N_("its responses take too much memory"))
    if isinstance(problem, TimeoutError):
        return Text(N_("no response in time"))
    if isinstance(problem, aiohttp.ClientConnectorCertificateError):
        # For example "certificate has expired".
        found = problem.certificate_error
        words = getattr(found, "verify_message", "") or str(found)
        return Text(N_("its certificate is not valid: {reason}"), reason=words)
    if isinstance(problem, aiohttp.ClientConnectorDNSError):
        return reason_of(problem.os_error)
    if isinstance(problem, aiohttp.ClientConnectorError):
        number = connect_errno(problem)
        if isinstance(problem, aiohttp.ClientConnectorSSLError) or not number:
            return Text(N_("TLS handshake failed; check that it serves https"))
        if number == errno.EPERM:
            return Text(N_("the controller's unit may not reach its address; add it to IPAddressAllow= of the unit"))
        return reason_of(OSError(number, os.strerror(number)))
    # A member or host rejects a certificate only after the handshake, and may just close the connection.
    if credentials is not None and 0 < credentials.own_end() < time.time():
        return Text(N_("the certificate of this host has expired; renew it"))
    if "ALERT" in str(problem):
        return Text(N_("it does not accept the certificate of this host"))
    return Text(N_("connection reset"))
