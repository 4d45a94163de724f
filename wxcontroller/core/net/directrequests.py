"""Requests over a connection of aiohttp's pool, without ClientSession.

ClientSession makes a request, a response, timers and a task for each call, and writes head and body one after the
other, so that the server wakes twice: a quarter of a delivery's CPU. This uses the library's connector, for names,
TLS and kept connections, and its parser. The head is the one that the library would send to the same URL. It uses
undocumented parts of aiohttp, the protocol of a connection, the parts of a request, and the timer of a pool: see
``httprequests``.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, StreamWriter
from multidict import CIMultiDictProxy
from yarl import URL

from wxcontroller.core.net.httpbody import HttpBody
from wxcontroller.core.net.httprequests import checked

# An account asks one receiver and about five hosts of WeChat.
_ORIGINS = 16


@dataclass(slots=True)
class DirectAnswer:
    """The head of an answer, and its ``content`` to be read within ``async with``."""

    status: int
    headers: CIMultiDictProxy[str]
    content: aiohttp.StreamReader
    connection: Connection
    _is_written: bool

    async def __aenter__(self) -> "DirectAnswer":
        return self

    async def __aexit__(self, *_: object) -> None:
        """Keep the connection for the next request, unless this one is incomplete."""
        if self._is_written:
            self.connection.release()
        else:
            self.connection.close()


class DirectRequests:
    """Makes requests with ``headers`` in each. Of the timeout, only the limits of connecting count."""

    def __init__(
        self, connector: aiohttp.BaseConnector, headers: Mapping[str, str], timeout: aiohttp.ClientTimeout
    ) -> None:
        self._connector = connector
        self._headers = headers
        self._timeout = timeout
        self._prepared: dict[URL, tuple[aiohttp.ClientRequest, str]] = {}

    async def send(
        self,
        method: str,
        origin: URL,
        target: str,
        headers: Mapping[str, str],
        body: HttpBody | None = None,
        silence: float | None = None,
    ) -> DirectAnswer:
        """Send and raise as SessionRequests.send."""
        request, common = self._prepare(origin)
        length = "" if body is None else f"Content-Length: {body.size}\r\n"
        head = f"{method} {checked(target)} HTTP/1.1\r\n{common}{lines_of(headers)}{length}\r\n".encode()
        is_repeatable = method == "GET"
        while True:
            connection = await self._connected(request)
            try:
                return await _exchange(connection, request, head, body, silence)
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
                if not is_repeatable:
                    raise
                is_repeatable = False

    async def close(self) -> None:
        """Close all connections."""
        await self._connector.close()

    async def _connected(self, request: aiohttp.ClientRequest) -> Connection:
        connector = self._connector
        if connector.closed:
            raise aiohttp.ClientConnectionError
        try:
            connection = await connector.connect(request, [], self._timeout)
        except TimeoutError as problem:
            raise aiohttp.ConnectionTimeoutError from problem
        # The timer for idle connections: without any, it would only wake the process. The next one starts it.
        if not connector._conns and connector._cleanup_handle is not None:
            connector._cleanup_handle.cancel()
            connector._cleanup_handle = None
        return connection

    def _prepare(self, origin: URL) -> tuple[aiohttp.ClientRequest, str]:
        """Return a request to this origin for the connector, and the lines of all heads. Raises ValueError."""
        found = self._prepared.get(origin)
        if found is None:
            if origin.scheme not in ("http", "https"):
                raise aiohttp.NonHttpUrlClientError(origin)
            request = aiohttp.ClientRequest("GET", origin, headers=self._headers, loop=asyncio.get_running_loop())
            if len(self._prepared) >= _ORIGINS:
                self._prepared.clear()
            found = self._prepared[origin] = request, lines_of(request.headers)
        return found


async def _exchange(
    connection: Connection,
    request: aiohttp.ClientRequest,
    head: bytes,
    body: HttpBody | None,
    silence: float | None,
) -> DirectAnswer:
    writing = None
    try:
        protocol = connection.protocol
        assert protocol is not None
        # An answer without a length ends with its connection.
        protocol.set_response_params(read_until_eof=True, read_timeout=silence)
        writing = _write(head, body, protocol)
        message, content = await protocol.read()
        # Interim answers (RFC 9110, 15.2), such as 103 Early Hints. After 101 the connection no longer uses HTTP.
        while 100 <= message.code < 200 and message.code != 101:
            message, content = await protocol.read()
    except HttpProcessingError as problem:
        connection.close()
        raise aiohttp.ClientResponseError(
            request.request_info, (), status=problem.code, message=problem.message
        ) from problem
    except BaseException:
        connection.close()
        raise
    finally:
        # A receiver may answer before it has read everything, for example with 413: the rest need not be sent.
        if writing is not None:
            writing.cancel()
    return DirectAnswer(message.code, message.headers, content, connection, body is None or body.done)


def _write(head: bytes, body: HttpBody | None, protocol: ResponseHandler) -> "asyncio.Task[None] | None":
    """Begin to write; return a task for the rest, None if everything is in the socket's buffer."""
    assert protocol.transport is not None
    if body is not None:
        body.rewind()
        single = body.single_part()
        if single is None:
            return asyncio.create_task(_write_parts(head, body, protocol))
        head += single
    protocol.transport.write(head)
    protocol.start_timeout()
    return None


async def _write_parts(head: bytes, body: HttpBody, protocol: ResponseHandler) -> None:
    writer = StreamWriter(protocol, asyncio.get_running_loop())
    try:
        await writer.write(head)
        async with contextlib.aclosing(body.parts()) as parts:
            async for part in parts:
                await writer.write(part)
        protocol.start_timeout()
    except aiohttp.ClientError:
        pass  # the reader of the answer gets the error
    except Exception as problem:  # of the body, as of a file that cannot be read
        protocol.set_exception(aiohttp.ClientConnectionError(), problem)


def lines_of(headers: Mapping[str, str]) -> str:
    """Return headers as they are sent. Raises ValueError for a line break in one."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    # A line break in an id or name could add headers.
    if lines.count("\r") != len(headers) or lines.count("\n") != len(headers):
        raise ValueError("a header with a line break")
    return lines
