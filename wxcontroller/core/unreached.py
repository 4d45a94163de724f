"""Why an address could not be reached, in words and with what to see to.

URLs, which the HTTP library's own words quote, stay out of them: they hold secrets. Host and port don't.
"""

import errno
import re
import socket
import ssl

import aiohttp

from wxcontroller.core.errors import WxError
from wxcontroller.core.messages import Text

# X509_V_ERR_*: what is wrong with a certificate.
_CERTIFICATES = {
    9: Text("is not valid yet"),
    10: Text("has expired"),
    18: Text("is signed by nobody but itself"),
    19: Text("is signed by an authority that is not known here"),
    20: Text("is signed by an authority that is not known here"),
    21: Text("is signed by an authority that is not known here"),
    62: Text("belongs to another host"),
    64: Text("belongs to another host"),
}
_OF_THE_CLOCK = frozenset({9, 10})
_NUMBERS = re.compile(r"\[Errno\s(\d+)\]")


def unreached(problem: Exception) -> Text:
    """Return what to tell of an exception of the HTTP library, or of the time that ran out."""
    # Certificate before TLS before name before connection: each is a kind of the next.
    match problem:
        case WxError():
            return problem.full_text
        case aiohttp.ConnectionTimeoutError():
            return Text("no connection comes about in time; a firewall may be in the way")
        case TimeoutError():
            return Text("it does not answer in time")
        case aiohttp.ClientConnectorCertificateError():
            return _distrusted(problem)
        case aiohttp.ClientConnectorSSLError():
            return Text("no TLS comes about with {address}; see whether it speaks https", address=_where(problem))
        case aiohttp.ClientConnectorDNSError():
            return _unresolved(problem)
        case aiohttp.ClientConnectorError():
            return _unconnected(problem)
        case aiohttp.TooManyRedirects():
            return Text("it redirects round and round")
        case aiohttp.RedirectClientError():
            return Text("it redirects to something that is no address")
        case aiohttp.ClientResponseError():
            return Text("it answers no HTTP; see whether it speaks https")
        case aiohttp.ClientPayloadError():
            return Text("it broke off its answer")
        case aiohttp.ServerDisconnectedError() | OSError():
            return Text("it broke off the connection")
        case ValueError():
            return Text("its address is none that can be asked")
        case _:
            return Text("the connection broke")


def certificate_fault(problem: Exception) -> tuple[Text, bool]:
    """Return what is wrong with a certificate that was refused, and whether that may be this machine's clock."""
    code = problem.verify_code if isinstance(problem, ssl.SSLCertVerificationError) else 0
    return _CERTIFICATES.get(code, Text("is not in order")), code in _OF_THE_CLOCK


def _distrusted(problem: aiohttp.ClientConnectorCertificateError) -> Text:
    fault, by_the_clock = certificate_fault(problem.certificate_error)
    remedy = (
        Text("see whether this machine's clock is right") if by_the_clock else Text("see update-ca-certificates(8)")
    )
    return Text(
        "the certificate of {address} is not to be trusted: it {fault}; {hint}",
        address=_where(problem),
        fault=fault,
        hint=remedy,
    )


def _unresolved(problem: aiohttp.ClientConnectorDNSError) -> Text:
    if problem.errno == socket.EAI_AGAIN:
        return Text("no resolver answers that knows the name {host}; see: resolvectl status", host=problem.host)
    return Text("the name {host} is not known to the resolver; see whether it is written right", host=problem.host)


def _unconnected(problem: aiohttp.ClientConnectorError) -> Text:
    where = _where(problem)
    forbidden = Text(
        "this machine forbids connections to {address}; see its firewall, and drop-ins of the unit", address=where
    )
    no_network = Text("there is no way to the network of {address}; see this machine's network", address=where)
    # A host with several addresses may fail in several ways: what tells the most comes first.
    known = {
        errno.ECONNREFUSED: Text("connection to {address} refused; check that it is running", address=where),
        errno.EPERM: forbidden,
        errno.EACCES: forbidden,
        errno.ECONNRESET: Text(
            "{address} breaks off each connection at once; a firewall may be in the way", address=where
        ),
        errno.ETIMEDOUT: Text("{address} does not answer; a firewall may be in the way", address=where),
        errno.EHOSTUNREACH: Text("there is no way to {address}; see this machine's network", address=where),
        errno.ENETUNREACH: no_network,
        errno.EADDRNOTAVAIL: no_network,
    }
    # Of several addresses only the library's words have the numbers.
    numbers = {problem.errno, *map(int, _NUMBERS.findall(str(problem.os_error)))}
    return next(
        (words for number, words in known.items() if number in numbers),
        Text("{address} takes no connection", address=where),
    )


def _where(problem: aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError) -> str:
    host = f"[{problem.host}]" if ":" in problem.host else problem.host
    return f"{host}:{problem.port}" if problem.port else host
