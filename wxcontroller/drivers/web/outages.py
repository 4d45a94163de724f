"""What is wrong with the line, in words for who can do something about it.

Nothing here ends a session: whatever is wrong is tried again (weixin-web-protocol 9.2).
"""

import errno
import ssl

import aiohttp

from wxcontroller.drivers.web.failures import NoAnswer

_CLOCK = "see whether this machine's clock is right (timedatectl)"
_INTERCEPTED = (
    "something in between may answer in WeChat's place: see the network and its proxies, install ca-certificates or "
    "name your own authority with the option ca_file"
)
_NAMES = "see whether this machine can resolve names (resolvectl query HOST)"
_BLOCKED = "a firewall or the network may be in the way"
# X509_V_ERR_*: what is wrong with a certificate, and what to do.
_CERTIFICATES = {
    9: ("is not valid yet", _CLOCK),
    10: ("has expired", _CLOCK),
    18: ("is signed by nobody but itself", _INTERCEPTED),
    19: ("is signed by an authority that is not known here", _INTERCEPTED),
    20: ("is signed by an authority that is not known here", _INTERCEPTED),
    21: ("is signed by an authority that is not known here", _INTERCEPTED),
    62: ("belongs to another host", _INTERCEPTED),
    64: ("belongs to another host", _INTERCEPTED),
}
_CONNECTING = {
    errno.ECONNREFUSED: ("nobody listens there", _BLOCKED),
    errno.ENETUNREACH: ("there is no way to that network", "see this machine's network"),
    errno.EHOSTUNREACH: ("there is no way to that host", "see this machine's network"),
    errno.ECONNRESET: ("the connection is reset at once", _BLOCKED),
}


def no_answer(call: str, host: str, problem: Exception) -> NoAnswer:
    """Return what to tell of an exception of the HTTP library. URLs, which it quotes, are left out."""
    # Certificate before TLS before name before connection: each is a kind of the next.
    match problem:
        case aiohttp.ConnectionTimeoutError():
            return NoAnswer(call, f"can't connect to {host}: no answer in time", remedy=_BLOCKED, unsure=False)
        case TimeoutError():
            return NoAnswer(call, "no answer in time", timed_out=True)
        case aiohttp.ClientConnectorCertificateError():
            return certificate(call, host, problem.certificate_error)
        case aiohttp.ClientConnectorSSLError():
            return NoAnswer(call, f"no TLS with {host} comes about", remedy=_INTERCEPTED, unsure=False)
        case aiohttp.ClientConnectorDNSError():
            what = f"can't connect to {host}: its name is not known to the resolver"
            return NoAnswer(call, what, remedy=_NAMES, unsure=False)
        case aiohttp.ClientConnectorError():
            known = _CONNECTING.get(problem.errno or 0)
            reason, remedy = known or (problem.strerror or type(problem).__name__, "")
            return NoAnswer(call, f"can't connect to {host}: {reason}", remedy=remedy, unsure=False)
        case aiohttp.ClientResponseError():
            return NoAnswer(call, "the answer is not HTTP", malformed=True)
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return NoAnswer(call, f"{host} broke off the connection")
        case _:
            return NoAnswer(call, f"the connection broke ({type(problem).__name__})")


def certificate(call: str, host: str, problem: Exception) -> NoAnswer:
    """Return what to tell of a certificate that was refused."""
    code = problem.verify_code if isinstance(problem, ssl.SSLCertVerificationError) else 0
    reason, remedy = _CERTIFICATES.get(code, ("is not in order", _INTERCEPTED))
    what = f"the certificate of {host} is not to be trusted: it {reason}"
    return NoAnswer(call, what, remedy=remedy, unsure=False)
