"""One POST to a receiver, and the documented way through aiohttp.

``directposts`` is a faster way that uses undocumented parts. It is used with versions of aiohttp for which they are
known (``core.aiohttpversion``).
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import aiohttp
from yarl import URL

from wxcontroller.client.deliveries.outbound import TargetConnector
from wxcontroller.client.deliveries.outgoing import Outgoing
from wxcontroller.core import aiohttpversion

if TYPE_CHECKING:
    from wxcontroller.client.deliveries.directposts import DirectAnswer, DirectPosts

Posts: TypeAlias = "SessionPosts | DirectPosts"
# The head of an answer, and its content, to be read within ``async with``.
PostAnswer: TypeAlias = "aiohttp.ClientResponse | DirectAnswer"
log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def posts_over(
    connector: TargetConnector, headers: Mapping[str, str], seconds: float
) -> "AsyncIterator[Posts]":
    """Post with ``headers`` in each request; ``seconds`` is the limit of connecting.

    The connector stays the caller's.
    """
    timeout = aiohttp.ClientTimeout(total=None, connect=seconds)
    if aiohttpversion.is_known():
        from wxcontroller.client.deliveries.directposts import DirectPosts

        yield DirectPosts(connector, headers, timeout)
        return
    log.info("posting is not optimized for aiohttp %s", aiohttp.__version__)
    async with aiohttp.ClientSession(
        connector=connector,
        connector_owner=False,
        headers=headers,
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield SessionPosts(connector, session)


@dataclass(frozen=True, slots=True)
class SessionPosts:
    """Posts by ClientSession."""

    connector: TargetConnector
    session: aiohttp.ClientSession

    async def post(self, url: URL, body: Outgoing, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """Send one request; return its answer once the head is there.

        Raises NotATarget, ClientError, OSError, and ValueError for a URL or a header that cannot be sent.
        """
        body.rewind()
        sized = {**headers, "Content-Length": str(body.size)}  # or it would be sent in chunks
        return await self.session.post(url, data=_streamed(body), headers=sized, allow_redirects=False)


async def _streamed(body: Outgoing) -> AsyncIterator[memoryview]:
    for part in body.parts():
        yield part
