"""Requests to accounts whose answers the controller reads: its own, and the calls of /v1 and of agents' media.

They take the same connections as the calls that pass through (``backends``): an answer's head is parsed there, and
the account's budget counts. Answers that the controller reads whole are bounded in size and in the number of their
values: the time to parse JSON grows with its values.
"""

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from typing import Self, cast

from multidict import CIMultiDict

from wxcontroller.controller.account_port.backends import Backend, Backends, ResponseHead, chunk
from wxcontroller.controller.account_port.connecting import AccountConnections
from wxcontroller.controller.account_port.portfailures import failure_of
from wxcontroller.controller.accounts.registry import Registry
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.budget import Budget, read_whole
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.jsontypes import JsonObject, obj, read_json
from wxcontroller.core.net.relay import Body
from wxcontroller.core.registry.account import Account
from wxcontroller.openwx.contract.replies import CONTENT_TYPE, to_bytes

# Of an answer about the account itself, whether one account is asked or all are: its status, its options, its numbers
# of deliveries. They have a few KiB and a few hundred values.
PROGRAM_ANSWER_BYTES, PROGRAM_ANSWER_VALUES = 64 << 10, 5000
# With this much of an answer unread, the account has to wait.
_UNREAD_BYTES = 64 << 10
_TARGET = re.compile(r"[!-~]+")
_BREAKS = re.compile(rb"[\r\n\0]")


class _AnswerStream(asyncio.StreamReader):
    """The content of an answer."""

    async def readany(self) -> bytes:
        """Return the received bytes, b"" at the end."""
        return await self.read(_UNREAD_BYTES)


