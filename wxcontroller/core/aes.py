"""Content on WeChat's CDN: AES-128 in ECB mode with PKCS#7 padding, and the four ways of writing a key (11.1).

Imported only when media are transferred: the library takes memory that idle accounts do not need.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import BinaryIO

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

BLOCK = 16
_CHUNK = 256 << 10


class BadCiphertext(ValueError):
    """Content that does not decrypt with its key."""


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
    """Yield the ciphertext of ``stream`` in pieces."""
    padder, encryptor = PKCS7(8 * BLOCK).padder(), _cipher(key).encryptor()
    while piece := stream.read(_CHUNK):
        yield encryptor.update(padder.update(piece))
    yield encryptor.update(padder.finalize()) + encryptor.finalize()


class Decryptor:
    """Decrypts content in pieces. The last block is held back, because it contains the padding."""

    def __init__(self, key: bytes) -> None:
        self._decryptor, self._unpadder = _cipher(key).decryptor(), PKCS7(8 * BLOCK).unpadder()

    def update(self, piece: bytes) -> bytes:
        """Return the decrypted bytes that cannot be padding."""
        return self._unpadder.update(self._decryptor.update(piece))

    def finish(self) -> bytes:
        """Return the last plaintext, without padding. Raises BadCiphertext."""
        try:
            self._decryptor.finalize()
        except ValueError:
            raise BadCiphertext("the content is cut off") from None
        try:
            return self._unpadder.finalize()
        except ValueError:
            raise BadCiphertext("the content does not decrypt with its key") from None


def _cipher(key: bytes) -> "Cipher[modes.ECB]":
    return Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - the protocol's mode


def sized(key: bytes) -> bytes:
    if len(key) != BLOCK:
        raise ValueError("the key is not one of 16 bytes")
    return key
