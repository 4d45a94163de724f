"""Name resolution that cannot stall anything else.

``getaddrinfo`` blocks, cannot be cancelled, and waits up to 30 s for a dead DNS server. In asyncio's default executor
a few such calls leave no thread for disk work. Each consumer (WeChat, webhooks, media URLs) therefore has
its own ``Resolver``:

- At most ``threads`` lookups run at a time; others wait for one of them, all within ``seconds``.
- Each lookup has its own thread (``ownthread``), not a pool: an idle account resolves one name an hour, and there are
  hundreds of accounts.
"""

import asyncio
import socket
from collections.abc import Sequence
from typing import TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult

from wxcontroller.core.process.ownthread import in_own_thread

# The C library asks a second server after 5 s; a lookup that takes longer has reached no server.
_SECONDS = 12.0
_AddressInfo: TypeAlias = tuple[
    socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
]


class Resolver(AbstractResolver):
    """Resolves names with ``getaddrinfo``, in a bounded number of threads and a bounded time."""

    def __init__(self, threads: int = 2, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self._turns = asyncio.Semaphore(threads)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of ``host``. Raises socket.gaierror, with EAI_AGAIN when time runs out."""
        try:
            async with asyncio.timeout(self._seconds):
                # Released by the lookup's thread: a hanging lookup keeps its slot, so that threads do not pile up.
                await self._turns.acquire()
                found = await self._look_up(host, port, family)
        except TimeoutError:
            raise socket.gaierror(socket.EAI_AGAIN, f"no DNS server answered in {self._seconds:g} s") from None
        except BlockingIOError:
            raise socket.gaierror(socket.EAI_AGAIN, "no thread to resolve names in") from None
        return [
            ResolveResult(
                hostname=host,
                host=text_of(address),
                port=int(address[1]),
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
            if kind in (socket.AF_INET, socket.AF_INET6)
        ]

    async def close(self) -> None:
        """Do nothing: a lookup that hangs is left to its thread."""

    def _look_up(
        self, host: str, port: int, family: socket.AddressFamily
    ) -> "asyncio.Future[Sequence[_AddressInfo]]":
        """Start a lookup; it occupies its place until its thread ends, even if its caller was cancelled."""

        def work() -> Sequence[_AddressInfo]:
            try:
                return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            except UnicodeError as problem:
                raise socket.gaierror(socket.EAI_NONAME, str(problem)) from None

        return in_own_thread(work, "resolver", self._turns.release)


def text_of(address: tuple[object, ...]) -> str:
    """Return an address as text, with its scope for a link-local one."""
    scope = address[3] if len(address) > 3 else 0
    return f"{address[0]}%{scope}" if scope else str(address[0])
