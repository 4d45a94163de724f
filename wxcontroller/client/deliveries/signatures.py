"""How a report proves where it comes from: HMAC-SHA256 over the timestamp, a dot and the body."""

import hashlib
import hmac
import time
from collections.abc import Sequence

HEADER = "X-Wx-Signature"


def signature(secret: str, timestamp: str, body: bytes | bytearray) -> str:
    """Return the signature in hex."""
    # In two steps: a body may have 14 MB, and joining would copy it.
    signed = hmac.new(secret.encode(), timestamp.encode() + b".", hashlib.sha256)
    signed.update(body)
    return signed.hexdigest()


def signature_header(secrets: Sequence[str], timestamp: str, body: bytes | bytearray) -> str:
    """Return the header's value: a signature by each secret, as two are in use while one replaces the other."""
    return ", ".join(f"sha256={signature(secret, timestamp, body)}" for secret in secrets)


def report_headers(
    secrets: Sequence[str], delivery_id: str, sequence: int, attempt: int, body: bytes | bytearray
) -> dict[str, str]:
    """Return the headers of a report: which one it is, and signatures by all ``secrets``."""
    timestamp = str(int(time.time()))
    found = {
        "X-Wx-Delivery": delivery_id,
        "X-Wx-Sequence": str(sequence),
        "X-Wx-Timestamp": timestamp,
        "X-Wx-Attempt": str(attempt),
    }
    return {**found, HEADER: signature_header(secrets, timestamp, body)} if secrets else found
