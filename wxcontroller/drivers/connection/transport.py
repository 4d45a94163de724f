"""The connection to WeChat: one pool of connections per account, its cookies, and answers of bounded size.

With a ``server`` every logical host is reached at that server's address: scheme and port are the server's, the host
name in URL, Host header and TLS stays WeChat's. With a ``proxy`` everything is reached through it; with both, the
proxy gets the server's address.
"""

import asyncio
import logging
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self
from urllib.parse import quote, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from wxcontroller.core.net.egress import ProxyKind, parse_proxy
from wxcontroller.core.net.httpbody import HttpBody, Outgoing
from wxcontroller.core.net.httprequests import HttpAnswer, HttpRequests, requests_over
from wxcontroller.core.net.mediatype import media_type
from wxcontroller.core.net.resolver import Resolver
from wxcontroller.core.net.trustedservers import client_context
from wxcontroller.core.process.watchdog import Deadlines
from wxcontroller.core.text.templates import Text
from wxcontroller.drivers.base import DriverContext
from wxcontroller.drivers.connection.failures import Fenced, NoAnswer, TooLong, TunnelFailed, UnreadableResponse
from wxcontroller.drivers.connection.outages import no_answer
from wxcontroller.drivers.connection.timing import LineTiming

if TYPE_CHECKING:
    from wxcontroller.drivers.connection.fence import Fence

log = logging.getLogger(__name__)
# The desktop client's (1.3).
AGENT = (
    "Mozilla/5.0 (Linux; U; UOS x86_64; zh-cn) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/91.0.4472.124 Safari/537.36 UOSBrowser/6.0.1.1001"
)


class CookieJar(Protocol):
    """Cookies of the session, by host and path."""

    def header(self, host: str, path: str, secure: bool) -> str:
        """Return the Cookie header of a request, "" for none."""
        ...

    def take(self, host: str, cookies: Sequence[str], date: str) -> None:
        """Take over the Set-Cookie headers of an answer and its Date."""
        ...


