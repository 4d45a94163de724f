"""One request on its way to an account, and the answer on its way back.

``run`` is the request's whole way, top to bottom: origin, caller, admission, account, connection. It runs without a
break up to its end if nothing has to be waited for, as for most requests; only then it becomes a task. Whatever it
raises is the request's conclusion, which aiohttp writes as it writes the controller's other answers.

The body passes through while it arrives, no faster than the account takes it. Only a form that may hold ``client``
or ``token`` is read first, up to its limit.
"""

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

from wxcontroller.controller.account_port.backends import Backend, ResponseHead
from wxcontroller.controller.account_port.portfailures import PortFailure, failure_of
from wxcontroller.controller.callers.authentication import Caller
from wxcontroller.controller.callers.refusals import Refused
from wxcontroller.controller.edge.authorization import authorize_call, hold_caller
from wxcontroller.controller.edge.failureanswers import FORMS
from wxcontroller.controller.edge.foreignpages import allowed_origin, foreign
from wxcontroller.controller.edge.portadmission import claim_of_caller, claim_of_head, hop_of, shown_by
from wxcontroller.controller.edge.requestmetrics import RequestPart
from wxcontroller.controller.edge.spool import BodySpool, in_memory, spooled
from wxcontroller.controller.forwarding.proxy import (
    KEPT_BY_BROWSERS,
    NOT_SENT_ON,
    kept,
    to_host,
)
from wxcontroller.controller.forwarding.rewriting import AnswerWriter
from wxcontroller.controller.openwxcalls import client_unknown, is_missing
from wxcontroller.core.access.rights import Endpoint, call_path, loggable
from wxcontroller.core.budget import Holding, TooMuch
from wxcontroller.core.process.summaries import cause
from wxcontroller.core.registry.account import Account
from wxcontroller.openwx.contract import replies
from wxcontroller.openwx.http import admission, credentials, parameters
from wxcontroller.openwx.http.admission import AdmissionSlot, Resource
from wxcontroller.openwx.http.connection import Conclusion, Handler, HttpConnection
from wxcontroller.openwx.http.credentials import HOLDER_HEADER, TOKEN_FORM_BYTES
from wxcontroller.openwx.http.http1 import Chunked, RequestHead, Sized, listed

if TYPE_CHECKING:
    from wxcontroller.controller.forwarding.forwarding import AccountForwarder

log = logging.getLogger(__name__)
_NOT_SENT_ON = frozenset(name.encode() for name in NOT_SENT_ON) | {b"content-length"}
_NOT_KEPT = b"\r\nCache-Control: no-store\r\n"
# Of an answer that is written again.
_OF_CONTENT = re.compile(rb"(?i)(?<=\r\n)(?:content-length|content-type|transfer-encoding): [^\r]*\r\n")
_JSON_TYPE = f"Content-Type: {replies.CONTENT_TYPE}\r\n".encode()
_CHUNKED = b"\r\nTransfer-Encoding: chunked\r\n"
_PREFLIGHT = "".join(f"{name}: {value}\r\n" for name, value in replies.PREFLIGHT_HEADERS.items()).encode()
# Of a body that is not content to send; an account's own /v1 has the same limit.
_BODY_BYTES = 1 << 20
_LONG_POLLS = frozenset({"/openwx/check_event", "/openwx/consult"})
_ENDED_BY_RESTART = "/openwx/check_event"
# With this much of a body waiting, its caller has to wait.
_QUEUED = 64 << 10


async def _reported(_: Account, problem: PortFailure, __: web.Request) -> web.StreamResponse:
    raise problem


@dataclass(frozen=True, slots=True)
class AccountCall:
    """A call that an account answers, with its path there; ``account`` is the one that its path at the controller
    names, None: the parameter ``client`` does.

    ``writer`` writes the answer again, None: it passes unread; ``failed`` answers when the account did not.
    ``is_upload``: the body may be as large as content to send. ``seconds`` is how long it may take, None: as the
    settings have it.
    """

    endpoint: Endpoint
    path: str
    account: str | None = None
    writer: AnswerWriter | None = None
    failed: Callable[[Account, PortFailure, web.Request], Awaitable[web.StreamResponse]] = _reported
    is_upload: bool = True
    seconds: float | None = None


