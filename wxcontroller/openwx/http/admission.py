"""Admission control of one port: how many connections, requests, long polls, streams and bytes of bodies it takes.

The controller's port and the accounts' ports use the same.

- A connection beyond the limits takes the place of those that wait: for their callers' next request, for the rest
  of one, or for an answer to be read. The address with most of these loses its oldest ones. A connection that waits
  for us keeps its place; if all do, the new one is refused. The limit per peer keeps one address from taking all
  places.
- A request beyond the limits is answered with 503 at once, which costs little; its caller may try again.
- Long polls and streams are counted apart: they wait most of the time, and must not keep out requests that are
  answered at once.
- Bytes of bodies count from when they are read until their request is answered.

No caller can take everything. Each request has a *claim*, made from its head before anything else is read. It names
the holders that the request counts for, which are its token and its peer, and how large a share each may hold.
Callers without a valid token have a small share together: a token in a form is seen only once the body is here, which
may take a caller as long as it likes. The last part is a reserve for callers that must get in, above all to end
trouble. Claims are made by the port's ``claim`` function; this module knows no tokens.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Protocol, cast

from aiohttp import web
from aiohttp.typedefs import Middleware

from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.core.failurelimit import caller_of
from wxcontroller.core.net.addresses import Network, is_loopback, is_within
from wxcontroller.core.process.summaries import cause
from wxcontroller.core.text.templates import N_, Text

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
# The parts of a limit, as divisors. Half for one token or address: a busy one is not slowed down on an idle machine,
# and leaves half for all others.
SHARE = 2
# The last eighth is reserved for administrators.
RESERVE = 8
# Without a valid token in the head: a sixteenth together, and half of that for one address.
UNKNOWN_SHARE = 16
UNKNOWN_PEER_SHARE = 32
# Time limit of a form that may contain a token: a megabyte at a megabit per second.
UNKNOWN_BODY_SECONDS = 10.0
_PLACE = "place of this request"
# The part of one address's waiting connections that is dropped at once: a search for each new connection would
# itself be a load.
_DROPPED_PART = 32
# Bytes of answers that the callers at one address have not read: in the kernel, and waiting for it.
PEER_UNREAD_BYTES = 32 << 20
# After connections were closed, for their requests to end.
_ROOM_SECONDS = 0.02
# Between two lines in the journal about dropped connections.
_DROPPED_SECONDS = 60.0


class Resource(Enum):
    """Counted resources, with the message for a refused caller."""

    __hash__ = object.__hash__  # by identity: the library's is slow

    REQUESTS = N_("{count} requests are in progress")
    LONG_POLLS = N_("{count} long polls are waiting")
    READERS = N_("{count} readers of events and journals are connected")
    WATCHERS = N_("{count} readers watch the accounts")
    BODIES = N_("the memory for request bodies is in use")


@dataclass(frozen=True, slots=True)
class PortLimits:
    """The limits of a port. Durations are in seconds."""

    idle: float  # without a request: at first, and between two
    head: float  # from the first byte of a request's head to its last
    unread: float  # without progress of a caller that reads its response
    head_bytes: int
    headers: int  # of a request
    connections: int
    per_peer: int  # connections of one address
    requests: int  # at a time, long polls and streams aside
    long_polls: int
    bodies: int  # bytes
    readers: int = 0  # streams of events and journals
    watchers: int = 0  # streams of accounts
    line_bytes: int = DEFAULTS.request_line_bytes
    proxies: tuple[Network, ...] = ()  # which name the peers that they call for

    def of(self, resource: Resource) -> int:
        """Return the limit that has a resource's name."""
        limit: int = getattr(self, resource.name.lower())
        return limit


class Busy(web.HTTPServiceUnavailable):
    """A request beyond the limits. ``words`` name the limit; ``is_reader``: it requests a stream."""

    def __init__(self, words: Text, resource: "Resource") -> None:
        super().__init__(headers={"Retry-After": "1"})
        self.words = words
        self.is_full = False  # the limit, not a share of it
        self.is_reader = resource in (Resource.READERS, Resource.WATCHERS)


