"""/v1/accounts/{name}/journal: what the helper behind the socket says, as JSON for the page."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

from tests.unit.controller.machine import Machine
from wxcontroller.core.paths import Paths


@contextlib.asynccontextmanager
async def helper(paths: Paths, answer: bytes) -> AsyncIterator[list[str]]:
    """Listen where systemd would; yields the questions."""
    questions: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        questions.append((await reader.readline()).decode())
        writer.write(answer)
        await writer.drain()
        writer.close()

    paths.journal_socket.parent.mkdir(parents=True, exist_ok=True)
    server = await asyncio.start_unix_server(serve, str(paths.journal_socket))
    async with server:
        yield questions
    paths.journal_socket.unlink(missing_ok=True)


def line(message: object, **more: object) -> bytes:
    fields = {"__CURSOR": "s=1;i=2", "__REALTIME_TIMESTAMP": "1700000000500000", "MESSAGE": message, **more}
    return json.dumps(fields).encode() + b"\n"


async def test_lines_with_time_priority_and_event(host: Machine) -> None:
    await host.start("小店")
    instance = host.process("小店").instance
    said = line("logged in", PRIORITY="6", WX_EVENT="login") + b"no JSON\n" + line([104, 105, 255], PRIORITY="3")
    async with helper(host.paths, said) as questions:
        status, answer = await host.v1("GET", "accounts/小店/journal?lines=20")
    assert status == 200
    assert questions == [f"{instance} 20\n"]
    assert answer == {
        "account": "小店",
        "lines": [
            {"cursor": "s=1;i=2", "time": 1700000000.5, "priority": 6, "message": "logged in", "event": "login"},
            {"cursor": "s=1;i=2", "time": 1700000000.5, "priority": 3, "message": "hi\ufffd", "event": None},
        ],
    }
