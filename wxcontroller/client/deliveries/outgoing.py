"""The body of a POST to a receiver."""

from collections.abc import Iterator

# Written in parts: the transport would otherwise buffer a second copy of the whole body.
_PART = 64 * 1024


class Outgoing:
    """A body, and how far it was written: ``begun``, ``done``.

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
        """Begin again, for another request."""
        self.begun = self.done = False

    def parts(self) -> Iterator[memoryview]:
        """Yield the body; each part has been written when the next one is asked for."""
        self.begun = True
        for start in range(0, self.size, _PART):
            yield self._body[start : start + _PART]
        self.done = True

    def single_part(self) -> memoryview | None:
        """Return a body that is one part, to be written now; None for a larger one."""
        self.begun = True
        # One write, one packet: the receiver wakes once. Larger bodies wait for the socket in between.
        self.done = self.size <= _PART
        return self._body if self.done else None
