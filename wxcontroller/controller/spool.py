"""A request body stored in a file, because it must be searched before it can be forwarded."""

import asyncio
import contextlib
import mmap
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from aiohttp import web

# Ordinary forms never touch the disk.
IN_MEMORY = 1024 * 1024
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
        if self.size <= IN_MEMORY:
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

    def whole(self) -> bytes:
        """Return what ``chunks`` yields, of a body that is small."""
        with self.view() as body:
            return b"".join(body[start:end] for start, end in self._spans)

    def close(self) -> None:
        """Delete the file, if there is one."""
        self._stream.close()

    async def chunks(self) -> AsyncIterator[bytes]:
        for start, end in self._spans:
            self._stream.seek(start)
            while chunk := await self._read(min(_CHUNK, end - start)):
                yield chunk
                start += len(chunk)

    async def _read(self, limit: int) -> bytes:
        """Read on; no thread is needed for content in memory."""
        if self.size <= IN_MEMORY:
            return self._stream.read(limit)
        return await asyncio.to_thread(self._stream.read, limit)


async def spooled(pieces: AsyncIterator[bytes], limit: int) -> BodySpool:
    """Read a body of at most ``limit`` bytes. Raises HTTPRequestEntityTooLarge, and as ``pieces``."""
    # The caller closes it.
    stream: tempfile.SpooledTemporaryFile[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
    size = 0
    try:
        async for piece in pieces:
            size += len(piece)
            if size > limit:
                raise web.HTTPRequestEntityTooLarge(limit, size)
            if size > IN_MEMORY:
                await asyncio.to_thread(stream.write, piece)
            else:
                stream.write(piece)
    except BaseException:
        stream.close()
        raise
    return BodySpool(stream, size, [(0, size)])
