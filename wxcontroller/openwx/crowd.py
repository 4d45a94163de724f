"""The callers of one port: how many may be connected, how long each may take, and who has to go when it is full."""

import ipaddress
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from wxcontroller.core.limits import DEFAULTS

log = logging.getLogger(__name__)
_COMPLAIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a port grants its callers. Durations are in seconds."""

    idle: float = 75.0  # without a request: at first, and between two
    head: float = 20.0  # from the first byte of a request's head to its last
    unread: float = 60.0  # in which a caller takes nothing of what it is sent
    head_bytes: int = 64 * 1024
    headers: int = 100  # of a request
    connections: int = 4096
    per_peer: int = 2048  # connections of one address
    line_bytes: int = DEFAULTS.request_line_bytes


class Member(Protocol):
    """A connection, as the crowd sees it. ``heard`` is when it last sent something, by the loop's clock."""

    heard: float

    @property
    def idle(self) -> bool: ...

    @property
    def quiet(self) -> bool: ...

    def force_close(self) -> None: ...


class Crowd:
    """All connections of one port. ``limits`` is asked at each, so that changed settings count."""

    def __init__(self, limits: Callable[[], Limits]) -> None:
        self._limits = limits
        self._peers: dict[str, dict[Member, None]] = {}
        self._known: dict[Member, str] = {}
        self._complained = float("-inf")
        self.refused = 0

    def __len__(self) -> int:
        return len(self._known)

    @property
    def limits(self) -> Limits:
        return self._limits()

    def enter(self, member: Member, address: object) -> bool:
        """Take in a connection; one that waits for nothing is closed for it when there are too many.

        False: all others are at work, this one has to go.
        """
        limits, peer = self._limits(), peer_of(address)
        same = self._peers.get(peer, {})
        crowded: Iterable[Member] | None = None
        if len(same) >= limits.per_peer:
            crowded = same
        elif len(self._known) >= limits.connections:
            crowded = self._known
        if crowded is not None and not self._make_room(crowded):
            self._complain(peer, len(same))
            return False
        self._known[member] = peer
        self._peers.setdefault(peer, {})[member] = None
        return True

    def leave(self, member: Member) -> None:
        peer = self._known.pop(member, None)
        if peer is None:
            return
        same = self._peers[peer]
        same.pop(member, None)
        if not same:
            del self._peers[peer]

    def _make_room(self, crowded: Iterable[Member]) -> bool:
        idle = [member for member in crowded if member.idle and member.quiet]
        if not idle:
            return False
        longest = min(idle, key=lambda member: member.heard)
        self.leave(longest)
        longest.force_close()
        return True

    def _complain(self, peer: str, of_peer: int) -> None:
        self.refused += 1
        now = time.monotonic()
        if now - self._complained > _COMPLAIN_SECONDS:
            self._complained = now
            words = "a connection of %s is refused: %d are open, %d of them from there, and all are at work"
            log.warning(words, peer or "a local socket", len(self._known), of_peer)


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
