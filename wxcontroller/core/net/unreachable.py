"""Why an address could not be reached, and what to check. The HTTP library's messages quote URLs, which contain
secrets, so only host and port are used.
"""

import errno
import re
import socket
import ssl

import aiohttp

from wxcontroller.core.errors import WxError
from wxcontroller.core.text.templates import Text

# X509_V_ERR_*: problems of certificates.
_CERTIFICATES = {
    9: Text("is not valid yet"),
    10: Text("has expired"),
    18: Text("is self-signed"),
    19: Text("is signed by an unknown authority"),
    20: Text("is signed by an unknown authority"),
    21: Text("is signed by an unknown authority"),
    62: Text("belongs to another host"),
    64: Text("belongs to another host"),
}
_OF_THE_CLOCK = frozenset({9, 10})
_NUMBERS = re.compile(r"\[Errno\s(\d+)\]")
# A host with several addresses may fail in several ways: the most informative comes first.
_INFORMATIVE = (
    errno.ECONNREFUSED,
    errno.EPERM,
    errno.EACCES,
    errno.ECONNRESET,
    errno.ETIMEDOUT,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EADDRNOTAVAIL,
)


def unreached(problem: Exception) -> Text:
    """Return the text for an exception of the HTTP library or a timeout."""
    # Certificate before TLS before name before connection: each is a kind of the next.
    match problem:
        case WxError():
            return problem.full_text
        case aiohttp.ConnectionTimeoutError():
            return Text("connection timed out; a firewall may be in the way")
        case TimeoutError():
            return Text("no response in time")
        case aiohttp.ClientConnectorCertificateError():
            return certificate_reason(problem)
        case aiohttp.ClientConnectorSSLError():
            return Text("TLS handshake with {address} failed; check that it serves https", address=_where(problem))
        case aiohttp.ClientConnectorDNSError():
            return dns_reason(problem)
        case aiohttp.ClientConnectorError():
            return connect_reason(problem)
        case aiohttp.TooManyRedirects():
            return Text("too many redirects")
        case aiohttp.RedirectClientError():
            return Text("it redirects to an invalid URL")
        case aiohttp.ClientResponseError():
            return Text("not an HTTP response; check whether it serves https")
        case aiohttp.ClientPayloadError():
            return Text("its response ended early")
        case aiohttp.ServerDisconnectedError() | OSError():
            return Text("connection reset")
        case ValueError():
            return Text("invalid URL")
        case _:
            return Text("the connection broke")


def certificate_fault(problem: Exception) -> tuple[Text, bool]:
    """Return why a certificate was refused, and whether this machine's clock may be the cause."""
    code = problem.verify_code if isinstance(problem, ssl.SSLCertVerificationError) else 0
    return _CERTIFICATES.get(code, Text("is not valid")), code in _OF_THE_CLOCK


def certificate_reason(problem: aiohttp.ClientConnectorCertificateError) -> Text:
    fault, by_the_clock = certificate_fault(problem.certificate_error)
    remedy = Text("check this machine's clock") if by_the_clock else Text("see update-ca-certificates(8)")
    return Text(
        "the certificate of {address} is not trusted: it {fault}; {hint}",
        address=_where(problem),
        fault=fault,
        hint=remedy,
    )


def dns_reason(problem: aiohttp.ClientConnectorDNSError) -> Text:
    if problem.errno == socket.EAI_AGAIN:
        return Text("no DNS server answered for {host}; see: resolvectl status", host=problem.host)
    return Text("the name {host} cannot be resolved; check its spelling", host=problem.host)


def connect_errno(problem: aiohttp.ClientConnectorError) -> int:
    """Return the system's error number of a failed connection, 0 for none. The library's messages are not suitable
    for people: they quote addresses and numbers. But if a host has several addresses, only these messages contain the
    numbers.
    """
    numbers = [problem.os_error.errno or 0, *map(int, _NUMBERS.findall(str(problem.os_error)))]
    return next((each for each in _INFORMATIVE if each in numbers), max(numbers))


def connect_reason(problem: aiohttp.ClientConnectorError) -> Text:
    where = _where(problem)
    forbidden = Text(
        "this machine forbids connections to {address}; see its firewall, and drop-ins of the unit", address=where
    )
    no_network = Text("no route to the network of {address}; check this machine's network", address=where)
    reasons = {
        errno.ECONNREFUSED: Text("connection to {address} refused; check that it is running", address=where),
        errno.EPERM: forbidden,
        errno.EACCES: forbidden,
        errno.ECONNRESET: Text("{address} resets every connection; a firewall may be in the way", address=where),
        errno.ETIMEDOUT: Text("{address} does not answer; a firewall may be in the way", address=where),
        errno.EHOSTUNREACH: Text("no route to {address}; check this machine's network", address=where),
        errno.ENETUNREACH: no_network,
        errno.EADDRNOTAVAIL: no_network,
    }
    return reasons.get(connect_errno(problem), Text("{address} accepts no connection", address=where))


def _where(problem: aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError) -> str:
    host = f"[{problem.host}]" if ":" in problem.host else problem.host
    return f"{host}:{problem.port}" if problem.port else host