class PortAnswer:
    """An answer that is read here (``backends.ResponseSink``). Use it as a context manager.

    ``silence`` is how long nothing may come from the account, ``latest`` when the answer must be complete, by the
    loop's clock. Reading ``content`` raises OSError.
    """

    takes_chunks = False

    def __init__(self, account: Account, backend: Backend, is_head: bool, latest: float, silence: float) -> None:
        self.is_head, self.is_sent = is_head, False
        self.content = _AnswerStream(_UNREAD_BYTES)
        self.content.set_transport(cast(asyncio.Transport, self))
        self._account = account
        self._backend: Backend | None = backend
        self._latest, self._silence = latest, silence
        self._loop = asyncio.get_running_loop()
        self._head: asyncio.Future[ResponseHead] = self._loop.create_future()
        self._begun = False  # the content

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Do without the rest of the answer, and the connection with it."""
        backend, self._backend = self._backend, None
        if backend is not None:
            backend.let_go()

    @property
    def status(self) -> int:
        return self._head.result().status

    @property
    def reason(self) -> str:
        return self._head.result().reason.decode("latin-1")

    @property
    def headers(self) -> CIMultiDict[str]:
        fields = self._head.result().fields
        return CIMultiDict((name.decode(), value.decode("utf-8", "surrogateescape")) for _, name, value in fields)

    async def ask(self, head: bytes, body: AsyncIterator[bytes] | None) -> None:
        """Send the request, and wait for the head of the answer. Raises OSError and as ``body``."""
        backend = self._backend
        assert backend is not None
        self.is_sent = body is None
        backend.ask(self, head)
        if body is None:
            await self._head
            return
        sending = asyncio.ensure_future(self._send(backend, body))
        sending.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            await asyncio.wait((sending, self._head), return_when=asyncio.FIRST_COMPLETED)
            if not self._head.done():
                sending.result()
            await self._head
        finally:
            # An account may answer before it has everything: the rest is not sent.
            sending.cancel()

    async def _send(self, backend: Backend, body: AsyncIterator[bytes]) -> None:
        await backend.send(body)
        self.is_sent = True
        backend.expect(self.latest())

    # -- as the reader's transport

    def pause_reading(self) -> None:
        if self._backend is not None:
            self._backend.pause()

    def resume_reading(self) -> None:
        if self._backend is not None:
            self._backend.resume()

    # -- as the sink

    def full(self) -> None:
        """See ``ResponseSink``."""

    def empty(self) -> None:
        """See ``ResponseSink``."""

    def latest(self) -> float:
        backend = self._backend
        waits = backend is None or backend.paused or not self.is_sent
        return min(self._latest, (self._loop.time() if waits or backend is None else backend.used) + self._silence)

    def answered(self, head: ResponseHead) -> None:
        if not self._head.done():
            self._head.set_result(head)

    def more(self, data: bytes) -> None:
        if not self._begun:
            self._begun, data = True, data.removeprefix(b"\r\n")
        self.content.feed_data(data)

    def finished(self) -> None:
        self._backend = None
        self.content.feed_eof()

    def broken(self, problem: Exception) -> None:
        self._backend = None
        if not self._head.done():
            self._head.set_exception(problem)
        self.content.set_exception(problem)


class AccountPorts:
    """Sends requests to accounts. Use as an async context manager: it owns the connections."""

    def __init__(self, registry: Registry, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self.connections = AccountConnections(registry)
        self.backends = Backends(registry, self.connections)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.backends.close()

    def budget(self, account: Account) -> Budget:
        """Return what an account may use while its answers are read."""
        return self.connections.budget(account.name.instance)

    async def open(
        self,
        account: Account,
        target: str,
        scope: Scope,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        seconds: float | None = None,
        silence: float | None = None,
    ) -> PortAnswer:
        """Send a request and return the answer once its head has arrived. Use it as a context manager.

        Args:
            target: path and query, encoded.
            scope: the caller's scope, which the account enforces.
            seconds: until the end of the answer; by default, as ``silence``, the setting for forwarded requests.

        Raises NotRunning or NotAnswering, and as ``body``. Reading the answer raises OSError.
        """
        settings, loop = self._settings(), asyncio.get_running_loop()
        now = loop.time()
        try:
            backend = await self.backends.connection(account, now, settings.ua_connect_timeout)
            latest = now + (settings.ua_request_timeout if seconds is None else seconds)
            silence = settings.ua_inactivity_timeout if silence is None else silence
            answer = PortAnswer(account, backend, method == "HEAD", latest, silence)
            try:
                head, content = request_of(method, target, backend.begin[scope], headers or {}, body)
                await answer.ask(head, content)
            except BaseException:
                answer.close()
                raise
        except OSError as problem:
            raise failure_of(account, problem) from None
        return answer

    async def ask(
        self,
        account: Account,
        path: str,
        seconds: float,
        scope: Scope = Scope.READ,
        method: str = "GET",
        given: JsonObject | None = None,
    ) -> tuple[int, JsonObject]:
        """Return status and JSON object of an answer about the account; {} if it is not JSON or too large.

        ``given`` is the body of the request.

        Raises NotRunning or NotAnswering, the latter also after ``seconds``.
        """
        headers, body = ({}, None) if given is None else ({"Content-Type": CONTENT_TYPE}, to_bytes(given))
        status, content = await self.exchange(account, path, seconds, scope, method, headers, body)
        try:
            return status, obj(read_json(content, values=PROGRAM_ANSWER_VALUES))
        except ValueError:
            return status, {}

    async def exchange(
        self,
        account: Account,
        target: str,
        seconds: float,
        scope: Scope,
        method: str,
        headers: Mapping[str, str] | None = None,
        body: "AsyncIterable[bytes] | bytes | None" = None,
        limit: int = PROGRAM_ANSWER_BYTES,
    ) -> tuple[int, bytes]:
        """Return status and content of an answer, of which at most ``limit`` bytes are read.

        Raises NotRunning or NotAnswering, the latter also after ``seconds``.
        """
        ample = 2 * seconds  # this block's limit is the one that counts
        try:
            async with asyncio.timeout(seconds):
                async with await self.open(account, target, scope, method, headers, body, ample, ample) as answer:
                    content = await read_whole(answer.content, self.budget(account), limit)
                    return answer.status, content[:limit]  # a truncated one is no longer JSON
        except OSError as problem:
            raise failure_of(account, problem, seconds) from None


def request_of(
    method: str, target: str, begin: bytes, headers: Mapping[str, str], body: Body
) -> tuple[bytes, AsyncIterator[bytes] | None]:
    """Return the first bytes of a request, and the others if its body is not at hand. Raises ValueError.

    ``begin`` is the head's part between the request line and ``headers``.
    """
    lines = [f"{name}: {value}".encode("utf-8", "surrogateescape") for name, value in headers.items()]
    has_length = "Content-Length" in CIMultiDict(headers)
    if body is not None and not has_length:
        lines.append(b"Content-Length: %d" % len(body) if isinstance(body, bytes) else b"Transfer-Encoding: chunked")
    if not _TARGET.fullmatch(target) or any(_BREAKS.search(line) for line in lines):
        raise ValueError("a target or header cannot be sent")
    fields = b"".join(line + b"\r\n" for line in lines)
    head = b"%b %b HTTP/1.1\r\n%b%b\r\n" % (method.encode(), target.encode(), begin, fields)
    if body is None or isinstance(body, bytes):
        return head + (body or b""), None
    return head, body_of(body, not has_length)


async def body_of(body: AsyncIterable[bytes], chunked: bool) -> AsyncIterator[bytes]:
    """Yield a body as it is sent."""
    async for piece in body:
        yield chunk(piece) if chunked else piece
    if chunked:
        yield b"0\r\n\r\n"