@dataclass(frozen=True, slots=True)
class LineRequest:
    """One request. ``call`` names it in errors and logs, where its URL never appears."""

    call: str
    host: str
    path: str
    query: str = field(default="", repr=False)  # encoded already
    method: str = "GET"
    body: bytes | HttpBody = field(default=b"", repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 30.0
    limit: int = 1 << 20  # bytes of the answer
    patient: bool = False  # the server may be silent for as long as the timeout is


@dataclass(frozen=True, slots=True)
class LineResponse:
    """A response, undecoded."""

    call: str
    status: int
    body: bytes = field(repr=False)
    location: str = field(default="", repr=False)  # where a redirect leads
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """The number of bytes passed on, and the server's type for them, in lower case. ``start`` and ``total`` describe
    a partial answer (206): its offset, and the size of the whole, 0 if not given.
    """

    size: int
    mime: str
    start: int = 0
    total: int = 0


def transport_of(context: DriverContext, timing: LineTiming, jar: CookieJar | None = None) -> "Transport":
    """Return the transport that an account's options describe. Raises BadOption."""
    return Transport(
        jar,
        timing,
        server=context.text("server"),
        ca_file=context.text("ca_file"),
        agent=context.text("http_agent"),
        verbose=context.flag("http_debug"),
        proxy=context.text("proxy"),
        deadlines=context.deadlines,
        account=context.account,
        fence=context.fence,
    )


class Transport:
    """Carries requests. An async context manager; requests outside of it fail as NoAnswer."""

    def __init__(
        self,
        jar: CookieJar | None,
        timing: LineTiming,
        server: str = "",
        ca_file: str = "",
        agent: str = "",
        verbose: bool = False,
        proxy: str = "",
        deadlines: Deadlines | None = None,
        account: str = "",
        fence: "Fence | None" = None,
    ) -> None:
        """Raises BadOption for a CA file that cannot be read.

        ``verbose``: log each request, without secrets. ``account`` is the account's name, for a sandbox that shows
        codes of several; WeChat never sees it.
        """
        parts = urlsplit(server)
        self._server = parts.hostname or ""
        self._scheme = parts.scheme if self._server else "https"
        self._port = parts.port if self._server else None
        self._proxy = parse_proxy(proxy) if proxy else None
        to_proxy = self._proxy is not None and self._proxy.kind is ProxyKind.HTTPS
        self._tls = client_context(ca_file) if self._scheme == "https" or to_proxy else None
        self._jar = jar
        self._timing = timing
        self._deadlines = deadlines or Deadlines()
        self._agent = agent or AGENT
        self._level = logging.INFO if verbose else logging.DEBUG
        self._account_header = {"X-Wx-Account": quote(account)} if account and self._server else {}
        self._fence = fence
        self._requests: HttpRequests | None = None

    async def __aenter__(self) -> Self:
        connector = self._connector()
        if self._fence is not None:
            self._fence.guard(connector)
        headers = {"User-Agent": self._agent, **self._account_header}
        timeout = aiohttp.ClientTimeout(sock_connect=self._timing.connect)
        self._requests = requests_over(connector, headers, timeout)
        return self

    def _connector(self) -> aiohttp.TCPConnector:
        limit, keepalive = 16, 20.0
        if self._proxy is not None:
            from wxcontroller.drivers.connection.tunnels import (
                Tunnels,  # few have one, and memory is multiplied by hundreds
            )

            return Tunnels(self._proxy, server=self._server, tls=self._tls, limit=limit, keepalive_timeout=keepalive)
        return aiohttp.TCPConnector(
            resolver=_FixedResolver(self._server) if self._server else Resolver(),
            ssl=self._tls if self._tls is not None else True,
            limit=limit,
            keepalive_timeout=keepalive,
        )

    async def __aexit__(self, *_: object) -> None:
        requests, self._requests = self._requests, None
        if requests is not None:
            await requests.close()

    async def send(self, request: LineRequest) -> LineResponse:
        """Send one request. Raises NoAnswer, and TooLong for an answer above ``limit``."""
        body = bytearray()
        # One that is not shorter than the whole request needs no timer of its own.
        silence = None if request.patient or self._timing.silence >= request.timeout else self._timing.silence
        async with self._exchange(request, total=request.timeout, silence=silence) as response:
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > request.limit:
                    raise TooLong(request.call, request.limit)
            log.log(self._level, "%s: HTTP %d, %d bytes", request.call, response.status, len(body))
            location = response.headers.get("Location", "")
            return LineResponse(request.call, response.status, bytes(body), location, response.headers)

    async def fetch(
        self,
        request: LineRequest,
        take: Callable[[bytes], object],
        begin: Callable[[ReceivedFile], object] = lambda _: None,
    ) -> ReceivedFile:
        """Send one request and pass the content of its answer to ``take`` in pieces, in a thread.

        ``begin`` gets the answer's headers before the first piece (size: as announced, 0 when it is not). The
        request's timeout applies to silence, not to the whole answer. Raises NoAnswer, and UnreadableResponse for an
        answer above ``limit`` (TooLong) or with an error status; an OSError of ``take`` and exceptions of ``begin``
        are passed on unchanged.
        """
        size = 0
        async with self._exchange(request, self._timing.transfer, silence=request.timeout) as response:
            if response.status not in (200, 206):
                raise UnreadableResponse(request.call, Text("HTTP status {status}", status=response.status))
            length = int(response.headers.get("Content-Length", 0))  # a number: the parser has checked it
            if length > request.limit:
                raise TooLong(request.call, request.limit)
            mime = media_type(response.headers.get("Content-Type", ""))
            start, total = 0, 0
            if response.status == 206:
                start, total = part(request, response.headers.get("Content-Range", ""))
            packed = "Content-Encoding" in response.headers  # the length is then that of the compressed content
            begin(ReceivedFile(0 if packed else length, mime, start, total))
            async for piece in response.content.iter_any():
                size += len(piece)
                if size > request.limit:
                    raise TooLong(request.call, request.limit)
                try:
                    await asyncio.to_thread(take, piece)  # a busy disk blocks writers
                except OSError as problem:
                    raise _SinkFailed(problem) from problem
            log.log(self._level, "%s: HTTP %d, %d bytes", request.call, response.status, size)
            return ReceivedFile(size, mime, start, total)

    @asynccontextmanager
    async def _exchange(
        self, request: LineRequest, total: float, silence: float | None = None
    ) -> AsyncIterator[HttpAnswer]:
        requests = self._requests
        if requests is None:
            raise NoAnswer(request.call, Text("not connected"), unsure=False)
        headers = request.headers
        # WeChat's values must go back exactly as they came.
        if self._jar is not None and (
            cookies := self._jar.header(request.host, request.path, self._scheme == "https")
        ):
            headers = {**headers, "Cookie": cookies}
        authority = request.host if self._port is None else f"{request.host}:{self._port}"
        target = f"{request.path}?{request.query}" if request.query else request.path
        body = Outgoing(request.body) if isinstance(request.body, bytes) else request.body
        # Errors of the library carry the URL: they are neither chained nor quoted.
        try:
            # Checked at each request: a reused connection may have been opened under an expired permit.
            if self._fence is not None:
                self._fence.check()
            with self._deadlines.within(total + self._timing.overtime, request.call):
                # Not aiohttp's limit: a cancellation in the moment in which that ends is lost, and with it a stop.
                async with (
                    asyncio.timeout(total),
                    # A redirect names another host, and the cookies and tokens of this one must not follow it.
                    await requests.send(
                        request.method,
                        URL(f"{self._scheme}://{authority}"),
                        target,
                        headers,
                        None if request.method == "GET" else body,
                        silence,
                    ) as response,
                ):
                    if self._jar is not None:
                        dated = response.headers.get("Date", "")
                        self._jar.take(request.host, response.headers.getall("Set-Cookie", ()), dated)
                    yield response
                    return
        except _SinkFailed as taker:
            raise taker.problem from None
        except Fenced:
            failure = NoAnswer(request.call, Text("this host may no longer run the account"), unsure=False)
        except TunnelFailed as problem:
            failure = NoAnswer(request.call, problem.what, remedy=problem.remedy, unsure=False)
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            failure = no_answer(request.call, request.host, problem)
        log.log(self._level, "%s", failure.message)
        raise failure


def part(request: LineRequest, content_range: str) -> tuple[int, int]:
    """Return where a part begins and the size of the whole, 0 if not stated. Raises UnreadableResponse."""
    match = re.fullmatch(r"bytes (\d{1,15})-\d{1,15}/(\d{1,15}|\*)", content_range.strip())
    if match is None and request.headers.get("Range") == "bytes=0-":
        return 0, 0  # the whole file was requested
    if match is None:
        raise UnreadableResponse(request.call, Text("the answer does not say which part of the content it is"))
    return int(match[1]), int(match[2]) if match[2] != "*" else 0


class _SinkFailed(Exception):
    """The receiver of the content failed, not the connection."""

    def __init__(self, problem: OSError) -> None:
        super().__init__()
        self.problem = problem


class _FixedResolver(AbstractResolver):
    """Resolves every name to one server's address."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._names = Resolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._names.resolve(self._server, port, socket.AF_UNSPEC)
        return [ResolveResult(**{**result, "hostname": host}) for result in found]

    async def close(self) -> None:
        await self._names.close()
