"""Ports for tests that run in parallel: each process has its own.

They are below the range from which the kernel picks for outgoing connections and port 0: a port that is found free
here is still free when something listens on it a moment later.
"""

import itertools
import socket

_SLICES = range(10_000, 30_000, 200)


def _claimed() -> tuple[int, socket.socket]:
    """Return the first port of a slice, and a socket on its last port, which reserves it until this process ends."""
    for first in _SLICES:
        held = socket.socket()
        try:
            held.bind(("127.0.0.1", first + _SLICES.step - 1))
        except OSError:
            held.close()
        else:
            return first, held
    raise RuntimeError(f"no ports left: {len(_SLICES)} processes run tests on this machine")


# A hundred ports for accounts, then those of ``free_port``.
FIRST_PORT, _held = _claimed()
_next = itertools.cycle(range(FIRST_PORT + 100, FIRST_PORT + _SLICES.step - 1))


def free_port() -> int:
    """Return a port that nothing listens on, a different one each time."""
    for port in itertools.islice(_next, 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")
