"""Secrets that sign webhook deliveries, as Standard Webhooks wants them.

A secret ``whsec_…`` is the base64 of the key; any other secret is its bytes. Every secret has a ``whsec_`` form,
which receivers give to a library of Standard Webhooks.
"""

import base64
import binascii

_PREFIX = "whsec_"


def key_of(secret: str) -> bytes:
    """Return the key for signatures of Standard Webhooks."""
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            pass  # it only begins like one
    return secret.encode()


def standard_form(secret: str) -> str:
    """Return a secret as ``whsec_`` and the base64 of its key."""
    return _PREFIX + base64.b64encode(key_of(secret)).decode()
