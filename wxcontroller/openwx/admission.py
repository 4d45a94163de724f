"""Admission control of one port: how many connections, requests, long polls and bytes of bodies it takes at a time.

The controller's port and the accounts' ports use the same.

- A connection beyond the limits takes the place of the one that has been idle for longest. Without an idle one it is
  refused. The limit per peer keeps one address from taking all places.
- A request beyond the limits is answered with 503 at once, which costs little; its caller may try again.
- Long polls are counted apart: they wait most of the time, and must not keep out requests that are answered at once.
- Bytes of bodies count from when they are read until their request is answered.
"""

import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from wxcontroller.core.access import call_path
from wxcontroller.core.limits import DEFAULTS
from wxcontroller.core.messages import Text

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LONG_POLLS = frozenset({"/openwx/check_event", "/openwx/consult", "/v1/events"})
_COMPLAIN_SECONDS = 60.0
_HELD = "bytes held for this request"


@dataclass(frozen=True, slots=True)
class PortLimits:
    """What a port grants its callers. Durations are in seconds."""

    idle: float  # without a request: at first, and between two
    head: float  # from the first byte of a request's head to its last
    unread: float  # in which a caller takes nothing of what it is sent
    head_bytes: int
    headers: int  # of a request
    connections: int
    per_peer: int  # connections of one address
    requests: int  # at a time, long polls aside
    long_polls: int
    bodies: int  # bytes
    line_bytes: int = DEFAULTS.request_line_bytes


class Busy(web.HTTPServiceUnavailable):
    """A request beyond the limits. ``words`` say which."""

    def __init__(self, words: Text) -> None:
        super().__init__(headers={"Retry-After": "1"})
        self.words = words


class Connection(Protocol):
    """A connection as admission control sees it. ``heard`` is when it last sent something, by the loop's clock."""

    heard: float

    @property
    def idle(self) -> bool: ...

    @property
    def quiet(self) -> bool: ...

    def force_close(self) -> None: ...


class Admission:
    """What one port has admitted. ``limits`` is asked each time, so that changed settings apply at once."""

    def __init__(self, limits: Callable[[], PortLimits]) -> None:
        self._limits = limits
        self._peers: dict[str, dict[Connection, None]] = {}
        self._connections: dict[Connection, str] = {}
        self._complained = float("-inf")
        self.requests = 0
        self.long_polls = 0
        self.held = 0

    @property
    def limits(self) -> PortLimits:
        return self._limits()

    # -- connections

    def enter(self, connection: Connection, address: object) -> bool:
        """Admit a connection, closing an idle one when there are too many. False: it must be refused."""
        limits, peer = self._limits(), peer_of(address)
        same = self._peers.get(peer, {})
        full: Iterable[Connection] | None = None
        if len(same) >= limits.per_peer:
            full = same
        elif len(self._connections) >= limits.connections:
            full = self._connections
        if full is not None and not self._close_idle(full):
            self._complain(peer, len(same))
            return False
        self._connections[connection] = peer
        self._peers.setdefault(peer, {})[connection] = None
        return True

    def leave(self, connection: Connection) -> None:
        """Forget a connection, also one that was never admitted."""
        peer = self._connections.pop(connection, None)
        if peer is None:
            return
        same = self._peers[peer]
        same.pop(connection, None)
        if not same:
            del self._peers[peer]

    def _close_idle(self, full: Iterable[Connection]) -> bool:
        idle = [connection for connection in full if connection.idle and connection.quiet]
        if not idle:
            return False
        longest = min(idle, key=lambda connection: connection.heard)
        self.leave(longest)
        longest.force_close()
        return True

    def _complain(self, peer: str, of_peer: int) -> None:
        now = time.monotonic()
        if now - self._complained > _COMPLAIN_SECONDS:
            self._complained = now
            words = "a connection of %s is refused: %d are open, %d of them from there, and all are at work"
            log.warning(words, peer or "a local socket", len(self._connections), of_peer)

    # -- requests

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Have a request handled if it is within the limits. Raises Busy."""
        limits = self._limits()
        try:
            if call_path(request.path.rstrip("/")) not in LONG_POLLS:
                if self.requests >= limits.requests:
                    raise Busy(Text("{requests} requests are at work already", requests=self.requests))
                self.requests += 1
                try:
                    return await handler(request)
                finally:
                    self.requests -= 1
            if self.long_polls >= limits.long_polls:
                raise Busy(Text("{long_polls} long polls wait already", long_polls=self.long_polls))
            self.long_polls += 1
            try:
                return await handler(request)
            finally:
                self.long_polls -= 1
        finally:
            self.held -= request.get(_HELD, 0)

    def hold(self, request: web.Request, size: int) -> None:
        """Count bytes of a body that are kept until the request is answered. Raises Busy beyond the limit."""
        if self.held + size > self._limits().bodies:
            raise Busy(Text("the bodies of other requests take all the room there is"))
        self.held += size
        request[_HELD] = request.get(_HELD, 0) + size


ADMISSION = web.AppKey("admission", Admission)


def peer_of(address: object) -> str:
    """Return what stands for a caller: its address; of IPv6 the network of 64 bits, which is one caller's."""
    host = address[0] if isinstance(address, tuple) and address else address
    if not isinstance(host, str) or not host:
        return ""
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is None:
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(getattr(ip, "ipv4_mapped", None) or ip)
