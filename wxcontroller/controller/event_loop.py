"""The controller's event loop: uvloop's, with each socket closed once."""

import socket
from typing import Any

import uvloop


class EventLoop(uvloop.Loop):
    """uvloop with a fix: a cancelled connection attempt does not close an unrelated file.

    uvloop 0.21 closes the descriptor of a ``sock`` whose connection attempt is cancelled. The Python socket does not
    notice: when collected, it closes that number again, which may by then be a caller's connection or a
    database. aiohttp's client makes all its connections this way. https://github.com/MagicStack/uvloop/issues/738
    """

    async def create_connection(
        self, *args: Any, sock: socket.socket | None = None, **options: Any
    ) -> tuple[Any, Any]:
        """Has the parameters, result and errors of asyncio's method. ``sock`` belongs to the loop, also when this
        fails.
        """
        try:
            return await super().create_connection(*args, sock=sock, **options)
        except BaseException:
            if sock is not None:
                sock.detach()
            raise
