"""The HTTP client for forwarded requests. It changes neither requests nor responses."""

from collections.abc import AsyncIterable
from typing import TypeAlias

import aiohttp

Body: TypeAlias = "aiohttp.StreamReader | AsyncIterable[bytes] | bytes | None"


def relay_session(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    """Return a session that adds, decodes, keeps and repeats nothing.

    A request that reached the other side may have done its work: sending it again would send a message twice.
    """
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
    )
    # aiohttp repeats a request on its own when a kept connection breaks, and offers no public switch for it.
    session._retry_connection = False
    return session
