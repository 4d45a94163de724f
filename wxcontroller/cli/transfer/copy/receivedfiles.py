"""An account's files as its reader sends them (``accountreader``), checked: the reader is not trusted.

It runs as the account, whose files may have taken it over. So every name, number and length is checked, and the
bytes, the files and the time are limited. Nothing of the content is looked at.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from wxcontroller.cli.transfer.copy import accountreader as reader
from wxcontroller.cli.transfer.copy.directory import MOST_FILES, too_many
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import one_line
from wxcontroller.core.names import AccountName, export_unit_of
from wxcontroller.core.text.templates import N_, Text

# How long root waits for the reader in all: for a slow disk, plus the time for the bytes on one.
_WAIT_SECONDS, _SLOWEST = 120.0, 1 << 20
_PIECE = 256 * 1024
_SHOWN = 1000  # entries that are left out and named
_LATEST = 1 << 33  # no file is from after that
# Characters of all names, and of the directories in them: as many as a million media files have. All are kept in
# memory, while files without content cost the account nothing.
_NAMES_LENGTH = 64 << 20

_REASONS = {
    reader.BUSY: N_("its database is locked by another program"),
    reader.STARTED: N_("it was started meanwhile"),
    reader.RESTARTED: N_("the log of its database was restarted while it was read"),
    reader.CHANGED: N_("a file became shorter while it was read"),
}


@dataclass(slots=True)
class CopiedFile:
    """One file. ``read`` returns its content, which is to be read before the next file."""

    name: str
    size: int
    modified: int
    _files: "ReceivedFiles"
    left: int

    def read(self, size: int, /) -> bytes:
        piece = self._files.take(min(size, self.left))
        self.left -= len(piece)
        return piece


@dataclass(slots=True)
class ReceivedFiles:
    """The files that a reader sends over ``source``. ``most_bytes`` is the limit of all together.

    ``left_out`` has the names of what is in the directory and no file of the account's own.
    """

    account: AccountName
    source: socket.socket
    most_bytes: int
    left_out: list[str] = field(init=False, default_factory=list)
    _buffer: bytearray = field(init=False, default_factory=bytearray)
    _received: int = field(init=False, default=0)
    _waited: float = field(init=False, default=0.0)
    _names: set[str] = field(init=False, default_factory=set)
    _directories: set[str] = field(init=False, default_factory=set)
    _names_length: int = field(init=False, default=0)

    def requested(self, media: bool) -> Iterator[CopiedFile]:
        """Request the files and yield them. Raises WxError for anything but a complete and permitted answer."""
        # A reader that has ended already is noticed below.
        with suppress(ConnectionError):
            self.source.sendall(reader.WITH_MEDIA if media else reader.WITHOUT_MEDIA)
        for _ in range(MOST_FILES):
            kind, length, number, modified = reader.HEADER.unpack(self.take(reader.HEADER.size))
            if length > reader.NAME_BYTES:
                raise self._invalid()
            name = self._name(self.take(length))
            if kind == reader.END:
                return
            if kind == reader.FAILED:
                raise self._failed(number)
            if kind == reader.LEFT_OUT:
                if len(self.left_out) < _SHOWN:
                    self.left_out.append(one_line(name))
            elif kind == reader.FILE:
                self._admit(name)
                if number > self.most_bytes:
                    raise self._too_large()
                file = CopiedFile(name, number, min(modified, _LATEST), self, number)
                yield file
                while file.read(_PIECE):
                    pass
            else:
                raise self._invalid()
        raise too_many(self.account, MOST_FILES)

    def take(self, size: int) -> bytes:
        """Return as many bytes. Raises WxError if they do not arrive in time, or are too many."""
        while len(self._buffer) < size:
            self._receive()
        found = bytes(self._buffer[:size])
        del self._buffer[:size]
        return found

    def _receive(self) -> None:
        if self._received > self.most_bytes:
            raise self._too_large()
        patience = _WAIT_SECONDS + self._received / _SLOWEST - self._waited
        began = time.monotonic()
        try:
            self.source.settimeout(max(0.001, patience))
            piece = self.source.recv(_PIECE)
        except TimeoutError:
            raise WxError(
                N_("reading the files of {account} takes too long"),
                N_("see: journalctl -u {unit}"),
                account=self.account.name,
                unit=export_unit_of(self.account.instance),
            ) from None
        except ConnectionError:
            piece = b""
        self._waited += time.monotonic() - began
        self._received += len(piece)
        if not piece:
            raise WxError(
                N_("reading the files of {account} has failed"),
                N_("see: journalctl -u {unit}"),
                account=self.account.name,
                unit=export_unit_of(self.account.instance),
            )
        self._buffer += piece

    def _admit(self, name: str) -> None:
        """Raise WxError unless this can be one more file of a directory."""
        parts = name.split("/")
        above = {"/".join(parts[:depth]) for depth in range(1, len(parts))}
        if (
            len(parts) > reader.DEEPEST
            or {"", ".", ".."} & set(parts)
            or not reader.is_sendable(name)
            or name in self._names
            or name in self._directories
            or above & self._names
        ):
            raise self._invalid()
        self._names_length += sum(map(len, above - self._directories)) + len(name)
        if self._names_length > _NAMES_LENGTH:
            raise self._invalid()
        self._names.add(name)
        self._directories |= above

    def _name(self, content: bytes) -> str:
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise self._invalid() from None

    def _failed(self, number: int) -> WxError:
        if number not in _REASONS:
            return self._invalid()
        return WxError(
            N_("the files of {account} cannot be read: {reason}"),
            N_("run this again"),
            account=self.account.name,
            reason=Text(_REASONS[number]),
        )

    def _too_large(self) -> WxError:
        return WxError(
            N_("the files of {account} have more than {limit} bytes, which is more than was in its directory"),
            N_("check its state directory, then run this again"),
            account=self.account.name,
            limit=self.most_bytes,
        )

    def _invalid(self) -> WxError:
        return WxError(
            N_("the program that reads the files of {account} has sent invalid data"),
            N_("check the account: its files may have been prepared to attack this host"),
            account=self.account.name,
        )
