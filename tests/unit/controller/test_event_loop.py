"""The controller's event loop with real sockets."""

import asyncio
import gc
import os
import socket

from wxcontroller.controller.event_loop import EventLoop


async def test_a_connection_that_is_broken_off_closes_no_other_file() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, EventLoop)
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        ours.setblocking(False)
        number = ours.fileno()
        opening = asyncio.create_task(loop.create_connection(asyncio.Protocol, sock=ours))
        await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait([opening])
        assert opening.cancelled()

        innocent = os.open(os.devnull, os.O_RDONLY)
        assert innocent == number, "the number is free again, and the next file gets it"
        del ours, opening
        gc.collect()
        os.fstat(innocent)
        os.close(innocent)
