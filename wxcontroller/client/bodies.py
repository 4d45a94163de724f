"""Bodies of requests: small ones in memory, large ones in a file that has no name and goes with the request."""

import asyncio
import contextlib
import hashlib
import mmap
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from aiohttp import web

from wxcontroller.openwx.parameters import Body

_IN_MEMORY = 1024 * 1024
_PIECE = 256 * 1024
_TAKEN = "body that was taken"


@dataclass(slots=True)
class Attached:
    """Content that came with a request, in memory until it is taken: whoever keeps the request does not keep it."""

    _data: bytes = field(default=b"", repr=False)

    def __bool__(self) -> bool:
        return bool(self._data)

    def digest(self) -> bytes:
        """Return a hash of the content."""
        return hashlib.sha256(self._data).digest()

    def take(self) -> bytes:
        """Return the content, once."""
        data, self._data = self._data, b""
        return data


class TooLarge(web.HTTPRequestEntityTooLarge):
    """A body of more than ``most`` bytes."""

    def __init__(self, most: int, size: int) -> None:
        super().__init__(most, size)
        self.most = most


async def take(request: web.Request, most: int, seconds: float, hold: Callable[[int], None]) -> bytes:
    """Read a request's body of at most ``most`` bytes in ``seconds``, and leave it for whoever reads it after.

    ``hold`` hears of each piece. Raises as ``body_of``, but for OSError.
    """
    taken: bytes | None = request.get(_TAKEN)
    if taken is None:
        content = bytearray()
        _refuse(request, most)
        async with asyncio.timeout(seconds):
            async for piece in request.content.iter_chunked(_PIECE):
                hold(len(piece))
                content += piece
                if len(content) > most:
                    raise TooLarge(most, len(content))
        taken = request[_TAKEN] = bytes(content)
    return taken


@contextlib.asynccontextmanager
async def body_of(
    request: web.Request, directory: Path, most: int, seconds: float, hold: Callable[[int], None]
) -> AsyncIterator[Body]:
    """Read a request's body; a large one is mapped from a file in ``directory`` for the duration of the block.

    ``hold`` hears of each piece. Raises TooLarge, HTTPUnsupportedMediaType for one that is packed,
    RequestPayloadError, TimeoutError for a body that is not there after ``seconds``, OSError when it can't be
    written, and as ``hold``.
    """
    taken: bytes | None = request.get(_TAKEN)
    if taken is not None:
        yield taken
        return
    _refuse(request, most)
    small, size = bytearray(), 0
    with contextlib.ExitStack() as stack:
        large: IO[bytes] | None = None
        async with asyncio.timeout(seconds):
            async for piece in request.content.iter_chunked(_PIECE):
                hold(len(piece))
                size += len(piece)
                if size > most:
                    raise TooLarge(most, size)
                if large is None and size > _IN_MEMORY:
                    large = stack.enter_context(_nameless(directory))
                    large.write(small)
                if large is None:
                    small += piece
                else:
                    large.write(piece)
        if large is None:
            yield bytes(small)
            return
        small.clear()
        large.flush()
        with mmap.mmap(large.fileno(), size, access=mmap.ACCESS_READ) as mapped:
            yield mapped


def _refuse(request: web.Request, most: int) -> None:
    """Refuse what need not be waited for."""
    announced = request.content_length or 0
    if announced > most:
        raise TooLarge(most, announced)
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise web.HTTPUnsupportedMediaType  # some bytes of it could become any number


def _nameless(directory: Path) -> IO[bytes]:
    """Return a file that is gone when it is closed. On the account's own disk: /tmp may be memory."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=directory)
