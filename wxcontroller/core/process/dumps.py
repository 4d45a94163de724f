"""Protects this process's memory and environment from other processes."""

import ctypes
import os

_PR_SET_DUMPABLE = 4


def forbid_dumps() -> None:
    """Disable core dumps of this process, and access by other processes of its user.

    Despite LimitCORE=0 the kernel calls the dump handler, and systemd-coredump would write the environment into the
    journal, including proxies' passwords. Root still has access. Raises OSError.
    """
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_PR_SET_DUMPABLE, *map(ctypes.c_ulong, (0, 0, 0, 0))) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