class ForwardedRequest:
    """A request that an account answers.

    It is the ``Exchange`` of its caller's connection and, once it was sent, the ``ResponseSink`` of its connection to
    the account.
    """

    __slots__ = (
        *("_account", "_answer", "_answer_bytes", "_backend", "_began", "_body_bytes", "_call", "_caller"),
        *("_complete", "_connection", "_content", "_forwarder", "_head", "_held", "_hold", "_keep", "_limit"),
        *("_memory", "_path", "_place", "_query", "_share", "_shared", "_spool", "_status", "_streams", "_target"),
        *("_task", "_wake", "call", "is_head"),
    )

    def __init__(
        self,
        forwarder: "AccountForwarder",
        connection: HttpConnection,
        head: RequestHead,
        path: str,
        query: bytes,
        call: AccountCall,
    ) -> None:
        self._forwarder, self._shared = forwarder, forwarder.shared
        self._connection, self._head, self._path, self._query = connection, head, path, query
        self._began, self._call = connection.heard, call
        self._limit = self._shared.settings.max_body if call.is_upload else _BODY_BYTES
        self._answer: list[bytes] | None = None  # what of it is here, if it is written again
        self._answer_bytes = 0
        self._memory: AbstractContextManager[Holding] | None = None  # for that
        self.call = call_path(path)
        self.is_head = head.method == b"HEAD"
        self._content: list[bytes] = []  # parts of the body that nobody has taken yet
        self._body_bytes = 0
        self._complete = head.body is None  # the body is
        self._streams = False  # it goes to the account as it comes
        self._wake: asyncio.Future[None] | None = None  # of who waits for more of it
        self._spool: BodySpool | None = None  # the body, if it was read
        self._account: Account | None = None
        self._backend: Backend | None = None
        self._share: AbstractContextManager[None] | None = None
        self._place: AdmissionSlot | None = None
        self._held = b""  # the answer's head, until its body begins: one write for both
        self._status = 0  # of the answer, once it has one
        self._keep = head.keeps  # the caller's connection
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Go the request's way, up to where it has to wait."""
        self._begin(self.run())

    def _begin(self, steps: Coroutine[None, None, None]) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.Task(self._go(steps), loop=loop, eager_start=True)  # type: ignore[call-arg]  # of Python 3.12
        self._task = None if task.done() else task

    async def _go(self, steps: Coroutine[None, None, None]) -> None:
        try:
            await steps
        except PortFailure as problem:
            self._fail(problem)
        except Exception as problem:
            if isinstance(problem, TimeoutError) and self._account is not None:  # of the connection to it
                self._fail(failure_of(self._account, problem, self._call.seconds))
            else:  # for the middleware that has words for each of them
                self._conclude(partial(_raised, problem))

    # -- the way of a request

    async def run(self) -> None:
        """Find out whose request this is, whether it is allowed and which account it is for, and send it there."""
        shared, head, connection = self._shared, self._head, self._connection
        gate, settings = shared.gate, shared.settings
        address = self._forwarder.address_of(head, connection)
        tokens = gate.tokens_of_late(connection.heard)
        caller = hop_of(shared, head, address, connection.transport)
        if caller is None:
            caller = gate.recognize_head(partial(shown_by, head, self._query), address, tokens)
        resource = Resource.LONG_POLLS if self.call in _LONG_POLLS else Resource.REQUESTS
        self._place = shared.admission.place(resource, claim_of_head(caller, address, settings))
        await shared.admission.admit(self._place, connection)
        if (problem := foreign(head, connection.transport, settings)) is not None:
            self._conclude(partial(_foreign, problem))
            return
        kind = (head.value(b"content-type") or "") if head.body is not None else ""
        holds = bool(kind) and parameters.holds_parameters(self._path, kind)
        length = head.body.length if isinstance(head.body, Sized) else 0
        looks = holds and (gate.exposed or tokens.required) and length <= TOKEN_FORM_BYTES
        if caller is None:
            # The first token counts, even if it is wrong.
            token = shown_by(head, self._query)
            if token is None and looks:
                token = await self._token_in_form(kind)
            caller = gate.recognize(token, address, tokens) or gate.caller(token, address)
            self._place.change(claim_of_caller(caller, address, settings))
        self._caller = caller
        method = head.method.decode()
        call = self._call
        authorize_call(gate, caller, call.endpoint, method, self._path)
        if call.account is not None:
            hold_caller(shared, caller, call.account)
        client = call.account or dict(parameters.urlencoded_pairs(self._query, "client")).get("client")
        if length > self._limit:
            raise web.HTTPRequestEntityTooLarge(self._limit, length)
        if holds and (client is None or looks):
            client = await self._read_form(kind, client, looks, self._limit)
        self._target = credentials.without_token(f"{call.path}?{self._query.decode()}" if self._query else call.path)
        account = None
        if call.account is not None:
            account = shared.accounts.account(call.account)
        elif client is not None and not is_missing(client):
            hold_caller(shared, caller, client)
            account = shared.accounts.registry.find(client)
        if account is None or client is None:
            missing = client is None or is_missing(client)
            self._conclude(partial(_unknown, self._caller, None if missing else client, self._target, self._spool))
            return
        self._account = account
        if resource is Resource.LONG_POLLS:
            self._share = shared.shares.held(account, caller)
            self._share.__enter__()
            if self.call == _ENDED_BY_RESTART:
                if shared.draining.is_set():
                    self.end_poll()
                    return
                self._forwarder.polls.add(self)
        seconds = min(settings.ua_connect_timeout, call.seconds or settings.ua_connect_timeout)
        await self._send(await shared.ports.backends.connection(account, connection.heard, seconds))

    # -- the body, before it is sent

    def feed(self, data: bytes) -> None:
        if self._streams:
            self._pass_body(data)
            return
        self._content.append(data)
        self._body_bytes += len(data)
        if self._body_bytes > _QUEUED:
            self._connection.pause_body()
        self._wake_up()

    def complete(self) -> None:
        self._complete = True
        self._wake_up()
        if self._streams and self._backend is not None:
            if isinstance(self._head.body, Chunked):
                self._backend.write(b"0\r\n\r\n")
            self._backend.expect(self.latest())

    def malformed(self) -> None:
        self._refuse(web.RequestPayloadError("a chunk is malformed"))

    async def _pieces(self) -> AsyncIterator[bytes]:
        """Yield the body while it arrives. Raises HTTPRequestTimeout, and Busy when the memory is used up."""
        settings, loop = self._shared.settings, asyncio.get_running_loop()
        latest = loop.time() + settings.ua_request_timeout
        if not self._complete and self._head.expects:
            self._connection.ask_for_body()
        while True:
            if self._content:
                pieces, self._content, self._body_bytes = self._content, [], 0
                self._connection.resume_body()
                for piece in pieces:
                    assert self._place is not None
                    self._place.take(Resource.BODIES, len(piece))
                    yield piece
            elif self._complete:
                return
            else:
                # Both limits: a trickle of bytes must not hold the memory, and a slow connection may pause more than
                # once.
                until = min(latest, loop.time() + settings.ua_inactivity_timeout)
                try:
                    async with asyncio.timeout_at(until):
                        await self._woken()
                except TimeoutError:
                    raise web.HTTPRequestTimeout from None

    async def _whole(self, limit: int, seconds: float | None = None) -> BodySpool:
        """Return the body, once it is here.

        Raises HTTPRequestEntityTooLarge, TimeoutError after ``seconds``, and as ``_pieces``.
        """
        if not self._complete or self._body_bytes > min(limit, _QUEUED):
            async with asyncio.timeout(seconds):
                return await spooled(self._pieces(), limit)
        assert self._place is not None
        self._place.take(Resource.BODIES, self._body_bytes)
        pieces, self._content = self._content, []
        return in_memory(b"".join(pieces))

    async def _token_in_form(self, kind: str) -> str | None:
        """Return the token in a form. Raises BadParameter and HTTPRequestTimeout."""
        try:
            self._spool = await self._whole(TOKEN_FORM_BYTES, admission.UNKNOWN_BODY_SECONDS)
        except web.HTTPRequestEntityTooLarge:
            return None
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        with self._spool.view() as body:
            return credentials.from_form(kind, body)

    async def _read_form(self, kind: str, client: str | None, looks: bool, limit: int) -> str | None:
        """Read a form, remove the caller's token from it, and return the client of the request."""
        if self._spool is None:
            self._spool = await self._whole(limit)
        spool = self._spool
        with spool.view() as body:
            if looks:
                spool.keep(credentials.spans_without_token(kind, body))
            if client is None:
                look = partial(parameters.form_pairs, kind, body, "client")
                # Searching 64 MiB of JSON takes a second.
                client = dict(await asyncio.to_thread(look) if spool.size > _QUEUED else look()).get("client")
        return client

    async def _woken(self) -> None:
        self._wake = asyncio.get_running_loop().create_future()
        try:
            await self._wake
        finally:
            self._wake = None

    def _wake_up(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    # -- towards the account

    async def _send(self, backend: Backend) -> None:
        head, values = self._head, self._head.values
        without = _NOT_SENT_ON
        if (named := values.get(b"connection")) is not None:
            # Headers that it names are for this connection only (RFC 9110, 7.6.1).
            without = without | listed(named)
        fields = b"".join([b"%b: %b\r\n" % (name, value) for low, name, value in head.fields if low not in without])
        token, spool = self._caller.token, self._spool
        holder = f"{HOLDER_HEADER}: {token}\r\n".encode() if token else b""
        if spool is not None:
            size = b"Content-Length: %d\r\n" % spool.length
        elif isinstance(head.body, Chunked):
            size = b"Transfer-Encoding: chunked\r\n"
        else:
            size = b"Content-Length: %b\r\n" % values[b"content-length"] if b"content-length" in values else b""
        begin = b"%b %b HTTP/1.1\r\n" % (head.method, self._target.encode())
        sent = begin + backend.begin[self._caller.scope] + holder + fields + size + b"\r\n"
        self._backend = backend
        if spool is None:
            backend.ask(self, sent)
            if head.body is not None:
                self._stream()
        elif (content := spool.small) is not None:
            backend.ask(self, sent + content)
        else:
            self._complete = False
            backend.ask(self, sent)
            await backend.send(spool.chunks())
            self._complete = True
            backend.expect(self.latest())

    def _stream(self) -> None:
        """Send the body that is here, and from now on what comes."""
        self._streams = True
        if not self._complete and self._head.expects:
            self._connection.ask_for_body()
        pieces, self._content, self._body_bytes = self._content, [], 0
        for piece in pieces:
            self._pass_body(piece)
        self._connection.resume_body()
        if self._complete:
            self.complete()

    def _pass_body(self, data: bytes) -> None:
        if self._backend is None:  # answered already
            return
        if isinstance(self._head.body, Chunked):
            self._body_bytes += len(data)
            if self._body_bytes > self._limit:
                self._refuse(web.HTTPRequestEntityTooLarge(self._limit, self._body_bytes))
                return
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._backend.write(data)

    @property
    def is_sent(self) -> bool:
        """Whether the account has the whole request."""
        return self._complete

    def full(self) -> None:
        """The account takes no more at the moment."""
        self._connection.pause_body()

    def empty(self) -> None:
        """It does again."""
        self._connection.resume_body()

    def latest(self) -> float:
        settings, backend = self._shared.settings, self._backend
        latest = self._began + (self._call.seconds or settings.ua_request_timeout)
        if backend is None or backend.paused or not self._complete:
            return latest
        return min(latest, backend.used + settings.ua_inactivity_timeout)

    # -- towards the caller

    def answered(self, head: ResponseHead) -> None:
        shared, status, data = self._shared, head.status, head.sent
        # The token may have been revoked while the poll waited: later events are not for its holder.
        if self.call == _ENDED_BY_RESTART and not shared.gate.is_still_valid(self._caller):
            self._refuse(shared.gate.revoked())
            return
        self._status = status
        if self._call.writer is not None:
            data = _OF_CONTENT.sub(b"", data) + _JSON_TYPE
            if not self.is_head:
                assert self._account is not None
                self._memory = shared.ports.budget(self._account).holding()
                self._answer, self._hold = [], self._memory.__enter__()
        if self._head.method == b"OPTIONS":
            data += _PREFLIGHT
        if status == 200 and (seconds := KEPT_BY_BROWSERS.get(self.call)):
            lines = "".join(f"{name}: {value}\r\n" for name, value in kept(seconds).items())
            data = data.replace(_NOT_KEPT, b"\r\n" + lines.encode())
        if (origin := allowed_origin(self._head, shared.settings)) is not None:
            data += b"Access-Control-Allow-Origin: %b\r\n" % origin
        if self._head.minor == b"0":
            data = data.replace(_CHUNKED, b"\r\n")
        if not self._keep or shared.draining.is_set():
            # While draining, so that the caller opens a new connection to the next controller.
            self._keep = False
            data += b"Connection: close\r\n"
        self._held = data

    @property
    def takes_chunks(self) -> bool:
        """Whether the caller's version of HTTP has chunks; if not, its connection ends the body."""
        return self._head.minor != b"0" and self._call.writer is None

    def more(self, data: bytes) -> None:
        if self._answer is not None:
            self._keep_answer(self._answer, data)
            return
        if self._held:
            data, self._held = self._held + data, b""
        self._connection.send(data)

    def finished(self) -> None:
        self._backend = None
        if self._answer is not None:
            if self._task is not None:  # it still sends: what it met later would be taken for the next request's
                self._task.cancel()
            self._begin(self._write_again(self._answer))
            return
        self._end(self._status)
        self._connection.end(self._keep)

    def _keep_answer(self, pieces: list[bytes], data: bytes) -> None:
        """Keep a part of an answer that is written again."""
        account, writer = self._account, self._call.writer
        assert account is not None
        assert writer is not None
        try:
            self._hold.add(len(data))
        except TooMuch as problem:
            self._let_go()
            self._fail(failure_of(account, problem))
            return
        pieces.append(data)
        self._answer_bytes += len(data)
        # The empty line is among it.
        if self._answer_bytes > writer.limit + 2:
            self._let_go()
            self.finished()

    async def _write_again(self, pieces: list[bytes]) -> None:
        """Answer with what the account answered, written again from its record. Raises NotAnswering."""
        assert self._account is not None
        assert self._call.writer is not None
        content = b"".join(pieces).removeprefix(b"\r\n")
        body = await self._call.writer.write(self._account, self._status, content)
        self._connection.send(self._held + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._end(self._status)
        self._connection.end(self._keep)

    def broken(self, problem: Exception) -> None:
        self._backend = None
        account = self._account
        assert account is not None
        if self._status and not self._held:
            name = type(problem).__name__
            log.warning("response ended early: path=%s error=%s", loggable(self._path), name, extra=cause(name))
            self._end(self._status)
            # Only a broken connection shows the caller that the rest is missing.
            self._connection.break_off()
        else:
            self._fail(failure_of(account, problem, self._call.seconds))

    def end_poll(self) -> None:
        """Answer a long poll without an event: the controller ends."""
        if not self._status:
            self._let_go()
            self._conclude(_no_events)

    def hung_up(self) -> None:
        self._let_go()
        self._end(0)

    def pause(self) -> None:
        if self._backend is not None:
            self._backend.pause()

    def resume(self) -> None:
        if self._backend is not None:
            self._backend.resume()

    def _let_go(self) -> None:
        """Close the connection to the account: its answer would be taken for that of the next request."""
        backend, self._backend = self._backend, None
        if backend is not None:
            backend.let_go()

    def _refuse(self, problem: Exception) -> None:
        """End the request by the caller's fault."""
        self._let_go()
        if self._status and not self._held:
            self._end(self._status)
            self._connection.break_off()
        else:
            self._conclude(partial(_raised, problem))

    def _release(self) -> None:
        """Stop all that the request still does, and give back what it has."""
        # An account may answer before it has everything: the rest of a form is not sent, nor a connection opened.
        if self._task is not None:
            self._task.cancel()
        for each in (self._place, self._share, self._memory):
            if each is not None:
                each.__exit__(None, None, None)
        self._share = self._memory = None
        self._forwarder.polls.discard(self)
        self._wake_up()

    def _end(self, status: int) -> None:
        self._release()
        if self._spool is not None:
            self._spool.close()
        part = RequestPart.WAITING if self.call in _LONG_POLLS else RequestPart.OPENWX
        part = part if self._call.account is None else RequestPart.V1
        self._forwarder.requests.note(part, status, time.monotonic() - self._began)
        if self._shared.settings.http_debug and status:
            # Never the query: it holds texts.
            log.info("%s %s: %d", self._head.method.decode(), loggable(self._path), status)

    def _fail(self, problem: PortFailure) -> None:
        assert self._account is not None
        self._conclude(partial(self._call.failed, self._account, problem))

    def _conclude(self, handler: Handler) -> None:
        """End the request with what the controller itself answers. aiohttp counts it, too."""
        self._release()
        if self._spool is not None and self._account is not None:  # else the handler may need it
            self._spool.close()
        asked = self._streams or self._spool is not None
        closes = not self._complete and ((self._head.expects and not asked) or not self._keep)
        self._connection.answer(Conclusion(self._began, handler, closes))


async def _raised(problem: Exception, _: web.Request) -> web.StreamResponse:
    raise problem


async def _foreign(problem: Refused, request: web.Request) -> web.StreamResponse:
    return request.app[FORMS].of_request(request).foreign(problem)


async def _no_events(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b"[]", headers={"Content-Type": replies.CONTENT_TYPE})


async def _unknown(
    caller: Caller, client: str | None, target: str, spool: BodySpool | None, request: web.Request
) -> web.StreamResponse:
    with contextlib.nullcontext() if spool is None else contextlib.closing(spool):
        if client is None:
            return client_unknown(request, replies.CLIENT_MISSING)
        return await to_host(request, caller, client, target, spool)