@dataclass(frozen=True, slots=True)
class Holder:
    """A holder of shares: a distinct name, its part of each limit, and words for it."""

    name: str
    part: int
    words: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The shares that a request may use: those of its holders and, if ``reserve``, also the last part of a limit.

    An ``unlimited`` one is counted, and never refused.
    """

    holders: tuple[Holder, ...] = ()
    reserve: bool = False
    unlimited: bool = False


EVERYTHING = Claim(reserve=True)
UNLIMITED = Claim(reserve=True, unlimited=True)


@lru_cache(maxsize=1024)
def claim_of_admitted(token: str, peer: str, reserve: bool) -> Claim:
    """Return the claim of an authorized caller: by a token, "" for none, from a peer, "" for any."""
    holders = []
    if token:
        holders.append(Holder(f"token {token}", SHARE, N_("this token")))
    if peer:
        holders.append(Holder(f"peer {peer}", SHARE, N_("this address")))
    return Claim(tuple(holders), reserve)


def claim_of_unknown(peer: str) -> Claim:
    """Return the claim of a caller whose head shows no valid token, from a peer, "" for any."""
    words = N_("callers without a valid token in a header or the query")
    holders = [Holder("unknown", UNKNOWN_SHARE, words)]
    if peer:
        holders.append(Holder(f"unknown {peer}", UNKNOWN_PEER_SHARE, words))
    return Claim(tuple(holders))


class _Pool:
    """The use of one limit."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.taken = 0
        self._of: Counter[str] = Counter()

    def take(self, claim: Claim, limit: int, amount: int = 1) -> None:
        """Raises Busy if the claim does not allow it."""
        if not claim.unlimited and self.taken + amount > (limit if claim.reserve else limit - limit // RESERVE):
            busy = Busy(Text(self.resource.value, count=self.taken), self.resource)
            busy.is_full = True
            raise busy
        for holder in claim.holders:
            # At least one: with a small limit, a share would otherwise be nothing.
            if self._of[holder.name] + amount > max(1, limit // holder.part):
                what = Text(self.resource.value, count=self._of[holder.name])
                share = Text(N_("{what}, the share of {whom}"), what=what, whom=Text(holder.words))
                raise Busy(share, self.resource)
        self.taken += amount
        for holder in claim.holders:
            self._of[holder.name] += amount

    def give_back(self, claim: Claim, amount: int = 1) -> None:
        self.taken -= amount
        for holder in claim.holders:
            self._of[holder.name] -= amount
            if not self._of[holder.name]:
                del self._of[holder.name]


class AdmissionSlot:
    """The shares that one request holds, as a context."""

    def __init__(
        self, pools: dict[Resource, _Pool], limits: Callable[[], PortLimits], resource: Resource, claim: Claim
    ) -> None:
        self._pools = pools
        self._limits = limits
        self._resource = resource
        self._claim = claim
        self._taken: dict[Resource, int] = {}

    def __enter__(self) -> None:
        self.take(self._resource, 1)

    def __exit__(self, *_: object) -> None:
        for resource, amount in self._taken.items():
            self._pools[resource].give_back(self._claim, amount)
        self._taken.clear()

    def take(self, resource: Resource, amount: int) -> None:
        """Raises Busy."""
        self._pools[resource].take(self._claim, self._limits().of(resource), amount)
        self._taken[resource] = self._taken.get(resource, 0) + amount

    def change(self, claim: Claim) -> None:
        """Count for other holders from now on. Raises Busy; then it no longer counts for any."""
        # Released first: a recognized caller must not count twice, as unknown and by its token.
        taken = dict(self._taken)
        self.__exit__()
        self._claim = claim
        for resource, amount in taken.items():
            self.take(resource, amount)


class CallerConnection(Protocol):
    """A connection as admission control sees it. ``heard`` is when it last sent something, by the loop's clock."""

    heard: float

    @property
    def idle(self) -> bool: ...

    @property
    def waits(self) -> bool:
        """Whether it waits for its caller."""

    @property
    def quiet(self) -> bool: ...

    def force_close(self) -> None: ...

    def abort(self) -> None: ...

    @property
    def unread(self) -> int:
        """The bytes of answers that its caller has not read."""


class Dropped:
    """Counts connections that made room for others, by the reason, and logs their number once a minute."""

    def __init__(self) -> None:
        self.total: Counter[str] = Counter()
        self._logged: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def note(self, why: str, number: int = 1) -> None:
        self.total[why] += number
        if self._timer is None:
            self._log()

    def _log(self) -> None:
        new, self._logged, self._timer = self.total - self._logged, self.total.copy(), None
        if new:
            words = ", ".join(f"{why} {number}" for why, number in sorted(new.items()))
            log.warning("connections dropped to make room for others: %s; see limits.md", words)
            self._timer = asyncio.get_running_loop().call_later(_DROPPED_SECONDS, self._log)


class Admission:
    """The admissions of one port. ``limits`` is called each time, so that changed settings apply at once."""

    def __init__(self, limits: Callable[[], PortLimits]) -> None:
        self._limits = limits
        self._peers: dict[str, dict[CallerConnection, None]] = {}
        self._connections: dict[CallerConnection, str] = {}
        self._pools = {resource: _Pool(resource) for resource in Resource}
        self._unread: dict[str, dict[CallerConnection, int]] = {}
        self.dropped = Dropped()

    @property
    def limits(self) -> PortLimits:
        return self._limits()

    def taken(self, resource: Resource) -> int:
        """Return how much is taken at the moment."""
        return self._pools[resource].taken

    # -- connections

    def enter(self, connection: CallerConnection, address: object) -> bool:
        """Admit a connection, closing ones that wait when there are too many. False: it must be refused."""
        limits, peer = self._limits(), peer_of(address)
        same, local = self._peers.get(peer, {}), self._peers.get("", {})
        full: Iterable[CallerConnection] | None = None
        limit = limits.connections
        if limits.proxies or not is_loopback(address):
            limit -= limit // RESERVE
        # A reverse proxy has the connections of all its callers.
        if len(same) >= limits.per_peer and not is_within(address, limits.proxies):
            full = same
        # Local sockets have places of their own: those who can open them are not kept out by others.
        elif peer and len(self._connections) - len(local) >= limit:
            full = [each for each in self._connections if each not in local]
        if full is not None and not self._close_waiting(full):
            self.dropped.note("refused")
            words = "connection from %s refused: %d are open, %d of them from there, and all are at work"
            where = peer or "a local socket"
            log.warning(words, where, len(self._connections), len(same), extra=cause("too many connections"))
            return False
        self._connections[connection] = peer
        self._peers.setdefault(peer, {})[connection] = None
        return True

    def leave(self, connection: CallerConnection) -> None:
        """Forget a connection, also one that was never admitted."""
        peer = self._connections.pop(connection, None)
        if peer is None:
            return
        same = self._peers[peer]
        same.pop(connection, None)
        if not same:
            del self._peers[peer]
        unread = self._unread.get(peer, {})
        unread.pop(connection, None)
        if not unread:
            self._unread.pop(peer, None)

    def note_unread(self, connection: CallerConnection) -> None:
        """Count a large answer until it is read; abort the oldest unread ones of an address that has too much."""
        peer = self._connections.get(connection)
        # A reverse proxy reads for all of its callers, and so does the controller at an account's socket.
        if not peer or is_within((peer,), self._limits().proxies):
            return
        same = self._unread.setdefault(peer, {})
        same[connection] = connection.unread
        if sum(same.values()) <= PEER_UNREAD_BYTES:
            return
        # Most may have been read since.
        same = self._unread[peer] = {each: unread for each in same if (unread := each.unread)}
        total = sum(same.values())
        for each, unread in list(same.items()):
            # With a margin: each look costs a system call for each of them.
            if total <= PEER_UNREAD_BYTES // 2:
                break
            total -= unread
            self.leave(each)
            each.abort()
            self.dropped.note("unread")

    def _close_waiting(self, full: Iterable[CallerConnection]) -> bool:
        """Close the oldest waiting connections of the address with most of them; return whether there were any."""
        waiting: dict[str, list[CallerConnection]] = {}
        for connection in full:
            if connection.waits:
                waiting.setdefault(self._connections[connection], []).append(connection)
        if not waiting:
            return False
        most = max(waiting.values(), key=len)
        oldest = sorted(most, key=lambda connection: connection.heard)
        closed = 0
        for connection in oldest:
            # ``quiet``: a request may have arrived that the event loop has not read yet.
            if closed < 1 + len(most) // _DROPPED_PART and connection.quiet:
                # At once, not when the loop reports its end: the new one takes this place.
                self.leave(connection)
                (connection.abort if connection.unread else connection.force_close)()
                closed += 1
        self.dropped.note("waiting", closed)
        return closed > 0

    # -- requests

    def place(self, resource: Resource, claim: Claim) -> AdmissionSlot:
        """Return the context manager that admits a request; entering it raises Busy."""
        return AdmissionSlot(self._pools, self._limits, resource, claim)

    async def admit(self, place: AdmissionSlot, own: CallerConnection) -> None:
        """Enter a place for the request of a connection. Raises Busy."""
        try:
            place.__enter__()
        except Busy as busy:
            # Requests whose callers do not send the rest make room for another one.
            unfinished = [each for each in self._connections if not each.idle and each is not own]
            if not busy.is_full or not self._close_waiting(unfinished):
                raise
            await asyncio.sleep(_ROOM_SECONDS)
            place.__enter__()

    def middleware(
        self, claim_of: Callable[[web.Request], Claim], resource_of: Callable[[web.Request], Resource]
    ) -> Middleware:
        """Return a middleware that handles requests within the limits. It raises Busy.

        ``claim_of`` returns what a request may take, by its head, and ``resource_of`` what it counts as.
        """

        @web.middleware
        async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
            place = request[_PLACE] = self.place(resource_of(request), claim_of(request))
            await self.admit(place, cast(CallerConnection, request.protocol))
            try:
                return await handler(request)
            finally:
                place.__exit__()

        return admit

    def hold(self, request: web.Request, size: int) -> None:
        """Count bytes of a body until the request is answered. Raises Busy beyond the limit."""
        place: AdmissionSlot = request[_PLACE]
        place.take(Resource.BODIES, size)

    def recognize(self, request: web.Request, claim: Claim) -> None:
        """Count a request for its caller, who is now known from the body. Raises Busy."""
        place: AdmissionSlot = request[_PLACE]
        place.change(claim)


ADMISSION = web.AppKey("admission", Admission)


def peer_of(address: object) -> str:
    """Return the key of a caller: its address; for IPv6 the network of 64 bits, which belongs to one caller."""
    host = address[0] if isinstance(address, tuple) and address else address
    return caller_of(host) or host if isinstance(host, str) else ""
