"""A connection between machines of the tests that can fail."""

import asyncio
import contextlib


class Link:
    """A port that passes everything on to another port.

    While it is cut, nothing gets through. The response to a request that contains ``lost`` is never passed on.
    """

    def __init__(self, address: str, port: int, lost: bytes = b"") -> None:
        self._target = address, port
        self._lost = lost
        self._intact = asyncio.Event()
        self._intact.set()

    async def __aenter__(self) -> "Link":
        self._server = await asyncio.start_server(self._serve, self._target[0], 0)
        return self

    async def __aexit__(self, *problem: object) -> None:
        self.repair()
        self._server.close()

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        self._intact.clear()

    def repair(self) -> None:
        self._intact.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_lost = False

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            nonlocal is_lost
            try:
                while piece := await source.read(65536):
                    await self._intact.wait()
                    if source is reader:
                        is_lost |= bool(self._lost) and self._lost in piece
                    elif is_lost:
                        break
                    sink.write(piece)
            finally:
                sink.close()

        with contextlib.suppress(OSError, ExceptionGroup):
            there, onward = await asyncio.open_connection(*self._target)
            async with asyncio.TaskGroup() as group:
                _ = group.create_task(pump(reader, onward))
                _ = group.create_task(pump(there, writer))
