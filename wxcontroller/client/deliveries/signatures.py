"""Signatures of reports: HMAC-SHA256 with the account's secrets, in two forms.

- ``X-Wx-Signature``: over the timestamp, a dot and the body, in hex.
- Standard Webhooks (standardwebhooks.com): ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``, over id,
  timestamp and body with dots between them, in base64. Libraries in many languages verify it and reject old ones.

Each contains a signature by every secret, because two are in use during a rotation. Without a secret there are no
signatures; id and timestamp are still sent, as receivers recognize repetitions by the id.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Sequence

from wxcontroller.core.registry.webhooksecrets import key_of

HEADER = "X-Wx-Signature"


def signatures(secrets: Sequence[str], delivery_id: str, timestamp: str, body: bytes | bytearray) -> dict[str, str]:
    """Return the headers of Standard Webhooks for this delivery and time, and, with secrets, both signatures."""
    found = {"webhook-id": delivery_id, "webhook-timestamp": timestamp}
    if not secrets:
        return found
    signatures_hex = (_signed(secret.encode(), f"{timestamp}.", body).hex() for secret in secrets)
    signatures_raw = (_signed(key_of(secret), f"{delivery_id}.{timestamp}.", body) for secret in secrets)
    return {
        **found,
        HEADER: ", ".join(f"sha256={signature}" for signature in signatures_hex),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(signature).decode()}" for signature in signatures_raw),
    }


def report_headers(
    secrets: Sequence[str], delivery_id: str, sequence: int, epoch: int, attempt: int, body: bytes | bytearray
) -> dict[str, str]:
    """Return the headers of a report: which one it is, and signatures by all ``secrets``."""
    timestamp = str(int(time.time()))
    found = {
        "X-Wx-Delivery": delivery_id,
        "X-Wx-Sequence": str(sequence),
        "X-Wx-Epoch": str(epoch),
        "X-Wx-Timestamp": timestamp,
        "X-Wx-Attempt": str(attempt),
    }
    return {**found, **signatures(secrets, delivery_id, timestamp, body)}


def _signed(key: bytes, head: str, body: bytes | bytearray) -> bytes:
    # In two steps: a body may have 14 MB, and joining would copy it.
    signed = hmac.new(key, head.encode(), hashlib.sha256)
    signed.update(body)
    return signed.digest()
