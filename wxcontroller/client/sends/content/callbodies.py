"""Bodies of requests, and the content in them.

A body above 1 MiB is written to a file without a name and mapped into memory, which holds only the pages that are
being read. Content in it (media_data) is decoded when it is needed, in pieces, from the mapping to its destination.
So a refused request costs no decoding, and an accepted one needs as little memory as a small one.
"""

import asyncio
import contextlib
import hashlib
import mmap
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from aiohttp import web

from wxcontroller.openwx.http.admission import Admission
from wxcontroller.openwx.http.parameters import Body, Encoding, Value

# The controller's limit for reading one (ua_request_timeout).
BODY_SECONDS = 120.0
# Limits of a body to /v1. The controller forwards no larger ones; they are JSON, without pauses.
ACCOUNT_BODY_BYTES = 1 << 20
ACCOUNT_BODY_SECONDS = 10.0
# Forms and JSON are smaller; only media are larger, and they are processed in pieces.
_IN_MEMORY = 1024 * 1024
_PIECE = 256 * 1024
_TAKEN = "body that was taken"


class ContentTooLarge(ValueError):
    """The content exceeds the limit."""


@dataclass(slots=True)
class Attached:
    """Content of a request, in its body until it is written elsewhere."""

    _value: Value | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return self._value is not None and self._value.raw_size > 0

    def digest(self) -> bytes:
        """Return a hash of the content."""
        digest = hashlib.sha256()
        for piece in self._value.pieces() if self._value else ():
            digest.update(piece)
        return digest.digest()

    def move_to(self, stream: IO[bytes], limit: int) -> None:
        """Write the content, once, and release the body. Raises ContentTooLarge, and as ``stream``."""
        value, self._value = self._value, None
        if value is None or (value.encoding is Encoding.NONE and value.raw_size > limit):
            raise ContentTooLarge
        written = 0
        for piece in value.pieces():
            # The announced length may be wrong, and for base64 it is only known afterwards.
            written += len(piece)
            if written > limit:
                raise ContentTooLarge
            stream.write(piece)


class TooLarge(web.HTTPRequestEntityTooLarge):
    """A body of more than ``limit`` bytes."""

    def __init__(self, limit: int, size: int) -> None:
        super().__init__(limit, size)
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Bodies:
    """Reads bodies of at most ``limit`` bytes, large ones into ``directory``, within what ``admission`` grants."""

    admission: Admission
    limit: int
    directory: Path

    async def take(self, request: web.Request, limit: int) -> bytes:
        """Read a small body of at most ``limit`` bytes, and leave it for later readers.

        Raises as ``read``, but for OSError.
        """
        taken: bytes | None = request.get(_TAKEN)
        if taken is None:
            content, limit = bytearray(), min(limit, self.limit)
            refuse_announced(request, limit)
            async with asyncio.timeout(BODY_SECONDS):
                async for piece in request.content.iter_chunked(_PIECE):
                    self.admission.hold(request, len(piece))
                    content += piece
                    if len(content) > limit:
                        raise TooLarge(limit, len(content))
            # The stream can be read once, and both the token and the parameters may be in it.
            taken = request[_TAKEN] = bytes(content)
        return taken

    async def read(self, request: web.Request) -> Body:
        """Read a body; a large one is mapped from a file, which is deleted with the mapping.

        Raises TooLarge, HTTPUnsupportedMediaType for a compressed one, RequestPayloadError, TimeoutError for a body
        that is incomplete after BODY_SECONDS, OSError when it cannot be written, and Busy.
        """
        taken: bytes | None = request.get(_TAKEN)
        if taken is not None:
            return taken
        refuse_announced(request, self.limit)
        small, size = bytearray(), 0
        with contextlib.ExitStack() as stack:
            large: IO[bytes] | None = None
            async with asyncio.timeout(BODY_SECONDS):
                async for piece in request.content.iter_chunked(_PIECE):
                    self.admission.hold(request, len(piece))
                    size += len(piece)
                    if size > self.limit:
                        raise TooLarge(self.limit, size)
                    if large is None and size > _IN_MEMORY:
                        large = stack.enter_context(await asyncio.to_thread(nameless, self.directory))
                        await asyncio.to_thread(large.write, small)
                    if large is None:
                        small += piece
                    else:
                        await asyncio.to_thread(large.write, piece)
            if large is None:
                return bytes(small)
            large.flush()
            return mmap.mmap(large.fileno(), size, access=mmap.ACCESS_READ)  # duplicates the descriptor

    async def small(self, request: web.Request) -> bytes:
        """Read the body of a request to /v1. Raises as ``take``."""
        async with asyncio.timeout(ACCOUNT_BODY_SECONDS):
            return await self.take(request, ACCOUNT_BODY_BYTES)


BODIES = web.AppKey("bodies", Bodies)


def refuse_announced(request: web.Request, limit: int) -> None:
    """Refuse a body by its headers, before any of it is read."""
    announced = request.content_length or 0
    if announced > limit:
        raise TooLarge(limit, announced)
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise web.HTTPUnsupportedMediaType  # a few packed bytes could become any number


def nameless(directory: Path) -> IO[bytes]:
    """Return a file that is deleted when it is closed. On the account's disk, because /tmp may be in memory."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=directory)
