"""Requests over a connector, to receivers and to WeChat, and the documented way through aiohttp.

``directrequests`` is a faster way that uses undocumented parts. It is used with versions of aiohttp for which they
are known (``aiohttpversion``).
"""

import contextlib
import logging
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import aiohttp
from yarl import URL

from wxcontroller.core.net import aiohttpversion
from wxcontroller.core.net.httpbody import HttpBody

if TYPE_CHECKING:
    from wxcontroller.core.net.directrequests import DirectAnswer, DirectRequests

HttpRequests: TypeAlias = "SessionRequests | DirectRequests"
# The head of an answer, and its content, to be read within ``async with``.
HttpAnswer: TypeAlias = "aiohttp.ClientResponse | DirectAnswer"
log = logging.getLogger(__name__)
# A blank or a line break would end the target, and the rest could be anything.
_TARGET = re.compile(r"/[^\x00-\x20\x7f]*")


def requests_over(
    connector: aiohttp.BaseConnector, headers: Mapping[str, str], timeout: aiohttp.ClientTimeout
) -> HttpRequests:
    """Return what makes requests with ``headers`` in each; ``close`` it, which closes the connector.

    Of the timeout, only the limits of connecting count.
    """
    if aiohttpversion.is_known():
        from wxcontroller.core.net.directrequests import DirectRequests

        return DirectRequests(connector, headers, timeout)
    log.info("requests are not optimized for aiohttp %s", aiohttp.__version__)
    session = aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        timeout=timeout,
        # What is sent is decided by the caller, and never by the environment.
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )
    return SessionRequests(session)


@dataclass(frozen=True, slots=True)
class SessionRequests:
    """Requests by ClientSession."""

    session: aiohttp.ClientSession

    async def send(
        self,
        method: str,
        origin: URL,
        target: str,
        headers: Mapping[str, str],
        body: HttpBody | None = None,
        silence: float | None = None,
    ) -> aiohttp.ClientResponse:
        """Send one request; return its answer once the head is there. Redirects are not followed.

        A GET whose connection breaks before that is sent again, once.

        Args:
            method: "GET" or "POST".
            origin: a URL that begins with scheme, host and port, and may have a user; the rest of it does not count.
            target: path and query, encoded.
            headers: those of this request alone.
            body: of a POST.
            silence: limit of seconds without data, None for no limit.

        Raises:
            ClientError, OSError: there is no answer.
            ValueError: a target or header that cannot be sent.
        """
        # Without its length, a body would be sent in chunks.
        sized = headers if body is None else {**headers, "Content-Length": str(body.size)}
        limits = self.session.timeout
        try:
            return await self.session.request(
                method,
                URL(f"{origin.scheme}://{origin.raw_authority}{checked(target)}", encoded=True),
                data=body and _streamed(body),
                headers=sized,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    connect=limits.connect, sock_connect=limits.sock_connect, sock_read=silence
                ),
            )
        except (AttributeError, RuntimeError) as problem:
            # A request is repeated on another connection, but a closed session has none.
            if not self.session.closed:
                raise
            raise aiohttp.ClientConnectionError from problem

    async def close(self) -> None:
        """Close all connections."""
        await self.session.close()


def checked(target: str) -> str:
    """Return a target that can be sent. Raises ValueError for another one."""
    if not _TARGET.fullmatch(target):
        raise ValueError("a target that cannot be sent")
    return target


async def _streamed(body: HttpBody) -> AsyncIterator[bytes | memoryview]:
    body.rewind()
    async with contextlib.aclosing(body.parts()) as parts:
        async for part in parts:
            yield part
