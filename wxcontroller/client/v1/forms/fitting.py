"""How much fits into a page."""

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
PAGE_SENDS = 5000
# Of a page's texts or reports: the controller takes no answer of more than 4 MiB (core/records/decoding.py). Escaped,
# a character has six bytes at most.
PAGE_BYTES = 2 << 20


def fitting(entries: Iterable[T], size: Callable[[T], int]) -> list[T]:
    """Return the first entries that fit into a page, at least one."""
    found, room = list[T](), PAGE_BYTES
    for entry in entries:
        room -= size(entry)
        if found and room < 0:
            break
        found.append(entry)
    return found
