"""The only way to a connection with an account: it leads to the account's own user, or there is none.

Every account may listen on any port of the accounts' range, so a port proves nothing: while alice restarts, mallory
can take hers, and would get alice's calls and the secret of her port. What proves an account is its runtime
directory. systemd makes it for the unit's user, removes it with the unit's last process, and shows it to no other
account; only its owner creates names in it.

- An account listens on a Unix socket there. Directory and socket are opened without following links, and the one
  that was opened is connected to. The kernel says who listens on it (``SO_PEERCRED``): the directory's owner, or the
  connection is closed.
- A program without this socket, such as the original's client, is reached by TCP.
  Before anything is sent, the kernel's table must show the owner as the user of the other end of this very
  connection. Who listens on the port does not matter: that may be another one by then. The table is read for all
  waiting connections at once, and no more than a tenth of the time: a program may never accept.

A connection belongs to the process that accepted it, and ends with it. Whoever keeps one needs no further check.
"""

import asyncio
import contextlib
import os
import select
import socket
import stat
import struct
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from wxcontroller.controller.account_port.portfailures import NotAnswering, NotRunning
from wxcontroller.controller.accounts.registry import Registry
from wxcontroller.core.budget import Budget
from wxcontroller.core.errors import reason_of
from wxcontroller.core.net.tcptable import Pair, owners_of_other_ends
from wxcontroller.core.paths import API_SOCKET
from wxcontroller.core.registry.account import Account
from wxcontroller.core.text.templates import N_, Text

P = TypeVar("P", bound=asyncio.BaseProtocol)
# Pauses while the queue of a socket is full, and until a connection is accepted: both take a busy program
# milliseconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.1
# After the table was read, it is not read again for this many times the time that reading took.
_TABLE_REST = 9.0
# Stands for all users that this user namespace does not have: those from 65536 on, and without PrivateUsers=identity
# all others.
_NOBODY = 65534
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_OPEN = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class AccountConnections:
    """Opens connections to accounts. ``budget`` is what an account may use, over all of them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._owners = AcceptedBy()
        self._budgets: dict[str, Budget] = {}

    def budget(self, instance: str) -> Budget:
        """Return the budget of an account."""
        found = self._budgets.get(instance)
        if found is None:
            found = self._budgets[instance] = Budget()
        return found

    async def open(self, account: Account, protocol: Callable[[], P], seconds: float) -> P:
        """Open a connection, as ``connect``."""
        runtime = self._registry.runtime(account.name.instance)
        return await connect(runtime, account, protocol, seconds, self._owners)


async def connect(
    runtime: str, account: Account, protocol: Callable[[], P], seconds: float, owners: "AcceptedBy"
) -> P:
    """Open a connection to an account's program, and return the protocol that was made for it.

    Args:
        runtime: the account's runtime directory.
        seconds: how long it may take.
        owners: shared by all connections.

    Raises NotRunning for an account without a process, NotAnswering for one that does not listen or a program that is
    not its own, and TimeoutError.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(seconds):
        with _opened(runtime, os.O_DIRECTORY, None, account) as directory:
            if directory is None:
                raise NotRunning(account)
            with _opened(API_SOCKET, 0, directory, account) as node:
                by_path = node is not None
                connection = (
                    await _by_path(node, directory, account)
                    if node is not None
                    else await _by_port(runtime, directory, account, owners)
                )
        adopt = loop.create_unix_connection if by_path else loop.create_connection
        try:
            _, made = await adopt(protocol, sock=connection)
        except BaseException:
            connection.close()
            raise
    return made


