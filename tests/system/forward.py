"""Ports of this machine that lead into a booted host, for browsers."""

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator

from tests.system.host import Host

_REQUEST = re.compile(rb"^([A-Z]+ \S+) HTTP/1\.1\r$", re.MULTILINE)


def _unheeded(piece: bytes) -> None:
    pass


@contextlib.contextmanager
def forwarded(host: Host, port: int, received: list[str] | None = None) -> Iterator[int]:
    """Forward a free port of this machine to a port inside the host, and yield it.

    ``received`` gets method and path of each HTTP request.
    """

    def note(piece: bytes) -> None:
        assert received is not None
        received.extend(found.decode() for found in _REQUEST.findall(piece))

    listener = socket.create_server(("127.0.0.1", 0))
    with passing_on(listener, host, port, _unheeded if received is None else note):
        yield int(listener.getsockname()[1])


@contextlib.contextmanager
def passing_on(
    listener: socket.socket, host: Host, port: int, heed: Callable[[bytes], None] = _unheeded
) -> Iterator[None]:
    """Forward connections of a listener, which is closed afterwards, to a port inside the host.

    ``heed`` is called with each piece of bytes to the host.
    """
    thread = threading.Thread(target=_accept, args=(listener, host, port, heed), daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)  # wakes the thread, unlike a close
        thread.join()
        listener.close()


def _accept(listener: socket.socket, host: Host, port: int, heed: Callable[[bytes], None]) -> None:
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_pass_on, args=(near, host, port, heed), daemon=True).start()


def _pass_on(near: socket.socket, host: Host, port: int, heed: Callable[[bytes], None]) -> None:
    with near, contextlib.suppress(OSError):
        with host.netns():
            far = socket.create_connection(("127.0.0.1", port))
        with far:
            back = threading.Thread(target=_copy, args=(far, near), daemon=True)
            back.start()
            _copy(near, far, heed)
            back.join()


def _copy(source: socket.socket, target: socket.socket, heed: Callable[[bytes], None] = _unheeded) -> None:
    """Copy until the end of one side, then end the other one."""
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            heed(piece)
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
