"""Fail-safe mode: accounts of a host keep running without etcd while all other hosts confirm it. Off by default.

The keeper of host A asks, and the controllers of the others answer (``fleet/promises.py``).

- The key ``failsafe/A`` lists the hosts that A asks, and is under no lease. The keeper writes it in the transaction
  that creates ``hosts/A``, so that the list stays the same while A has a lease L.
- When no member of etcd answers a renewal, the keeper asks all of these hosts. If each confirms within the time of a
  request to etcd, that counts as a renewal that was sent when they were asked. If one does not, the keeper asks once
  more, and tries etcd again; after 15 s without success the watchdog ends it, as without this mode.
- Host B confirms if ``hosts/A`` has lease L where B has seen it last, or if B's last promise to A is for L and
  holds. Before it answers, it promises: for the life of a lease it claims no account of A while ``hosts/A`` is gone.
  The promise is on the boot-time clock and in a file in /run. Without the file, as after a boot, B claims none of
  any host.
- When B claims an account that A had last, ``hosts/A`` and ``failsafe/A`` are guarded: both are as B has seen them.
  If ``hosts/A`` is gone and there is a list, B must be in the list, and no promise to A may hold.
- After etcd was restored, B claims nothing while any of its promises holds.

Two hosts never run one account. Suppose that B asks etcd at the time s for account X, which A had last, that etcd
does it at e, and that A has not given up X, which it does only when X is dead.

1. The owner's key of X is under L, and at e there is none: L has ended. A has not claimed X again since B has read
   its record, which is guarded. So ``hosts/A`` with L was gone where B saw it at s. (With another lease A has ended
   what ran under L.)
2. A runs X for at most 25 s after its last renewal or round of questions was sent. L ends 30 s after the last
   renewal, so only rounds matter. B is in the list: it has confirmed each of them, at a time p after the round has
   begun.
3. If p is before s, the promise was over at s: that is 30 s after p, and A has been silent for 5 s.
4. If p is after s, B refuses: at s it had no promise for L, and L does not come back. A controller that was started
   since then has read etcd after s, or not at all, and refuses, too.

So A stops where it could run on, if a host is off, starts for too long, or has lost its promise. Whether the others
reach etcd does not matter, as a promise replaces the lease. When A reaches etcd again and its lease is still valid,
as after a loss of the quorum, all goes on. If not, the accounts stop, and start under another lease.

The list also has the id of the machine. Another machine with the name of this host gets no lease: all of this would
not apply to it.
"""

import asyncio
import contextlib
import json
from dataclasses import dataclass
from types import TracebackType

from wxcontroller.core.access import Scope
from wxcontroller.core.budget import Budget
from wxcontroller.core.errors import HostFailure
from wxcontroller.core.fleetsettings import FleetSettings
from wxcontroller.core.jsontypes import JsonObject, field, obj, one_line, read_json
from wxcontroller.core.messages import N_, Text
from wxcontroller.fleet.connection import HostConnection
from wxcontroller.fleet.credentials import credentials_of
from wxcontroller.fleet.hop import HopCaller

_PATH = "/v1/fleet/failsafe"
_ANSWER_BYTES = 64 << 10
LEASE_ENDED = "lease-ended"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The answer of a host. ``reason`` is why it does not confirm, "" if it does.

    ``ended``: it has seen the end of the lease. ``has_etcd``: it reaches etcd.
    """

    host: str
    reason: str
    ended: bool = False
    has_etcd: bool = False


class FailsafeHosts:
    """The other hosts of the settings, as the keeper asks them. Use as an async context manager.

    ``seconds`` is the time for an answer, and ``lease_seconds`` the life of a lease.
    """

    def __init__(self, fleet: FleetSettings, seconds: float, lease_seconds: int) -> None:
        """Raises BadSettings for credentials that cannot be used."""
        self._connections = {
            host.name: HostConnection(host, credentials_of(host), Budget()) for host in fleet.hosts if host.url
        }
        self._caller = HopCaller(fleet.name, Scope.FLEET, None, "the keeper")
        self._seconds = seconds
        self._lease_seconds = lease_seconds

    async def __aenter__(self) -> "FailsafeHosts":
        async with contextlib.AsyncExitStack() as stack:
            for connection in self._connections.values():
                await stack.enter_async_context(connection)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def names(self) -> list[str]:
        return sorted(self._connections)

    async def ask(self, lease: int) -> list[Confirmation]:
        """Ask all hosts at once whether this one's accounts may run on without etcd. Raises nothing."""
        content: JsonObject = {"lease": lease, "seconds": self._lease_seconds}
        return await asyncio.gather(*(self._ask(name, json.dumps(content).encode()) for name in self.names))

    async def _ask(self, name: str, body: bytes) -> Confirmation:
        headers = {"Content-Type": "application/json"}
        try:
            async with asyncio.timeout(self._seconds):
                status, raw = await self._connections[name].ask(
                    _PATH, self._caller, self._seconds, _ANSWER_BYTES, "POST", headers, body
                )
        except HostFailure as problem:
            return Confirmation(name, str(problem.reason))
        except TimeoutError:
            return Confirmation(name, str(Text(N_("no response in time"))))
        return confirmation(name, status, raw)


def confirmation(host: str, status: int, raw: bytes) -> Confirmation:
    """Return the meaning of a host's response."""
    try:
        content = obj(read_json(raw))
    except ValueError:
        content = {}
    if status == 200 and content.get("name") == host and content.get("confirmed") is True:
        return Confirmation(host, "", has_etcd=content.get("etcd") is True)
    error = content.get("error")
    words = one_line(field(error, "message"))[:300] or f"HTTP status {status}"
    if status == 200:
        name = one_line(content.get("name"))[:40]
        words = str(Text(N_("its name is {name}; use this name in [fleet.hosts]"), name=name))
    return Confirmation(host, words, ended=field(error, "code") == LEASE_ENDED)
