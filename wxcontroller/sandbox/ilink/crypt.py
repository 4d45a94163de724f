"""AES-128-ECB with PKCS#7, as the CDN's content is encrypted, and the forms in which keys are written (11.1)."""

import base64
import binascii
import re
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from wxcontroller.sandbox.media.storedcontent import PartialContent

_HEX_KEY = re.compile("[0-9a-fA-F]{32}")
_PIECE = 2**20


def is_hex(text: str) -> bool:
    """Return whether a text is 16 bytes in hex."""
    return _HEX_KEY.fullmatch(text) is not None


def hex_form(key: bytes) -> str:
    """Return a key as base64 of its hex digits, the form that WeChat's phones understand."""
    return base64.b64encode(key.hex().encode()).decode()


def raw_form(key: bytes) -> str:
    """Return a key as base64 of its 16 bytes."""
    return base64.b64encode(key).decode()


def read_hex_form(text: str) -> bytes | None:
    """Return the key of a text in hex form, None for anything else."""
    try:
        decoded = base64.b64decode(text, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    return bytes.fromhex(decoded) if is_hex(decoded) else None


def encrypt(source: Path, key: bytes, target: PartialContent) -> None:
    """Encrypt a file piece by piece."""
    pad, cipher = PKCS7(128).padder(), Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
    with source.open("rb") as file:
        while piece := file.read(_PIECE):
            target.append(cipher.update(pad.update(piece)))
    target.append(cipher.update(pad.finalize()) + cipher.finalize())


def decrypt(source: Path, key: bytes, target: PartialContent) -> None:
    """Decrypt a file piece by piece. Raises ValueError when the padding is wrong, from a wrong key or damaged
    bytes."""
    unpad, cipher = PKCS7(128).unpadder(), Cipher(algorithms.AES(key), modes.ECB()).decryptor()  # noqa: S305
    with source.open("rb") as file:
        while piece := file.read(_PIECE):
            target.append(unpad.update(cipher.update(piece)))
    target.append(unpad.update(cipher.finalize()) + unpad.finalize())
