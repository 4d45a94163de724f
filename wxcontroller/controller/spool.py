"""A request body stored in a file, because it must be searched before it can be forwarded."""

import asyncio
import contextlib
import mmap
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from aiohttp import web

from wxcontroller.controller.body import chunks

# Ordinary forms never touch the disk.
_IN_MEMORY = 1024 * 1024
_CHUNK = 256 * 1024


@dataclass(slots=True)
class BodySpool:
    """A body of ``size`` bytes. Good for one ``chunks``."""

    _stream: "tempfile.SpooledTemporaryFile[bytes]"
    size: int
    _spans: Sequence[tuple[int, int]]

    @contextlib.contextmanager
    def view(self) -> Iterator[bytes | mmap.mmap]:
        """The whole body: as bytes when it is small, mapped when it is in a file."""
        stream = self._stream
        stream.flush()
        if self.size <= _IN_MEMORY:
            stream.seek(0)
            yield stream.read()
            return
        with mmap.mmap(stream.fileno(), self.size, access=mmap.ACCESS_READ) as mapped:
            yield mapped

    def keep(self, spans: Sequence[tuple[int, int]]) -> None:
        """Keep only these ranges of the body."""
        self._spans = spans

    @property
    def length(self) -> int:
        """The number of bytes that ``chunks`` yields."""
        return sum(end - start for start, end in self._spans)

    async def chunks(self) -> AsyncIterator[bytes]:
        for start, end in self._spans:
            self._stream.seek(start)
            while chunk := await self._read(min(_CHUNK, end - start)):
                yield chunk
                start += len(chunk)

    async def _read(self, limit: int) -> bytes:
        """Read on; no thread is needed for content in memory."""
        if self.size <= _IN_MEMORY:
            return self._stream.read(limit)
        return await asyncio.to_thread(self._stream.read, limit)


@contextlib.asynccontextmanager
async def spooled(request: web.Request, limit: int) -> AsyncIterator[BodySpool]:
    """Read a body of at most ``limit`` bytes; the file is deleted after the block.

    Raises HTTPRequestEntityTooLarge, and as ``chunks``.
    """
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as stream:
        size = 0
        async for chunk in chunks(request):
            size += len(chunk)
            if size > limit:
                raise web.HTTPRequestEntityTooLarge(limit, size)
            if size > _IN_MEMORY:
                await asyncio.to_thread(stream.write, chunk)
            else:
                stream.write(chunk)
        yield BodySpool(stream, size, [(0, size)])
