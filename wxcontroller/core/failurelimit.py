"""Rate limit for the failures of each caller, so that wrong tokens cost little and do not fill the log.

Only failures are limited. A token cannot be guessed, and a valid one is always accepted: behind a reverse proxy all
callers have one address, and one of them could lock out the others.
"""

import ipaddress
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.core.net.addresses import parse_ip

_LOG_EACH = 10.0
# Slow enough that a script with an old token costs nothing, fast enough for people who try again.
TOKEN_FAILURE_SECONDS = 3.0
# Callers with failures that are remembered. A caller with more addresses only gets more failures answered at once.
TOKEN_FAILURE_ADDRESSES = 4096


@dataclass(slots=True)
class _Peer:
    left: float
    at: float
    logged_at: float = float("-inf")
    unlogged: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """The reaction to one failure: ``retry_after`` seconds to ask for, 0 for none; ``log`` when a line is due.

    ``unlogged`` are the failures since the last line.
    """

    retry_after: int
    log: bool
    unlogged: int


class FailureLimiter:
    """A token bucket for each caller, by any key that identifies them: some failures at once, then one every few
    seconds. If there are too many callers, the latest to fail are remembered.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, token_failures: int = DEFAULTS.token_failures
    ) -> None:
        self.token_failures = token_failures
        self._clock = clock
        self._peers: dict[str, _Peer] = {}

    def failed(self, key: str) -> Failure:
        """Count a failure of a caller."""
        now = self._clock()
        peer = self._peers.pop(key, None) or _Peer(self.token_failures, now)
        self._peers[key] = peer  # the newest is last
        while len(self._peers) > TOKEN_FAILURE_ADDRESSES:
            del self._peers[next(iter(self._peers))]
        peer.left = min(self.token_failures, peer.left + (now - peer.at) / TOKEN_FAILURE_SECONDS)
        peer.at = now
        wait = 0
        if peer.left >= 1:
            peer.left -= 1
        else:
            wait = math.ceil((1 - peer.left) * TOKEN_FAILURE_SECONDS)
        if now - peer.logged_at < _LOG_EACH:
            peer.unlogged += 1
            return Failure(wait, False, peer.unlogged)
        unlogged, peer.unlogged, peer.logged_at = peer.unlogged, 0, now
        return Failure(wait, True, unlogged)


def caller_of(address: str | None) -> str:
    """Return the key of a caller's address: an IPv6 /64 network shares one, and so do all callers without one."""
    ip = parse_ip(address or "")
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return "" if ip is None else str(ip)
