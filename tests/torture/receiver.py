"""A webhook that can be taken away, be rude, or never answer, and that keeps books of what it took."""

import contextlib
import json
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.system.host import Host
from tests.torture.ledger import Arrival, Ledger


class Mood(StrEnum):
    """How it treats those who call."""

    GOOD = "takes all"
    REFUSES = "answers 503"
    FORGETS = "takes it and answers 500"
    HANGS = "takes it and never answers"
    GONE = "does not listen"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._lines: set[socket.socket] = set()
        super().__init__(address, handler)

    def process_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        self._lines.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: object) -> None:
        assert isinstance(request, socket.socket)
        self._lines.discard(request)
        super().shutdown_request(request)

    def break_off(self) -> None:
        """Close the connections that callers keep: a receiver that is gone takes nothing on them either."""
        for line in tuple(self._lines):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of callers that were killed: that is what the run is for."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@dataclass
class Receiver:
    """Listens on the host's loopback as a context manager; ``mood`` may change at any time."""

    host: Host
    ledger: Ledger
    port: int = 8901
    mood: Mood = Mood.GOOD
    calls: int = 0
    _server: "_Server | None" = field(default=None, repr=False)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def __enter__(self) -> "Receiver":
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def listen(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:
                    raise ConnectionResetError
                status = receiver.take(self.path, self.headers.get("X-Wx-Delivery", ""), json.loads(body))
                if not status:
                    time.sleep(60)
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        with self.host.netns():
            self._server = _Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def leave(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.break_off()
            self._server = None

    def take(self, path: str, delivery: str, report: dict[str, object]) -> int:
        """Note a report as ``mood`` says; return the status of the answer, 0 for none."""
        self.calls += 1
        if self.mood is Mood.REFUSES:
            return 503
        if report.get("post_type") == "receive_message":
            account = parse_qs(urlsplit(path).query).get("client", [""])[0]
            self.ledger.arrive(Arrival(account, str(report["id"]), delivery))
        return {Mood.FORGETS: 500, Mood.HANGS: 0}.get(self.mood, 200)
