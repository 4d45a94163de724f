"""Standby bundles, and root's programs on a host that make and receive them."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Callable

import pytest

from tests.readers import reader_of
from tests.unit.fleet.hosts import FleetHost
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.context import error_as_json
from wxcontroller.cli.transfer.bundles import keep
from wxcontroller.cli.transfer.sending import SealedAccount
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.registry.account import Account
from wxcontroller.core.registry.accountfiles import AccountFiles

SECRET = b"correct horse"


def account_of(host: FleetHost, name: str = "eve") -> Account:
    return AccountFiles(host.paths).load(name)


def sealed(host: FleetHost, account: Account, at: int, by: str) -> bytes:
    """Return a bundle of an account with the files that it has on a host; ``by`` is "" for a move."""
    return b"".join(SealedAccount(account, SECRET, at, by, host.paths, read=reader_of(host.paths)).pieces())


def kept(host: FleetHost, content: io.BytesIO, name: str) -> JsonObject:
    """Have a host keep a bundle; return its response."""
    try:
        return keep(Api(host.url), host.paths, content, lambda: SECRET, name)
    except WxError as problem:
        return error_as_json(problem)


def as_root(monkeypatch: pytest.MonkeyPatch, host: FleetHost) -> None:
    """Have root's programs work on a host."""
    for module in ("adoption", "claims", "importing", "copy.preconditions", "remotehost"):
        monkeypatch.setattr(f"wxcontroller.cli.transfer.{module}.PATHS", host.paths)


@contextlib.asynccontextmanager
async def receiving(host: FleetHost, act: Callable[[str, bytes], JsonObject]) -> AsyncIterator[list[str]]:
    """Run ``act`` as wxcontroller-receive@.service runs root's program; yield what it was asked for."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).decode().strip())
        name, *purpose = asked[-1].split()
        content = await reader.read() if purpose != ["takeover"] else b""
        try:
            answer = await asyncio.to_thread(act, name, content)
        except WxError as problem:
            answer = error_as_json(problem)
        writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    host.paths.receive_socket.parent.mkdir(parents=True, exist_ok=True)
    async with await asyncio.start_unix_server(serve, host.paths.receive_socket):
        yield asked
