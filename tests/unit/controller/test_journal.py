"""/v1/accounts/{name}/journal as a stream: each line as it is written."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping

import aiohttp
import pytest

from tests.patience import PATIENCE
from tests.unit.controller.machine import Machine
from tests.unit.controller.test_watching import STREAM, Stream
from wxcontroller.controller.apis.v1.account import journalcall as answers
from wxcontroller.controller.apis.v1.account.journalcall import JOURNAL_BYTES
from wxcontroller.controller.apis.v1.account.journalstream import JOURNAL_LINE_BYTES
from wxcontroller.controller.edge import streams
from wxcontroller.core.jsontypes import items
from wxcontroller.core.paths import Paths

CURSOR = "s=df35cf55c0314c82b0e5e54209adcc29;i=55;b=53d9242846a84a8196fe169cdcd05d36;m=6fa4;t=6611;x=91b6"


def line(message: object, **more: object) -> bytes:
    fields = {"__CURSOR": "s=1;i=2", "__REALTIME_TIMESTAMP": "1700000000500000", "MESSAGE": message, **more}
    return json.dumps(fields).encode() + b"\n"


class Journal:
    """A stand-in for systemd's socket: writes lines on demand, or ``all_of_it`` at once and ends."""

    def __init__(self, paths: Paths, all_of_it: bytes | None = None) -> None:
        self._socket = paths.journal_socket
        self._all_of_it = all_of_it
        self.questions: list[str] = []
        self._asked = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []
        self.left = asyncio.Event()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Journal"]:
        self._socket.parent.mkdir(parents=True, exist_ok=True)
        async with await asyncio.start_unix_server(self._serve, str(self._socket)):
            yield self
            self.end()
        self._socket.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.questions.append((await reader.readline()).decode())
        self._writers.append(writer)
        self._asked.set()
        with contextlib.suppress(ConnectionError):
            if self._all_of_it is None:
                await reader.read()
            else:
                writer.write(self._all_of_it)
                await writer.drain()
        self.left.set()
        self._writers = [each for each in self._writers if each is not writer]
        writer.close()

    async def say(self, content: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._asked.wait()
            for writer in self._writers:
                writer.write(content)
                await writer.drain()

    def end(self) -> None:
        for writer in self._writers:
            writer.close()


async def message(stream: Stream) -> object:
    return (await stream.next("line"))["message"]


@contextlib.asynccontextmanager
async def followed(
    host: Machine, query: str = "", headers: Mapping[str, str] | None = None, name: str = "alice"
) -> AsyncIterator[Stream]:
    timeout = aiohttp.ClientTimeout(total=60)
    path = f"/v1/accounts/{name}/journal{query}"
    async with host.http.get(path, headers={**STREAM, **(headers or {})}, timeout=timeout) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        yield Stream(answer)


async def test_lines_are_streamed_with_their_cursors(host: Machine) -> None:
    await host.start("小店")
    instance = host.process("小店").instance
    async with Journal(host.paths).open() as journal, followed(host, "?lines=5", name="小店") as stream:
        assert await stream.event() == ("", "heartbeat", {})
        first = line("old", PRIORITY="6", WX_EVENT="login", __CURSOR=CURSOR)
        await journal.say(first + b"no JSON\n" + line("next")[:20])
        assert await stream.event() == (
            CURSOR,
            "line",
            {"cursor": CURSOR, "time": 1700000000.5, "priority": 6, "message": "old", "event": "login"},
        )
        await journal.say(line("next")[20:] + line("last\ndata: x", __CURSOR="a=1\nevent: forged"))
        assert await message(stream) == "next"
        place, kind, found = await stream.event()
        assert (place, kind, found["message"]) == ("", "line", "last\ndata: x")
    assert journal.questions == [f"{instance} 5 follow\n"]


async def test_line_beyond_the_limit_is_not_streamed(host: Machine) -> None:
    await host.start("alice")
    async with Journal(host.paths).open() as journal, followed(host) as stream:
        await journal.say(line("x" * 2 * JOURNAL_LINE_BYTES) + line("next"))
        assert await message(stream) == "next"


async def test_answer_has_no_more_lines_than_fit_its_limit(host: Machine) -> None:
    await host.start("alice")
    async with Journal(host.paths, line("x" * (1 << 20)) * (JOURNAL_BYTES >> 19)).open():
        status, answer = await host.v1("GET", "accounts/alice/journal")
        assert (status, len(items(answer["lines"]))) == (200, JOURNAL_BYTES >> 20)


async def test_journal_that_does_not_answer_is_not_waited_for(host: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "JOURNAL_SECONDS", 0.1)
    await host.start("alice")
    async with asyncio.timeout(PATIENCE), Journal(host.paths).open():
        status, answer = await host.v1("GET", "accounts/alice/journal")
    assert (status, "it takes too long" in str(answer["error"])) == (503, True)


async def test_stream_ends_with_its_reader_the_controller_or_the_account(
    host: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.1)
    await host.start("alice")
    async with Journal(host.paths).open() as journal, followed(host) as stream:
        await journal.say(line("one"))
        journal.end()
        await stream.end()
    async with Journal(host.paths).open():
        async with followed(host) as stream:
            await stream.event()
            await host.v1("POST", "accounts/alice/stop")
            await host.v1("DELETE", "accounts/alice")
            await stream.end()
        await host.start("alice")
        async with followed(host) as stream:
            await stream.event()
            host.shared.draining.set()
            await stream.end()
