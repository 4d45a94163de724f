"""The bytes of pictures, voices and files: on disk under their MD5; the oldest are deleted above a total size."""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from aiohttp import web

MAX_BYTES = 512 * 1024 * 1024  # bytes in total
_PART = ".part"


@dataclass(frozen=True, slots=True)
class ContentItem:
    """Content of a message: ``kind`` is image, emoticon, voice, video or file; ``md5`` finds the bytes."""

    kind: str
    md5: str
    size: int
    name: str = ""
    mime: str = "application/octet-stream"


class Download(web.FileResponse):
    """Content, served from the disk; supports Range."""

    def __init__(self, path: Path, mime: str) -> None:
        super().__init__(path, headers={"Content-Type": mime})
        self.path = path


class ServerContents:
    """All content, in a temporary directory until ``close``."""

    def __init__(self) -> None:
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._sizes: dict[str, int] = {}  # oldest first
        self._total = 0
        self._serial = 0

    def close(self) -> None:
        """Remove temporary files."""
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None
            self._sizes, self._total = {}, 0

    def _place(self) -> Path:
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="wxsandbox-")
        return Path(self._temporary.name)

    def add(self, data: bytes) -> str:
        """Keep ``data``; return its MD5."""
        incoming = self.begin()
        incoming.append(data)
        return self.finish(incoming)

    def begin(self) -> "PartialContent":
        """Begin to receive content in pieces."""
        self._serial += 1
        return PartialContent(self._place() / f"{self._serial}{_PART}")

    def finish(self, incoming: "PartialContent") -> str:
        """Keep the received content; return its MD5."""
        incoming.file.close()
        md5 = incoming.md5
        incoming.path.replace(self._place() / md5)
        self._total += incoming.size - self._sizes.pop(md5, 0)
        self._sizes[md5] = incoming.size
        while len(self._sizes) > 1 and self._total > MAX_BYTES:
            oldest = next(iter(self._sizes))
            self._total -= self._sizes.pop(oldest)
            (self._place() / oldest).unlink(missing_ok=True)
        return md5

    def path(self, md5: str) -> Path | None:
        """Return the path of content, None if it is unknown or was deleted."""
        return self._place() / md5 if md5 in self._sizes else None

    def mime(self, md5: str) -> str:
        """Return the type of content, from its first bytes."""
        path = self.path(md5)
        if path is None:
            return kind_of(b"")
        with path.open("rb") as file:
            return kind_of(file.read(16))

    def size(self, md5: str) -> int:
        """Return the size of content, 0 if it is missing."""
        return self._sizes.get(md5, 0)


class PartialContent:
    """Content that is received in pieces."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: BinaryIO = path.open("wb")
        self.size = 0
        self._hash = hashlib.md5(usedforsecurity=False)

    @property
    def md5(self) -> str:
        """Lower-case hex MD5 of the content received so far."""
        return self._hash.hexdigest()

    def append(self, data: bytes) -> None:
        """Add the next piece."""
        self.file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def drop(self) -> None:
        """Discard it."""
        self.file.close()
        self.path.unlink(missing_ok=True)


def kind_of(head: bytes) -> str:
    """Return the MIME type that the first bytes indicate (13 are enough)."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head[:3] == b"\xff\xd8\xff":
        return "image/jpeg"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "image/gif"
    if head[:2] == b"BM":
        return "image/bmp"
    if head[4:8] == b"ftyp":
        return "video/mp4"
    if head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0):
        return "audio/mpeg"
    return "application/octet-stream"
