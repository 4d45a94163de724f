"""GET /v1/accounts as a stream: all rows first, then those that change, as server-sent events.

There is no cursor: a reader that comes back gets all rows again.
"""

import asyncio
import logging
from dataclasses import dataclass, field

from aiohttp import web

from wxcontroller.controller.access import caller
from wxcontroller.controller.context import Context, context
from wxcontroller.controller.errors import TooManyReaders
from wxcontroller.controller.gate import Caller
from wxcontroller.controller.v1.board import BOARD, Board
from wxcontroller.core.messages import N_
from wxcontroller.openwx.eventstream import HEADERS, HEARTBEAT, event, write
from wxcontroller.openwx.replies import to_bytes

log = logging.getLogger(__name__)
HEARTBEAT_SECONDS = 15.0
_WATCHERS = web.AppKey("watchers", set[object])


def setup(app: web.Application) -> None:
    """Remember who watches."""
    app[_WATCHERS] = set()


def wants_stream(request: web.Request) -> bool:
    """Say whether a reader asks for events instead of one answer."""
    return "text/event-stream" in request.headers.get("Accept", "")


async def watch(request: web.Request) -> web.StreamResponse:
    """Send events until the reader goes, its token is worthless, or the controller is to end. Raises TooManyReaders.

    ``accounts`` holds the caller's rows that are new or different and the names that are ``gone``, the first one all
    of them; ``trouble`` says why rows may be old.
    """
    watchers, board = request.app[_WATCHERS], request.app[BOARD]
    if len(watchers) >= context(request).settings.limits.watchers:
        raise TooManyReaders(N_("{count} readers watch the accounts"), N_("close some"), count=len(watchers))
    me = object()
    watchers.add(me)
    try:
        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(request)
        await write(response.write(b"retry: 1000\n\n"))
        async with board.watched() as work:
            await _follow(response, board, work, _Reader(caller(request)), context(request))
        return response
    finally:
        watchers.discard(me)


@dataclass(slots=True)
class _Reader:
    """Somebody who watches, and what he has had."""

    caller: Caller
    version: int = 0
    names: dict[str, str] = field(default_factory=dict)  # by instance
    trouble: object = None
    first: bool = True

    def news(self, board: Board) -> bytes:
        """Return the events that bring the reader up to date, b"" for none."""
        own = [row for row in board.rows if self.caller.may_see(row.view.instance)]
        fresh = [row for row in own if row.version > self.version]
        present = {row.view.instance for row in own}
        gone = [self.names.pop(instance) for instance in list(self.names) if instance not in present]
        self.names.update((row.view.instance, row.view.account.name.name) for row in fresh)
        self.version = board.version
        events = b""
        if fresh or gone or self.first:
            rows = b",".join(row.body for row in fresh)
            whole = b',"all":true' if self.first else b""
            events = event("accounts", b'{"accounts":[%b],"gone":%b%b}' % (rows, to_bytes(list(gone)), whole))
            self.first = False
        if board.trouble != self.trouble:
            self.trouble = board.trouble
            events += event("trouble", to_bytes({"error": board.trouble}))
        return events


async def _follow(
    response: web.StreamResponse, board: Board, work: "asyncio.Task[None]", reader: _Reader, shared: Context
) -> None:
    ending = asyncio.create_task(shared.draining.wait())
    try:
        known = asyncio.create_task(board.known.wait())
        await asyncio.wait({known, ending, work}, return_when=asyncio.FIRST_COMPLETED)
        known.cancel()
        while not ending.done() and shared.gate.still_good(reader.caller):
            news = asyncio.create_task(board.news().wait())
            try:
                if events := reader.news(board):
                    await write(response.write(events))
                done, _ = await asyncio.wait(
                    {news, ending, work}, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                news.cancel()
            if work.done():
                log.error("the accounts can't be watched", exc_info=work.exception())
                return
            if not done:
                await write(response.write(HEARTBEAT))
    finally:
        ending.cancel()
