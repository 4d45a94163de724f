"""Cached lists of all accounts (built by ``answers``).

A list of 1,000 accounts is a megabyte. Copying it into the socket takes longer than everything else about the answer,
so a list that is sent again unchanged gets a file, whose pages the kernel sends without copying them. The service's
/tmp is in memory; ``memfd_create`` is not allowed to it.
"""

import contextlib
import tempfile
import time
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from typing import IO

from wxcontroller.controller.account_port.backends import SERVER
from wxcontroller.controller.accounts.accountlists import AnswerParts
from wxcontroller.controller.callers.authentication import Caller
from wxcontroller.controller.context import Context
from wxcontroller.controller.edge.requestmetrics import RequestPart
from wxcontroller.openwx.contract.replies import CONTENT_TYPE

_PATHS = ("/openwx/check_client", "/v1/accounts")
LISTS = frozenset(_PATHS)
# Copying less than this costs less than the system calls that spare it.
_LARGE_BYTES = 64 << 10


@dataclass(slots=True)
class AccountList:
    """One of the lists. ``body`` is the last answer, ``file`` contains it from its second use on."""

    part: RequestPart
    kept: AnswerParts
    body: bytes = b""
    file: IO[bytes] | None = None

    def copy_of(self, body: bytes) -> IO[bytes] | None:
        """Return a file with a body, None for none."""
        if body is not self.body:
            self.close()
            self.body = body
        elif self.file is None and len(body) >= _LARGE_BYTES:
            with contextlib.suppress(OSError):  # out of room or descriptors: it is copied
                file = tempfile.TemporaryFile()  # noqa: SIM115 - until the list is another one
                file.write(body)
                file.flush()
                self.file = file
        return self.file

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None


class AccountLists:
    """The lists, by path."""

    def __init__(self, shared: Context) -> None:
        self._shared = shared
        kept = ((RequestPart.OPENWX, shared.answers.check_client), (RequestPart.V1, shared.answers.accounts))
        self._lists = {path: AccountList(*each) for path, each in zip(_PATHS, kept, strict=True)}

    def at_hand(self, path: str, caller: Caller) -> tuple[AccountList, bytes] | None:
        """Return a list, limited to the caller's accounts; None if systemd or another host must be queried first."""
        if self._shared.fleet is not None:
            return None
        try:
            views = self._shared.accounts.recent_views()
        except OSError:  # the usual way reports it
            return None
        found = self._lists[path]
        return None if views is None else (found, found.kept.answer(views, caller))

    def close(self) -> None:
        for each in self._lists.values():
            each.close()


def head_of(body: bytes) -> bytes:
    """Return the head of an answer, without the headers that all answers have and the empty line."""
    return (
        f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n"
        f"Date: {_date(int(time.time()))}\r\nServer: {SERVER}\r\n"
    ).encode()


@lru_cache(1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
