"""/v1/accounts/{name}/journal as a stream: the newest lines, and then each as it is written, as server-sent events.

The cursor of a line is its id: who comes back with the last one goes on after it, and misses nothing.
"""

import asyncio
import re

from aiohttp import web

from wxcontroller.controller.access import caller
from wxcontroller.controller.context import Context, context
from wxcontroller.controller.errors import TooManyReaders
from wxcontroller.controller.gate import Caller
from wxcontroller.controller.v1.journal import answering, journal, line_of, question
from wxcontroller.controller.v1.watching import wants_stream
from wxcontroller.controller.view import View
from wxcontroller.core.messages import N_
from wxcontroller.openwx.eventstream import HEADERS, HEARTBEAT, event, write
from wxcontroller.openwx.replies import to_bytes

# A longer rest is no line of a journal: journald cuts what services print after 48 KiB (LineMax=).
JOURNAL_LINE_BYTES = 1 << 20
HEARTBEAT_SECONDS = 15.0
_ID = re.compile("[0-9a-z=;]{1,256}")


async def page_or_stream(request: web.Request) -> web.StreamResponse:
    """GET: with ``Accept: text/event-stream`` a stream, else the end of the journal as it is."""
    return await (_stream(request) if wants_stream(request) else journal(request))


async def _stream(request: web.Request) -> web.StreamResponse:
    """Send lines until the reader goes, takes nothing, its token is worthless, the account is removed, the controller
    is to end, or what reads the journal ends. Raises BadRequest, NoJournal, TooManyReaders, UnknownAccount.
    """
    shared = context(request)
    view = await shared.accounts.the(request.match_info["name"])
    asked = question(request, view.instance, shared.settings.limits.journal_lines, follow=True)
    if shared.readers >= shared.settings.max_readers:
        raise TooManyReaders(
            N_("{readers} readers of events and journals are connected"), N_("end some"), readers=shared.readers
        )
    shared.readers += 1
    try:
        async with answering(shared.accounts.paths.journal_socket, asked, view) as reader:
            response = web.StreamResponse(headers=HEADERS)
            await response.prepare(request)
            await write(response.write(b"retry: 1000\n\n" + HEARTBEAT))
            await _follow(response, reader, _Reader(shared, caller(request), view))
            return response
    finally:
        shared.readers -= 1


class _Reader:
    """Somebody who follows, and whether he may go on."""

    def __init__(self, shared: Context, who: Caller, view: View) -> None:
        self.shared = shared
        self._who = who
        self._instance = view.instance

    def may_go_on(self) -> bool:
        shared = self.shared
        return shared.gate.still_good(self._who) and shared.accounts.registry.get(self._instance) is not None


async def _follow(response: web.StreamResponse, lines: asyncio.StreamReader, who: _Reader) -> None:
    ending = asyncio.create_task(who.shared.draining.wait())
    reading, rest = _next(lines), b""
    try:
        while True:
            await asyncio.wait({reading, ending}, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if ending.done() or not who.may_go_on():
                return
            if not reading.done():
                await write(response.write(HEARTBEAT))
                continue
            if not (piece := reading.result()):
                return
            reading = _next(lines)
            *whole, rest = (rest + piece).split(b"\n")
            rest = rest if len(rest) <= JOURNAL_LINE_BYTES else b""  # its end is no line then
            if events := b"".join(map(_event, whole)):
                await write(response.write(events))
    finally:
        for task in (ending, reading):
            task.cancel()
        await asyncio.gather(ending, reading, return_exceptions=True)


def _next(lines: asyncio.StreamReader) -> "asyncio.Task[bytes]":
    """Begin to wait for what is said next, b"" for the end."""

    async def wait() -> bytes:
        try:
            return await lines.read(1 << 16)
        except ConnectionError:
            return b""

    return asyncio.create_task(wait())


def _event(raw: bytes) -> bytes:
    """Return a line as an event, b"" for what is none."""
    line = line_of(raw)
    if line is None:
        return b""
    cursor = str(line["cursor"])
    return event("line", to_bytes(line), cursor if _ID.fullmatch(cursor) else "")
