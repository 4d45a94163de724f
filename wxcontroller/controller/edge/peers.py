"""The peer of a request: the other end of its connection or, behind a reverse proxy, the address it names.

``X-Forwarded-For`` is a list to which each proxy appends the address it was called from. Callers can send the header,
too, so only what trusted proxies have appended is true: from the end of the list, the first address that is not a
trusted proxy's own is the peer.
"""

from collections.abc import Iterable

from aiohttp import web

from wxcontroller.controller.context import context
from wxcontroller.core.net.addresses import Network, is_within, parse_ip

_PEER = "peer"


def address_of(request: web.Request) -> object:
    """Return the address of a request's peer, in the form that sockets have."""
    if _PEER not in request:
        transport = request.transport
        other_end = transport.get_extra_info("peername") if transport is not None else None
        trusted = context(request).settings.trusted_proxies
        named = request.headers.getall("X-Forwarded-For", ())
        request[_PEER] = forwarded(named, trusted, other_end) if trusted else other_end
    return request[_PEER]


def forwarded(named: Iterable[str], trusted: Iterable[Network], address: object) -> object:
    """Follow the header's values from the end, as far as trusted proxies have written them."""
    hops = [hop.strip() for line in named for hop in line.split(",")]
    while hops and is_within(address, trusted):
        ip = parse_ip(hops.pop().strip("[]"))
        if ip is None:  # not written by a proxy that does this right
            break
        address = (str(ip), 0)
    return address
