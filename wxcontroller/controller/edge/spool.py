"""A request body stored in a file, because it must be searched before it can be forwarded."""

import asyncio
import contextlib
import mmap
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from aiohttp import web

# Ordinary forms never touch the disk.
_IN_MEMORY = 1024 * 1024
_CHUNK = 256 * 1024


@dataclass(slots=True)
class BodySpool:
    """A body of ``size`` bytes, in memory or in a file. Good for one ``chunks``."""

    _content: bytes
    _file: IO[bytes] | None
    size: int
    _spans: Sequence[tuple[int, int]]

    @contextlib.contextmanager
    def view(self) -> Iterator[bytes | mmap.mmap]:
        """The whole body: as bytes when it is small, mapped when it is in a file."""
        if self._file is None:
            yield self._content
            return
        self._file.flush()
        with mmap.mmap(self._file.fileno(), self.size, access=mmap.ACCESS_READ) as mapped:
            yield mapped

    def keep(self, spans: Sequence[tuple[int, int]]) -> None:
        """Keep only these ranges of the body."""
        self._spans = spans

    @property
    def length(self) -> int:
        """The number of bytes that ``chunks`` yields."""
        return sum(end - start for start, end in self._spans)

    @property
    def small(self) -> bytes | None:
        """What ``chunks`` yields, if the body is in memory."""
        if self._file is not None:
            return None
        return b"".join([self._content[start:end] for start, end in self._spans])

    def close(self) -> None:
        """Delete the file, if there is one."""
        if self._file is not None:
            self._file.close()

    async def chunks(self) -> AsyncIterator[bytes]:
        if self._file is None:
            yield self.small or b""
            return
        for start, end in self._spans:
            self._file.seek(start)
            while chunk := await asyncio.to_thread(self._file.read, min(_CHUNK, end - start)):
                yield chunk
                start += len(chunk)


def in_memory(content: bytes) -> BodySpool:
    """Return a body that is here."""
    return BodySpool(content, None, len(content), [(0, len(content))])


async def spooled(pieces: AsyncIterator[bytes], limit: int) -> BodySpool:
    """Read a body of at most ``limit`` bytes. Raises HTTPRequestEntityTooLarge, and as ``pieces``."""
    content: list[bytes] = []
    file: IO[bytes] | None = None
    size = 0
    try:
        async for piece in pieces:
            size += len(piece)
            if size > limit:
                raise web.HTTPRequestEntityTooLarge(limit, size)
            content.append(piece)
            if size > _IN_MEMORY:
                if file is None:
                    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
                await asyncio.to_thread(file.write, b"".join(content))
                content.clear()
    except BaseException:
        if file is not None:
            file.close()
        raise
    return BodySpool(b"".join(content), file, size, [(0, size)])
