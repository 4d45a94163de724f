"""Descriptions of connection problems, for the person who can fix them.

Nothing here ends a session: every failure is retried (weixin-web-protocol 9.2).
"""

import errno
import os

import aiohttp

from wxcontroller.core.errors import reason_of
from wxcontroller.core.net.unreachable import certificate_fault, connect_errno
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.drivers.connection.failures import NoAnswer

_CLOCK = N_("check this machine's clock (timedatectl)")
_INTERCEPTED = N_(
    "another server may be answering instead of WeChat: check the network and its "
    "proxies, install ca-certificates, or set the option ca_file to your own CA"
)
_NAMES = N_("check that this machine can resolve names (resolvectl query HOST)")
_BLOCKED = N_("a firewall or the network may be in the way")
_CONNECTING = {
    0: (Text("the connection broke"), ""),
    errno.ECONNREFUSED: (Text("connection refused"), _BLOCKED),
    errno.ENETUNREACH: (Text("network unreachable"), N_("check this machine's network")),
    errno.EHOSTUNREACH: (Text("no route to host"), N_("check this machine's network")),
    errno.ECONNRESET: (Text("the connection is reset at once"), _BLOCKED),
}


def no_answer(call: str, host: str, problem: Exception) -> NoAnswer:
    """Return the text for an exception of the HTTP library, without the URLs it quotes."""
    # Certificate before TLS before name before connection: each is a kind of the next.
    match problem:
        case aiohttp.ConnectionTimeoutError():
            return NoAnswer(
                call, Text("cannot connect to {host}: no answer in time", host=host), remedy=_BLOCKED, unsure=False
            )
        case TimeoutError():
            return NoAnswer(call, Text("no answer in time"), timed_out=True)
        case aiohttp.ClientConnectorCertificateError():
            return certificate(call, host, problem.certificate_error)
        case aiohttp.ClientConnectorSSLError():
            return NoAnswer(
                call, Text("TLS handshake with {host} failed", host=host), remedy=_INTERCEPTED, unsure=False
            )
        case aiohttp.ClientConnectorDNSError():
            what = Text("cannot connect to {host}: its name is not known to the resolver", host=host)
            return NoAnswer(call, what, remedy=_NAMES, unsure=False)
        case aiohttp.ClientConnectorError():
            number = connect_errno(problem)
            reason, remedy = _CONNECTING.get(number) or (reason_of(OSError(number, os.strerror(number))), "")
            return NoAnswer(
                call,
                Text("cannot connect to {host}: {reason}", host=host, reason=reason),
                remedy=remedy,
                unsure=False,
            )
        case aiohttp.ClientResponseError():
            return NoAnswer(call, Text("the answer is not HTTP"), malformed=True)
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return NoAnswer(call, Text("connection reset by {host}", host=host))
        case _:
            return NoAnswer(call, Text("the connection broke ({error})", error=type(problem).__name__))


def certificate(call: str, host: str, problem: Exception) -> NoAnswer:
    """Return the text for a refused certificate."""
    fault, by_the_clock = certificate_fault(problem)
    what = Text("the certificate of {host} is not trusted: it {fault}", host=host, fault=fault)
    return NoAnswer(call, what, remedy=_CLOCK if by_the_clock else _INTERCEPTED, unsure=False)
