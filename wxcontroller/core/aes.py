"""Content on WeChat's CDN: AES-128 in ECB mode with PKCS#7 padding, and the four ways of writing a key (11.1).

Imported only when media are transferred: the library takes memory that idle accounts don't need.
"""

import base64
import binascii
import secrets
from collections.abc import Iterator
from typing import BinaryIO

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK = 16
_CHUNK = 256 << 10


class BadCiphertext(ValueError):
    """Content that does not decrypt with its key."""


def new_key() -> bytes:
    return secrets.token_bytes(BLOCK)


def outbound_form(key: bytes) -> str:
    """Return a key as ``media.aes_key`` of a send: base64 of the hex digits, for every kind of media.

    Base64 of the raw key uploads well but shows as an empty bubble on the phone.
    """
    return base64.b64encode(key.hex().encode()).decode()


def read_key(aes_key: str, hex_key: str = "") -> bytes:
    """Return the key of received media: ``hex_key`` (``image_item.aeskey``) if there is one, else ``aes_key``.

    ``aes_key`` is base64 of the raw key or of its hex digits. b"" when there is neither. Raises ValueError.
    """
    if hex_key:
        return sized(bytes.fromhex(hex_key))
    if not aes_key:
        return b""
    try:
        raw = base64.b64decode(aes_key, validate=True)
    except binascii.Error:
        raise ValueError("the key is not base64") from None
    return raw if len(raw) == BLOCK else sized(bytes.fromhex(raw.decode("ascii", "replace")))


def padded_size(size: int) -> int:
    """Return the size of the ciphertext of ``size`` bytes: padding is always added."""
    return (size // BLOCK + 1) * BLOCK


def encrypted(stream: BinaryIO, key: bytes) -> Iterator[bytes]:
    """Yield the ciphertext of what ``stream`` holds, in pieces."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - the protocol's mode
    size = 0
    while piece := stream.read(_CHUNK):
        size += len(piece)
        yield encryptor.update(piece)
    padding = BLOCK - size % BLOCK
    yield encryptor.update(bytes([padding]) * padding) + encryptor.finalize()


class Decryptor:
    """Decrypts content that comes in pieces. The last block is held back: it has the padding."""

    def __init__(self, key: bytes) -> None:
        self._decryptor = Cipher(algorithms.AES(key), modes.ECB()).decryptor()  # noqa: S305 - the protocol's mode
        self._held = b""

    def update(self, piece: bytes) -> bytes:
        """Return the decrypted bytes that cannot be padding."""
        plain = self._held + self._decryptor.update(piece)
        self._held = plain[-BLOCK:]
        return plain[:-BLOCK]

    def finish(self) -> bytes:
        """Return the rest, without padding. Raises BadCiphertext."""
        try:
            last = self._held + self._decryptor.finalize()
        except ValueError:
            raise BadCiphertext("the content is cut off") from None
        padding = last[-1] if last else 0
        if not 1 <= padding <= BLOCK or last[-padding:] != bytes([padding]) * padding:
            raise BadCiphertext("the content does not decrypt with its key")
        return last[:-padding]


def sized(key: bytes) -> bytes:
    if len(key) != BLOCK:
        raise ValueError("the key is not one of 16 bytes")
    return key