class AcceptedBy:
    """The users who have accepted connections, from the kernel's table."""

    def __init__(self) -> None:
        self._sought: set[Pair] = set()
        self._found: dict[Pair, int] = {}
        self._reading: asyncio.Task[None] | None = None
        self._began = self._next = 0.0

    async def owner(self, connection: socket.socket, other: tuple[str, int]) -> int:
        """Wait until a connection is accepted, and return the user whose program did. Raises OSError."""
        pair: Pair = connection.getsockname(), other
        ended = select.poll()
        ended.register(connection, select.POLLRDHUP)
        self._sought.add(pair)
        try:
            for pause in _pauses():
                await self._look()
                if (owner := self._found.get(pair)) is not None:
                    return owner
                if ended.poll(0):
                    raise ConnectionResetError
                await asyncio.sleep(pause)
        finally:
            self._sought.discard(pair)
        raise AssertionError  # never reached: the pauses do not end

    async def _look(self) -> None:
        """Look into the table for all that wait, or wait for a look that another one has begun since."""
        asked = time.monotonic()
        while self._began <= asked:
            reading = self._reading
            if reading is None or reading.done():
                reading = self._reading = asyncio.ensure_future(self._read())
                reading.add_done_callback(lambda done: done.cancelled() or done.exception())
            # A caller that hangs up ends no look: only a whole one tells how long the next one has to wait.
            await asyncio.wait({reading})
            reading.result()

    async def _read(self) -> None:
        await asyncio.sleep(max(0.0, self._next - time.monotonic()))
        began = time.monotonic()
        try:
            found = await asyncio.to_thread(owners_of_other_ends, frozenset(self._sought))
        finally:
            ended = time.monotonic()
            self._next = ended + _TABLE_REST * (ended - began)
        # Only now: the others that wait would take an earlier look for this one.
        self._began, self._found = began, found


async def _by_path(node: int, directory: int, account: Account) -> socket.socket:
    """Connect to an account's socket. Raises NotAnswering."""
    if not stat.S_ISSOCK(os.fstat(node).st_mode):
        raise NotAnswering(account, Text(N_("{file} in its runtime directory is not a socket"), file=API_SOCKET))
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        for pause in _pauses():
            try:
                # By its descriptor: the name may be another file's by now.
                connection.connect(f"/proc/self/fd/{node}")
                break
            except BlockingIOError:  # its queue is full
                await asyncio.sleep(pause)
        listener = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(listener)[1] != os.fstat(directory).st_uid:
            words = N_("another user's program listens on its socket {file}")
            raise NotAnswering(account, Text(words, file=API_SOCKET))
    except OSError as problem:
        connection.close()
        raise NotAnswering(account, _refusal(problem)) from None
    except BaseException:
        connection.close()
        raise
    return connection


async def _by_port(runtime: str, directory: int, account: Account, owners: AcceptedBy) -> socket.socket:
    """Connect to the port of an account without a socket. Raises NotAnswering."""
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        other = ("127.0.0.1", account.port)
        await asyncio.get_running_loop().sock_connect(connection, other)
        owner = await owners.owner(connection, other)
        user = os.fstat(directory).st_uid
        # The same directory still: otherwise its unit has ended, and another one may have its former user.
        if owner != user or user == _NOBODY or not _is_at(runtime, directory):
            words = N_("another program answers at its port {port}; see: ss -ltnp 'sport = :{port}'")
            raise NotAnswering(account, Text(words, port=account.port))
    except OSError as problem:
        connection.close()
        raise NotAnswering(account, _refusal(problem)) from None
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def _opened(path: str, flags: int, directory: int | None, account: Account) -> Iterator[int | None]:
    """Open a file without following or affecting it, None for none. Raises NotAnswering."""
    try:
        descriptor = os.open(path, _OPEN | flags, dir_fd=directory)
    except FileNotFoundError:
        yield None
        return
    except OSError as problem:
        words = N_("its socket {file} cannot be used: {reason}")
        raise NotAnswering(account, Text(words, file=API_SOCKET, reason=reason_of(problem))) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_at(path: str, directory: int) -> bool:
    try:
        found, opened = os.lstat(path), os.fstat(directory)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (opened.st_dev, opened.st_ino)


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE)


def _refusal(problem: OSError) -> Text:
    if isinstance(problem, ConnectionRefusedError):
        return Text(N_("its process does not accept connections"))
    if isinstance(problem, ConnectionError):
        return Text(N_("connection reset by its process"))
    return Text(N_("connecting to it failed: {reason}"), reason=reason_of(problem))
