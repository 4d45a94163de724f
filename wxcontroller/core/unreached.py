"""Why an address could not be reached, in words and with what to see to.

URLs, which the HTTP library's own words quote, stay out of them: they hold secrets. Host and port don't.
"""

import errno
import re
import socket
import ssl

import aiohttp

from wxcontroller.core.errors import WxError

# X509_V_ERR_*: what is wrong with a certificate.
_CERTIFICATES = {
    9: "is not valid yet",
    10: "has expired",
    18: "is signed by nobody but itself",
    19: "is signed by an authority that is not known here",
    20: "is signed by an authority that is not known here",
    21: "is signed by an authority that is not known here",
    62: "belongs to another host",
    64: "belongs to another host",
}
_OF_THE_CLOCK = frozenset({9, 10})
_NUMBERS = re.compile(r"\[Errno\s(\d+)\]")


def unreached(problem: Exception) -> str:
    """Return what to tell of an exception of the HTTP library, or of the time that ran out."""
    # Certificate before TLS before name before connection: each is a kind of the next.
    match problem:
        case WxError():
            return str(problem)  # one of ours
        case aiohttp.ConnectionTimeoutError():
            return "no connection comes about in time; a firewall may be in the way"
        case TimeoutError():
            return "it does not answer in time"
        case aiohttp.ClientConnectorCertificateError():
            return _distrusted(problem)
        case aiohttp.ClientConnectorSSLError():
            return f"no TLS comes about with {_where(problem)}; see whether it speaks https"
        case aiohttp.ClientConnectorDNSError():
            return _unresolved(problem)
        case aiohttp.ClientConnectorError():
            return _unconnected(problem)
        case aiohttp.TooManyRedirects():
            return "it redirects round and round"
        case aiohttp.RedirectClientError():
            return "it redirects to something that is no address"
        case aiohttp.ClientResponseError():
            return "it answers no HTTP; see whether it speaks https"
        case aiohttp.ClientPayloadError():
            return "it broke off its answer"
        case aiohttp.ServerDisconnectedError() | OSError():
            return "it broke off the connection"
        case ValueError():
            return "its address is none that can be asked"
        case _:
            return "the connection broke"


def certificate_fault(problem: Exception) -> tuple[str, bool]:
    """Return what is wrong with a certificate that was refused, and whether that may be this machine's clock."""
    code = problem.verify_code if isinstance(problem, ssl.SSLCertVerificationError) else 0
    return _CERTIFICATES.get(code, "is not in order"), code in _OF_THE_CLOCK


def _distrusted(problem: aiohttp.ClientConnectorCertificateError) -> str:
    fault, by_the_clock = certificate_fault(problem.certificate_error)
    remedy = "see whether this machine's clock is right" if by_the_clock else "see update-ca-certificates(8)"
    return f"the certificate of {_where(problem)} is not to be trusted: it {fault}; {remedy}"


def _unresolved(problem: aiohttp.ClientConnectorDNSError) -> str:
    if problem.errno == socket.EAI_AGAIN:
        return f"no resolver answers that knows the name {problem.host}; see: resolvectl status"
    return f"the name {problem.host} is not known to the resolver; see whether it is written right"


def _unconnected(problem: aiohttp.ClientConnectorError) -> str:
    where = _where(problem)
    forbidden = f"this machine forbids connections to {where}; see its firewall, and drop-ins of the unit"
    no_network = f"there is no way to the network of {where}; see this machine's network"
    # A host with several addresses may fail in several ways: what tells the most comes first.
    known = {
        errno.ECONNREFUSED: f"nobody listens at {where}; see whether it is running",
        errno.EPERM: forbidden,
        errno.EACCES: forbidden,
        errno.ECONNRESET: f"{where} breaks off each connection at once; a firewall may be in the way",
        errno.ETIMEDOUT: f"{where} does not answer; a firewall may be in the way",
        errno.EHOSTUNREACH: f"there is no way to {where}; see this machine's network",
        errno.ENETUNREACH: no_network,
        errno.EADDRNOTAVAIL: no_network,
    }
    # Of several addresses only the library's words have the numbers.
    numbers = {problem.errno, *map(int, _NUMBERS.findall(str(problem.os_error)))}
    return next((words for number, words in known.items() if number in numbers), f"{where} takes no connection")


def _where(problem: aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError) -> str:
    host = f"[{problem.host}]" if ":" in problem.host else problem.host
    return f"{host}:{problem.port}" if problem.port else host
