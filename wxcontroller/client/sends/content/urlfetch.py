"""Fetching media by URL for a caller or a webhook, without giving access to the private network. Addresses are
checked when the connection is made, so a DNS answer that changes in between has no effect; each redirect is a new
request and is checked again. Before the request is sent, the peer address of the connection is checked, too.
"""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.core.errors import WxError
from wxcontroller.core.net.mediatype import media_type
from wxcontroller.core.net.resolver import Resolver
from wxcontroller.core.net.unreachable import unreached
from wxcontroller.core.net.urls import url_of
from wxcontroller.core.text.templates import N_
from wxcontroller.drivers.base import Sink

# curl and browsers follow more, but a file is rarely behind more than one.
MEDIA_URL_REDIRECTS = 5
# Includes name resolution. A running server is reached within a second; another one occupies a slot.
CONNECT_SECONDS = 10.0
_PIECE = 64 * 1024
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Some versions of the library call these global; they must not be fetched all the same.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(each)
    for each in (
        "192.88.99.0/24",  # relays of 6to4
        "168.63.129.16/32",  # Azure's platform, as seen from inside
        "64:ff9b:1::/48",  # NAT64 of the local network
        "fec0::/10",  # site-local, deprecated
        "3fff::/20",  # for documentation
    )
)


class BadSource(WxError):
    """Media cannot be fetched from their URL. ``message`` says why, without credentials."""


@dataclass(frozen=True, slots=True)
class Source:
    """A fetched file: the type as the server named it, and the name by header or URL ("" for none)."""

    mime: str
    name: str


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public Internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        # An IPv6 address that contains an IPv4 address leads there: 64:ff9b::7f00:1 is 127.0.0.1 behind a NAT64.
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            ip = inner
    return (
        ip.is_global
        and not ip.is_multicast
        and not ip.is_reserved
        and not any(ip in network for network in _NOT_PUBLIC if network.version == ip.version)
    )


def may_be_asked(address: str) -> bool:
    """Whether an IP address is a public one of another machine.

    Services on this machine's public address may be hidden from others by a firewall, but not from this process.
    """
    if not is_public(address):
        return False
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9))  # sends nothing: it only chooses the way
            return ipaddress.ip_address(probe.getsockname()[0]) != ipaddress.ip_address(address)
        except OSError:
            return True  # unreachable; the connection will fail with the reason


async def fetch(
    url: str,
    sink: Sink,
    limit: int,
    private: bool,
    agent: str,
    seconds: float = DEFAULTS.media_url_seconds,
    resolver: AbstractResolver | None = None,
) -> Source:
    """Write the content of ``url`` into ``sink``, at most ``limit`` bytes.

    ``private`` allows addresses of private networks. Raises BadSource, OSError of the sink.
    """
    names = resolver or Resolver()
    connector = aiohttp.TCPConnector(resolver=names, force_close=True) if private else _PublicConnector(names)
    # Uncompressed: the limit of bytes is that of the content, and a small answer cannot become a large one.
    headers = {"User-Agent": agent, "Accept-Encoding": "identity"}
    try:
        async with (
            asyncio.timeout(seconds),
            aiohttp.ClientSession(
                connector=connector,
                headers=headers,
                # No data of one fetch, or of this machine's environment (proxies, .netrc), may leak into another.
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS),
            ) as web,
        ):
            return await follow(web, target(url, private), sink, limit, private, MEDIA_URL_REDIRECTS)
    except aiohttp.ClientError as problem:
        if isinstance(problem, aiohttp.ClientConnectorDNSError) and isinstance(problem.os_error, _Private):
            raise BadSource(str(problem.os_error)) from None
        raise BadSource(unreached(problem)) from None
    except TimeoutError:
        raise BadSource(N_("no complete answer within {seconds} s"), seconds=f"{seconds:g}") from None


async def follow(
    web: aiohttp.ClientSession, url: URL, sink: Sink, limit: int, private: bool, redirects: int
) -> Source:
    for _ in range(redirects + 1):
        async with web.get(url, allow_redirects=False) as answer:
            if answer.status in (301, 302, 303, 307, 308):
                url = redirected(url, answer.headers.get("Location", ""), private)
                continue
            if answer.status != 200:
                raise BadSource(N_("the server answers {status}"), status=answer.status)
            if answer.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
                # A few bytes could become more than there is memory.
                raise BadSource(N_("the server compresses it although this was not requested"))
            # Before the first byte, if the server announces the size; the count below applies in any case.
            if (answer.content_length or 0) > limit:
                raise SourceTooLarge(limit)
            got = 0
            async for piece in answer.content.iter_chunked(_PIECE):
                got += len(piece)
                if got > limit:
                    raise SourceTooLarge(limit)
                await asyncio.to_thread(sink.write, piece)  # a busy disk blocks writers
            return Source(media_type(answer.headers.get("Content-Type", "")), named(answer) or url.name)
    raise BadSource(N_("more than {redirects} redirects"), redirects=redirects)


def named(answer: aiohttp.ClientResponse) -> str:
    """Return the name that an answer gives its content, "" for none."""
    try:
        disposition = answer.content_disposition
    except (ValueError, LookupError):  # an invalid encoding of RFC 2231
        return ""
    return (disposition.filename if disposition else None) or ""


class SourceTooLarge(BadSource):
    """The file exceeds the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"media size exceed, maximum size is {limit} bytes")


def redirected(url: URL, location: str, private: bool) -> URL:
    """Return where a redirect leads. Raises BadSource as ``target`` does."""
    try:
        joined = str(url.join(url_of(location)))
    except ValueError:
        raise BadSource(N_("the server redirects to an invalid URL")) from None
    return target(joined, private)


def target(address: str, private: bool) -> URL:
    """Return an address that may be fetched. Raises BadSource for others, as far as can be seen without DNS."""
    try:
        url = url_of(address)
        host = url.raw_host  # the peer of the connection
    except ValueError:
        raise BadSource(N_("not a valid address")) from None
    if url.scheme not in ("http", "https") or not host:
        raise BadSource(N_("only http:// and https:// addresses are fetched"))
    if not private:
        # Literal addresses need no resolver.
        try:
            public = may_be_asked(host)
        except ValueError:
            if host.replace(".", "").isdigit() or ":" in host:
                # 127.1, 2130706433: the C library parses them as addresses, bypassing the resolver.
                raise BadSource(str(_Private())) from None
            return url
        if not public:
            raise BadSource(str(_Private()))
    return url


class _Private(OSError):
    def __init__(self) -> None:
        super().__init__("it is an address of a private network (media_private_urls allows them)")


class _PublicOnly(AbstractResolver):
    """A resolver that knows public addresses only."""

    def __init__(self, resolver: AbstractResolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = [each for each in await self._resolver.resolve(host, port, family) if may_be_asked(each["host"])]
        if not found:
            raise _Private
        return found

    async def close(self) -> None:
        await self._resolver.close()


class _PublicConnector(aiohttp.TCPConnector):
    """Connects to public addresses only."""

    def __init__(self, resolver: AbstractResolver) -> None:
        # ``force_close``: a reused connection would skip the check of the resolver.
        super().__init__(resolver=_PublicOnly(resolver), force_close=True)

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """See BaseConnector.connect. Raises BadSource when the other end is not public; nothing was sent then."""
        connection = await super().connect(req, traces, timeout)
        peer = connection.transport.get_extra_info("peername") if connection.transport else None
        if not peer or not may_be_asked(str(peer[0])):
            connection.close()
            raise BadSource(str(_Private()))
        return connection
