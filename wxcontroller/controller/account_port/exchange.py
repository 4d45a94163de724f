"""One request of the fast path (``fastpath``), and its answer."""

import logging
import time

from wxcontroller.controller.account_port.backends import Backend, Backends, BadResponse
from wxcontroller.controller.account_port.failures import NotAnswering, PortFailure, failure_of
from wxcontroller.controller.account_port.requestheads import HeaderBlock, RequestLine
from wxcontroller.controller.authentication import Caller
from wxcontroller.controller.context import Context
from wxcontroller.controller.metrics.requests import RequestFigures, RequestPart
from wxcontroller.core.access import loggable
from wxcontroller.core.account import Account
from wxcontroller.core.summaries import cause
from wxcontroller.openwx.admission import AdmissionSlot
from wxcontroller.openwx.connection import HandedOver, HttpConnection
from wxcontroller.openwx.credentials import HOLDER_HEADER

log = logging.getLogger(__name__)


class ProxiedExchange:
    """A request on its way to an account, and the answer on its way back.

    It is the ``ResponseSink`` of its connection to the account, and the ``Exchange`` of its caller's connection.
    """

    __slots__ = (
        *("_account", "_backend", "_backends", "_began", "_caller", "_connection", "_data", "_gone", "_head"),
        *("_keep", "_line", "_place", "_requests", "_sent", "_shared", "_status", "is_head"),
    )

    def __init__(
        self,
        shared: Context,
        backends: Backends,
        requests: RequestFigures,
        connection: HttpConnection,
        account: Account,
        caller: Caller,
        place: AdmissionSlot,
        data: bytes,
    ) -> None:
        self._shared, self._backends, self._requests = shared, backends, requests
        self._connection = connection
        self._account, self._caller, self._place = account, caller, place
        self._data = data  # the request as received
        self._began = connection.heard
        self._backend: Backend | None = None
        self._head = b""  # part of the answer, until more arrives
        self._status = 0  # of the answer, once the caller gets it
        self._keep = True
        self._gone = False  # the caller is
        self.is_head = False

    def set_request(self, line: RequestLine, block: HeaderBlock, content: bytes) -> None:
        """Set the request for the account."""
        self.is_head = line.is_head
        length = b"Content-Length: %d\r\n" % len(content) if line.has_form else b""
        self._line, self._sent = line.sent, block.sent + length + b"\r\n" + content

    # -- towards the account

    def ask(self, backend: Backend) -> None:
        """Send the request over a connection."""
        self._backend = backend
        token = self._caller.token
        holder = f"{HOLDER_HEADER}: {token}\r\n".encode() if token else b""
        backend.ask(self, self._line + backend.begin[self._caller.scope] + holder + self._sent)

    async def ask_new(self, seconds: float) -> None:
        """Send the request over a new connection."""
        try:
            backend = await self._backends.opened(self._account, seconds)
        except (TimeoutError, PortFailure) as problem:
            if not self._gone:
                self._fall_back(problem if isinstance(problem, PortFailure) else failure_of(self._account, problem))
            return
        if self._gone:
            # The caller disconnected meanwhile: the connection can be used for the next one.
            self._backends.keep(backend)
        else:
            self.ask(backend)

    def latest(self) -> float:
        settings, backend = self._shared.settings, self._backend
        latest = self._began + settings.ua_request_timeout
        if backend is None or backend.paused:
            return latest
        return min(latest, backend.used + settings.ua_inactivity_timeout)

    # -- towards the caller

    def answered(self, status: int, data: bytes) -> None:
        self._status = status
        if self._shared.draining.is_set():
            # Announced in the answer, so that the caller opens a new connection to the next controller.
            self._keep = False
            data += b"Connection: close\r\n"
        # Held until the body's first part: head and body in one write.
        self._head = data

    def more(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        self._connection.send(data)

    def finished(self) -> None:
        self._end(self._status)
        self._connection.end(self._keep)

    def broken(self, problem: Exception) -> None:
        if self._status and not self._head:
            name = type(problem).__name__
            log.warning("response ended early: path=%s error=%s", loggable(self._path), name, extra=cause(name))
            self._end(self._status)
            # The head was sent: only a broken connection shows the caller that the rest is missing.
            self._connection.break_off()
        elif isinstance(problem, BadResponse) and problem.why is not None:
            self._fall_back(NotAnswering(self._account, problem.why))
        else:
            self._fall_back(failure_of(self._account, problem))

    def hung_up(self) -> None:
        self._gone = True
        self._end(0)
        if self._backend is not None:
            # Closed: its answer is still outstanding, and would be taken for that of the next request.
            self._backend.let_go()

    def pause(self) -> None:
        if self._backend is not None:
            self._backend.pause()

    def resume(self) -> None:
        if self._backend is not None:
            self._backend.resume()

    @property
    def _path(self) -> str:
        return self._line.split(b" ", 2)[1].partition(b"?")[0].decode()

    def _end(self, status: int) -> None:
        self._place.__exit__()
        self._requests.note(RequestPart.OPENWX, status, time.monotonic() - self._began)

    def _fall_back(self, problem: PortFailure) -> None:
        """Let the regular proxy answer the request: it has the error messages."""
        # The regular proxy counts the request itself.
        self._place.__exit__()
        self._connection.hand_over(self._data, HandedOver(self._began, problem))
