"""Fetching media that a caller or a webhook names by URL, without letting it look around in the private network.

What a name resolves to is checked where the connection is made, so an answer of DNS that changes between looking and
connecting gains nothing; each redirect is a new request and checked again.
"""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from wxcontroller.client.addresses import url_of
from wxcontroller.core.errors import WxError
from wxcontroller.drivers.base import Sink

MOST_REDIRECTS = 5
_SECONDS = 60.0
_PIECE = 64 * 1024
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class BadSource(WxError):
    """Media can't be had from where they are said to be. ``message`` says why, without credentials."""


@dataclass(frozen=True, slots=True)
class Source:
    """What was fetched: the type as the server said, and the name by header or address ("" for none)."""

    mime: str
    name: str


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public Internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            ip = inner
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


async def fetch(url: str, sink: Sink, most: int, private: bool, agent: str) -> Source:
    """Write what ``url`` gives into ``sink``, at most ``most`` bytes.

    ``private`` allows addresses of private networks. Raises BadSource, OSError of the sink.
    """
    connector = aiohttp.TCPConnector(
        resolver=aiohttp.ThreadedResolver() if private else _PublicOnly(), force_close=True
    )
    headers = {"User-Agent": agent, "Accept-Encoding": "identity"}
    try:
        async with (
            asyncio.timeout(_SECONDS),
            aiohttp.ClientSession(
                connector=connector, headers=headers, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
            ) as web,
        ):
            return await _follow(web, target(url, private), sink, most, private)
    except TimeoutError:
        raise BadSource(f"no complete answer within {_SECONDS:g} s") from None
    except aiohttp.ClientConnectorDNSError as problem:
        reason = str(problem.os_error) if isinstance(problem.os_error, _Private) else "the host name is not known"
        raise BadSource(reason) from None
    except aiohttp.ClientError as problem:
        raise BadSource(f"the server can't be read ({type(problem).__name__})") from None


async def _follow(web: aiohttp.ClientSession, url: URL, sink: Sink, most: int, private: bool) -> Source:
    for _ in range(MOST_REDIRECTS + 1):
        async with web.get(url, allow_redirects=False) as answer:
            if answer.status in (301, 302, 303, 307, 308):
                url = redirected(url, answer.headers.get("Location", ""), private)
                continue
            if answer.status != 200:
                raise BadSource(f"the server answers {answer.status}")
            if (answer.content_length or 0) > most:
                raise TooLarge(most)
            got = 0
            async for piece in answer.content.iter_chunked(_PIECE):
                got += len(piece)
                if got > most:
                    raise TooLarge(most)
                sink.write(piece)
            disposition = answer.content_disposition
            name = (disposition.filename if disposition else None) or url.name
            return Source(answer.content_type if "Content-Type" in answer.headers else "", name)
    raise BadSource(f"more than {MOST_REDIRECTS} redirects")


class TooLarge(BadSource):
    """More bytes than are taken."""

    def __init__(self, most: int) -> None:
        super().__init__(f"media size exceed, maximum size is {most} bytes")


def redirected(url: URL, location: str, private: bool) -> URL:
    """Return where a redirect leads. Raises BadSource as ``target`` does."""
    try:
        joined = str(url.join(url_of(location)))
    except ValueError:
        raise BadSource("the server redirects to something that is no address") from None
    return target(joined, private)


def target(given: str, private: bool) -> URL:
    """Return an address that may be fetched. Raises BadSource for others, as far as can be seen without DNS."""
    try:
        url = url_of(given)
        host = url.raw_host  # what the connection is made to
    except ValueError:
        raise BadSource("it is no address") from None
    if url.scheme not in ("http", "https") or not host:
        raise BadSource("only http:// and https:// addresses are fetched")
    if not private:
        # No resolver is asked about an address that is written out.
        try:
            public = is_public(host)
        except ValueError:
            if host.replace(".", "").isdigit() or ":" in host:
                # 127.1, 2130706433: the C library knows them as addresses, and the resolver would be passed over.
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

    def __init__(self) -> None:
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = [each for each in await self._resolver.resolve(host, port, family) if is_public(each["host"])]
        if not found:
            raise _Private
        return found

    async def close(self) -> None:
        await self._resolver.close()
