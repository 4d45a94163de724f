"""The HTTP connection to one other host: TLS, credentials, time limits and errors.

Requests are never repeated, redirects never followed, cookies never stored. A connection must be established within
two seconds; after that the time limits of the call apply.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict
from yarl import URL

from wxcontroller.core.access.rights import CALLER_HEADER
from wxcontroller.core.budget import BoundedHandler, Budget, read_whole
from wxcontroller.core.config.fleetsettings import HostSettings
from wxcontroller.core.errors import HostFailure
from wxcontroller.core.net.relay import Body, relay_session
from wxcontroller.core.net.resolver import Resolver
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.fleet.credentials import PeerCredentials, connection_reason
from wxcontroller.fleet.hop import HopCaller

CONNECT_SECONDS = 2.0


class _HostConnector(aiohttp.TCPConnector):
    """Connects to one host, and reads within its budget."""

    def __init__(self, tls: ssl.SSLContext, budget: Budget) -> None:
        super().__init__(limit=0, ssl=tls, keepalive_timeout=30, resolver=Resolver())
        # aiohttp has no public way to another protocol of its connections.
        make: Callable[[], ResponseHandler] = partial(BoundedHandler, self._loop, budget)
        self._factory = cast("partial[ResponseHandler]", make)


class HostConnection:
    """Sends requests to one host. Use as an async context manager."""

    def __init__(self, settings: HostSettings, credentials: PeerCredentials, budget: Budget) -> None:
        self._settings = settings
        self._credentials = credentials
        self._budget = budget

    async def __aenter__(self) -> "HostConnection":
        tls = self._credentials.tls
        self._session = relay_session(_HostConnector(tls, self._budget))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def open(
        self,
        target: str,
        caller: HopCaller,
        timeout: aiohttp.ClientTimeout,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: Body = None,
    ) -> aiohttp.ClientResponse:
        """Send a request for a caller; return the response once its head has arrived.

        ``target`` is path and query, encoded. ``timeout`` is without the time to connect. Raises HostFailure.
        """
        sent = CIMultiDict(headers or {})
        sent[CALLER_HEADER] = str(caller)
        if self._credentials.secret:
            sent["Authorization"] = f"Bearer {self._credentials.secret}"
        url = URL(f"{self._settings.url}{target}", encoded=True)
        limits = aiohttp.ClientTimeout(timeout.total, CONNECT_SECONDS, timeout.sock_read)
        try:
            return await self._session.request(
                method, url, headers=sent, data=body, allow_redirects=False, timeout=limits
            )
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            raise self.failure_of(problem) from None

    async def ask(
        self,
        target: str,
        caller: HopCaller,
        seconds: float,
        limit: int,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: Body = None,
    ) -> tuple[int, bytes]:
        """Return status and body of a response, b"" for a body of more than ``limit`` bytes.

        ``seconds`` is without the time to connect. Raises HostFailure.
        """
        try:
            async with asyncio.timeout(seconds + CONNECT_SECONDS):
                timeout = aiohttp.ClientTimeout()
                async with await self.open(target, caller, timeout, method, headers, body) as response:
                    content = await read_whole(response.content, self._budget, limit)
                    return response.status, b"" if len(content) > limit else content
        except (aiohttp.ClientError, OSError) as problem:
            raise self.failure_of(problem) from None

    def failure_of(self, problem: Exception) -> HostFailure:
        """Return the failure that an error of the connection is."""
        host = self._settings.name
        if isinstance(problem, aiohttp.ConnectionTimeoutError):
            why = Text(N_("no connection within {seconds} s"), seconds=f"{CONNECT_SECONDS:g}")
        elif isinstance(problem, TimeoutError):
            return HostFailure(host, Text(N_("no response in time")), timed_out=True)
        else:
            why = connection_reason(problem, self._credentials)
        return HostFailure(host, why)
