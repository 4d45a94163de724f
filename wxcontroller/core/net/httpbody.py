"""The body of a request, and how far it was written."""

from collections.abc import AsyncGenerator
from typing import Protocol

# Written in parts: the transport would otherwise buffer a second copy of the whole body.
_PART = 64 * 1024


class HttpBody(Protocol):
    """A body of known size. ``done``: all of it was written."""

    size: int
    done: bool

    def rewind(self) -> None:
        """Begin again, for another request."""

    def single_part(self) -> memoryview | None:
        """Return a body that is one part, to be written now; None for one that is written in ``parts``."""

    def parts(self) -> AsyncGenerator[bytes | memoryview]:
        """Yield the body; each part has been written when the next one is asked for."""


class Outgoing:
    """A body in memory, and how far it was written: ``begun``, ``done``.

    ``release`` it after the attempt: exceptions of the library are in reference cycles with the frames of their
    callers, which would keep a body of 14 MB until the next garbage collection.
    """

    def __init__(self, body: bytes | bytearray) -> None:
        self._body = memoryview(body)
        self.size = len(body)
        self.begun = self.done = False

    def release(self) -> None:
        """Release the body."""
        self._body = memoryview(b"")

    def rewind(self) -> None:
        """See HttpBody."""
        self.begun = self.done = False

    def single_part(self) -> memoryview | None:
        """See HttpBody."""
        self.begun = True
        # One write, one packet: the receiver wakes once. Larger bodies wait for the socket in between.
        self.done = self.size <= _PART
        return self._body if self.done else None

    async def parts(self) -> AsyncGenerator[bytes | memoryview]:
        """See HttpBody."""
        self.begun = True
        for start in range(0, self.size, _PART):
            yield self._body[start : start + _PART]
        self.done = True
