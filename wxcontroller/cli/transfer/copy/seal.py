"""Encryption of a stream with a passphrase, authenticated: changes and truncation are detected.

scrypt makes the key. The content goes in pieces through ChaCha20-Poly1305; a piece's nonce holds its number and
whether it is the last (the STREAM construction), and the header is authenticated with each. So pieces cannot be
swapped, repeated or left out, and no piece is read before it is authenticated.
"""

import hashlib
import os
import struct
from collections.abc import Callable
from typing import IO, Protocol

from wxcontroller.core.errors import WxError
from wxcontroller.core.text.templates import N_

MAGIC = b"wxaccount 1\n"
_COST = 17  # log2 of scrypt's n: 128 MiB, about half a second
_MAX_COST = 20  # of a file from an unknown source
_SALT, _PREFIX, _TAG = 16, 7, 16
_PIECE = 64 * 1024
_HEADER = struct.Struct(f"!{len(MAGIC)}sB{_SALT}s{_PREFIX}s")


class Readable(Protocol):
    """The source of sealed or opened content."""

    def read(self, size: int, /) -> bytes: ...


class Locked(WxError, exit_code=9):
    """An exported account cannot be decrypted or is damaged."""


def key(passphrase: bytes, salt: bytes, cost: int) -> bytes:
    # scrypt takes 128 * n * r bytes; by default OpenSSL refuses more than 32 MiB.
    return hashlib.scrypt(
        passphrase, salt=salt, n=1 << cost, r=8, p=1, maxmem=(1 << cost) * 1024 + (1 << 26), dklen=32
    )


def _nonce(prefix: bytes, number: int, last: bool) -> bytes:
    # 7 + 4 + 1 bytes, the length of ChaCha20-Poly1305's nonce. The salt makes each file's key its own, so no key
    # meets a nonce twice.
    return prefix + struct.pack("!IB", number, last)


class Sealer:
    """A writer that encrypts to ``out``. ``close`` completes the stream."""

    def __init__(self, out: IO[bytes], passphrase: bytes, cost: int = _COST) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305  # takes its time

        salt, self._prefix = os.urandom(_SALT), os.urandom(_PREFIX)
        self._cipher = ChaCha20Poly1305(key(passphrase, salt, cost))
        self._header = _HEADER.pack(MAGIC, cost, salt, self._prefix)
        self._out = out
        self._buffer = bytearray()
        self._number = 0
        self.written = out.write(self._header)

    def write(self, content: bytes) -> int:
        self._buffer += content
        while len(self._buffer) > _PIECE:  # keep one full piece: it may be the last
            self._emit(bytes(self._buffer[:_PIECE]), last=False)
            del self._buffer[:_PIECE]
        return len(content)

    def close(self) -> None:
        """Write the last piece. Without it the whole cannot be opened."""
        self._emit(bytes(self._buffer), last=True)
        self._buffer.clear()

    def _emit(self, piece: bytes, last: bool) -> None:
        nonce = _nonce(self._prefix, self._number, last)
        self.written += self._out.write(self._cipher.encrypt(nonce, piece, self._header))
        self._number += 1


class Opener:
    """A reader of the content that a Sealer wrote to ``source``. Raises Locked if it is not authentic.

    ``passphrase`` is called once the header is valid, so that other kinds of files prompt for none.
    """

    def __init__(self, source: Readable, passphrase: Callable[[], bytes]) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        self._header = read_exactly(source, _HEADER.size)
        if len(self._header) < _HEADER.size or not self._header.startswith(MAGIC):
            raise Locked(N_("this is not an account exported by wxctl"), N_("name a file that wxctl export wrote"))
        _, cost, salt, self._prefix = _HEADER.unpack(self._header)
        if cost > _MAX_COST:
            raise Locked(
                N_("opening the file would need more memory than any file written by wxctl"), N_("get another copy")
            )
        self._cipher = ChaCha20Poly1305(key(passphrase(), salt, cost))
        self._source = source
        self._number = 0
        # Read one piece ahead: the nonce contains whether a piece is the last.
        self._ahead = read_exactly(source, _PIECE + _TAG)
        self._buffer = b""
        self.ended = False

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes, none at the end."""
        while len(self._buffer) < size and not self.ended:
            self._buffer += self._piece()
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def finish(self) -> None:
        """Read to the end, so that truncation is noticed."""
        while self.read(_PIECE):
            pass

    def _piece(self) -> bytes:
        from cryptography.exceptions import InvalidTag

        sealed, self._ahead = self._ahead, read_exactly(self._source, _PIECE + _TAG)
        last = not self._ahead
        try:
            piece = self._cipher.decrypt(_nonce(self._prefix, self._number, last), sealed, self._header)
        except (InvalidTag, ValueError):
            why = (
                "the passphrase is wrong, or the file damaged"
                if self._number == 0
                else "the file is damaged or cut off"
            )
            raise Locked(
                N_("the exported account cannot be opened: {why}"), N_("nothing was imported"), why=why
            ) from None
        self._number += 1
        self.ended = last
        return piece


def read_exactly(source: Readable, size: int) -> bytes:
    """Read this many bytes, fewer only at the end: pipes return partial data."""
    found = bytearray()
    while len(found) < size and (piece := source.read(size - len(found))):
        found += piece
    return bytes(found)
