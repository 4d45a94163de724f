"""POST over a connection of aiohttp's pool, without ClientSession.

ClientSession makes a request, a response, timers and a task for each call, and writes head and body one after the
other, so that the receiver wakes twice: a quarter of a delivery's CPU. This uses the library's connector, for names,
TLS and kept connections, and its parser. The head is the one that the library would send to the same URL. It uses two
undocumented parts of aiohttp, the protocol of a connection and the parts of a request: see ``posts``.
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

from wxcontroller.client.deliveries.outbound import TargetConnector
from wxcontroller.client.deliveries.outgoing import Outgoing


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


class DirectPosts:
    """Posts to URLs, with ``headers`` in each request. Of the timeout, only that of connecting counts."""

    def __init__(
        self, connector: TargetConnector, headers: Mapping[str, str], timeout: aiohttp.ClientTimeout
    ) -> None:
        self.connector = connector
        self._headers = headers
        self._timeout = timeout
        self._request: aiohttp.ClientRequest | None = None
        self._head = ""

    async def post(self, url: URL, body: Outgoing, headers: Mapping[str, str]) -> DirectAnswer:
        """Send and raise as SessionPosts.post."""
        request = self._prepared(url)
        head = f"{self._head}{lines_of(headers)}Content-Length: {body.size}\r\n\r\n".encode()
        body.rewind()
        connection = await self._connected(request)
        writing = None
        try:
            protocol = connection.protocol
            assert protocol is not None
            # An answer without a length ends with its connection.
            protocol.set_response_params(read_until_eof=True)
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
        return DirectAnswer(message.code, message.headers, content, connection, body.done)

    async def _connected(self, request: aiohttp.ClientRequest) -> Connection:
        try:
            return await self.connector.connect(request, [], self._timeout)
        except TimeoutError as problem:
            raise aiohttp.ConnectionTimeoutError from problem

    def _prepared(self, url: URL) -> aiohttp.ClientRequest:
        """Return a request to ``url``, and have its head. Raises ValueError."""
        if self._request is None or self._request.original_url != url:
            if url.scheme not in ("http", "https"):
                raise aiohttp.NonHttpUrlClientError(url)
            request = aiohttp.ClientRequest("POST", url, headers=self._headers, loop=asyncio.get_running_loop())
            # Written by ``post``: it is the only line of the library's head that differs between reports.
            request.headers.popall("Content-Length", None)
            self._head = f"POST {request.url.raw_path_qs} HTTP/1.1\r\n{lines_of(request.headers)}"
            self._request = request
        return self._request


def _write(head: bytes, body: Outgoing, protocol: ResponseHandler) -> "asyncio.Task[None] | None":
    """Begin to write; return a task for the rest, None if everything is in the socket's buffer."""
    assert protocol.transport is not None
    single = body.single_part()
    if single is None:
        return asyncio.create_task(_write_parts(head, body, protocol))
    protocol.transport.write(head + single)
    return None


async def _write_parts(head: bytes, body: Outgoing, protocol: ResponseHandler) -> None:
    writer = StreamWriter(protocol, asyncio.get_running_loop())
    with contextlib.suppress(aiohttp.ClientError, OSError):  # the reader of the answer gets the error
        await writer.write(head)
        for part in body.parts():
            await writer.write(part)


def lines_of(headers: Mapping[str, str]) -> str:
    """Return headers as they are sent. Raises ValueError for a line break in one."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    # A line break in an id or name could add headers.
    if lines.count("\r") != len(headers) or lines.count("\n") != len(headers):
        raise ValueError("a header with a line break")
    return lines
