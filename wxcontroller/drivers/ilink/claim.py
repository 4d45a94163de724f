"""One account per WeChat user and bot on a host (ilink-bot-protocol, sections 6 and 13).

Two polls with one token split the messages between them, and a second login of the same person ends the first one's
session. The service reports neither, so accounts have to detect each other. They run as different users that cannot
read each other's files; they share only the network namespace.

A stopped account cannot answer. It is known by its mark in the controller's book (core/registry/loginbook.py).

A claim is a listening socket with an abstract name made of the id's hash. The kernel gives a name to one process only
and frees it when that ends, however it ends: no claim can be stale. A program that connects gets the account's name.
"""

import asyncio
import contextlib
import errno
import hashlib
import logging
import socket
from collections.abc import AsyncIterator, Callable

from wxcontroller.core.jsontypes import one_line
from wxcontroller.drivers.ilink.wire import Credentials

log = logging.getLogger(__name__)
_ANSWER_SECONDS = 2.0
_NAME_BYTES = 1024


class Claimed(Exception):
    """Another account of this host has the bot or its user. ``account`` is its name, "" if unknown."""

    def __init__(self, account: str) -> None:
        super().__init__(account)
        self.account = account


@contextlib.asynccontextmanager
async def claimed(
    account: str, credentials: Credentials, world: str, holder: Callable[[str], str]
) -> AsyncIterator[None]:
    """Hold the bot and its user for ``account``. Raises Claimed on entry.

    ``world`` is as in ``marks``, ``holder`` as in DriverContext.
    """
    async with contextlib.AsyncExitStack() as stack:
        for mark in marks(credentials, world):
            # The name is taken before the book is read, so that of two that start together at least one sees the
            # other.
            if (server := await _claim(mark, account)) is not None:
                stack.callback(server.close)
            if other := await asyncio.to_thread(holder, mark):
                raise Claimed(other)
        yield


def marks(credentials: Credentials, world: str) -> tuple[str, ...]:
    """Return marks of the bot and its user: only hashes, because they are public. ``world``: the option ``server``;
    ids of a sandbox are valid only there.
    """
    found = (f"{world}\0{id_}" for id_ in (credentials.bot_id, credentials.user_id) if id_)
    return tuple(hashlib.sha256(mark.encode("utf-8", "replace")).hexdigest() for mark in found)


async def _claim(mark: str, account: str) -> asyncio.Server | None:
    address = "\0wxcontroller-ilink-" + mark
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    claim.setblocking(False)
    try:
        claim.bind(address)
    except OSError as problem:
        claim.close()
        if problem.errno == errno.EADDRINUSE:
            raise Claimed(await owner(address)) from None
        log.warning("cannot detect other accounts with the same WeChat user: %s", problem)
        return None

    async def tell(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(account.encode("utf-8", "replace"))
        with contextlib.suppress(OSError):
            await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(tell, sock=claim)


async def owner(address: str) -> str:
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(address)
            try:
                return one_line((await reader.read(_NAME_BYTES)).decode("utf-8", "replace"))
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return ""
