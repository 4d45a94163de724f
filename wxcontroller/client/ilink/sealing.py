"""Sealed texts that a consumer gets and returns: encrypted, authenticated, and not stored here.

Cursors, context tokens, typing tickets and the parameters of the CDN are such texts. Each is encrypted and
authenticated with a key of the account, for one purpose: a text for one purpose cannot be used for another. The nonce
is derived from the content, so equal content gives equal text: a message that is delivered again has the same token.
"""

import base64
import binascii
import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12
_OVERHEAD = _NONCE + 16


class Seals:
    """Seals and opens. ``key`` has 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(hmac.digest(key, b"seal", "sha256"))
        self._nonces = hmac.digest(key, b"nonce", "sha256")
        self._derived = hmac.digest(key, b"derive", "sha256")

    def seal(self, purpose: str, content: bytes, size: int = 0) -> str:
        """Return ``content`` as text for URLs and JSON; ``size`` bytes long before base64, at least."""
        label = purpose.encode()
        framed = len(content).to_bytes(2) + content
        # A context token always has the length of WeChat's (20.5).
        framed += bytes(max(0, size - _OVERHEAD - len(framed)))
        # AES-GCM must never use a nonce twice for different content. This one is derived from the content with a key.
        nonce = hmac.digest(self._nonces, len(label).to_bytes(1) + label + framed, "sha256")[:_NONCE]
        return base64.urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, framed, label)).decode()

    def open(self, purpose: str, sealed: str) -> bytes | None:
        """Return the text sealed for ``purpose``, None if it was not."""
        try:
            raw = base64.b64decode(sealed.encode("ascii"), altchars=b"-_", validate=True)
            framed = self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], purpose.encode())
        except (ValueError, InvalidTag, binascii.Error):
            return None
        return framed[2 : 2 + int.from_bytes(framed[:2])]

    def derived(self, purpose: str, content: bytes, size: int) -> bytes:
        """Return ``size`` bytes, at most 32, that are always the same for a purpose and content."""
        return hmac.digest(self._derived, hashlib.sha256(purpose.encode()).digest() + content, "sha256")[:size]
