"""The controller's way to root's program that imports accounts (cli/transfer/receiving.py), behind a socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterable
from pathlib import Path

from wxcontroller.controller.callers.refusals import ArrivalRefused, NotReceiving
from wxcontroller.core.errors import reason_of
from wxcontroller.core.jsontypes import JsonObject, obj, read_json
from wxcontroller.core.names import AccountName
from wxcontroller.core.text.templates import N_, Text, text_in

# Time for the import of a large account after its last byte, which waits for the disk.
IMPORT_SECONDS = 600.0
# Limit of the import's output: a result or an error, and a few lines for the journal.
IMPORT_ANSWER_BYTES = 256 << 10
_CONNECT_SECONDS = 10.0


async def imported(socket: Path, name: AccountName, line: str, pieces: AsyncIterable[bytes]) -> JsonObject:
    """Have root's program process an account as ``line`` says; return its answer.

    Raises NotReceiving and ArrivalRefused.
    """
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(socket))
    except OSError as problem:
        raise not_receiving(reason_of(problem)) from None
    try:
        answering = asyncio.create_task(answer(reader))
        try:
            writer.write(f"{line}\n".encode())
            async for piece in pieces:
                if not answering.done():  # else it was refused: read the rest, so that the answer arrives
                    writer.write(piece)
                    with contextlib.suppress(OSError):
                        await writer.drain()
            with contextlib.suppress(OSError, RuntimeError):  # it has been killed
                writer.write_eof()
            async with asyncio.timeout(IMPORT_SECONDS):
                content = await answering
        finally:
            answering.cancel()
    except TimeoutError:
        content = b""
    finally:
        writer.close()
    found = last_object(content)
    if error := obj(found.get("error")):
        raise ArrivalRefused(
            N_("account {account} cannot be received: {reason}"),
            text_in(error, "remedy"),
            account=name.name,
            reason=text_in(error, "message"),
        )
    return found


def not_receiving(reason: Text) -> NotReceiving:
    """Return the failure of a host that accepts no accounts."""
    return NotReceiving(
        N_("this host does not receive accounts: {reason}"),
        N_("run there as root: systemctl enable --now wxcontroller-receive.socket; see wxctl(1), move"),
        reason=reason,
    )


async def answer(reader: asyncio.StreamReader) -> bytes:
    found = bytearray()
    with contextlib.suppress(OSError):
        while piece := await reader.read(1 << 16):
            found = (found + piece)[-IMPORT_ANSWER_BYTES:]
    return bytes(found)


def last_object(content: bytes) -> JsonObject:
    """Return the last line that is a JSON object; the others are for the journal."""
    for line in reversed(content.splitlines()):
        with contextlib.suppress(ValueError):
            if found := obj(read_json(line)):
                return found
    raise ArrivalRefused(
        N_("the import returned no result"),
        N_("check on that host: journalctl -u 'wxcontroller-receive@*'; then run wxctl move again"),
    )
