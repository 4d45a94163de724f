"""What is wrong with the line, in words for who can do something about it.

Nothing here ends a session: whatever is wrong is tried again (weixin-web-protocol 9.2).
"""

import errno

import aiohttp

from wxcontroller.core.unreached import certificate_fault
from wxcontroller.drivers.line.failures import NoAnswer

_CLOCK = "see whether this machine's clock is right (timedatectl)"
_INTERCEPTED = (
    "something in between may answer in WeChat's place: see the network and its proxies, install ca-certificates or "
    "name your own authority with the option ca_file"
)
_NAMES = "see whether this machine can resolve names (resolvectl query HOST)"
_BLOCKED = "a firewall or the network may be in the way"
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
    fault, by_the_clock = certificate_fault(problem)
    what = f"the certificate of {host} is not to be trusted: it {fault}"
    return NoAnswer(call, what, remedy=_CLOCK if by_the_clock else _INTERCEPTED, unsure=False)
