"""Values of the account's SQLite file. Damaged ones become empty: no process may fail because of them."""

import math


def as_int(value: object) -> int:
    """Return an integer, 0 for anything else."""
    return value if isinstance(value, int) else 0


def as_float(value: object) -> float:
    """Return a number, 0 for anything else."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def as_bytes(value: object) -> bytes:
    """Return bytes, of another value its text."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def text_of(stored: bytes) -> str:
    """Return a stored text; invalid UTF-8 in it is replaced. For ``sqlite3.Connection.text_factory``."""
    return stored.decode("utf-8", "replace")
