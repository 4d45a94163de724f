"""/v1/accounts/{name}/journal as a stream: the newest lines, and then each as it is written, as server-sent events.

The cursor of a line is its id: a reader that returns with the last one continues after it, and misses nothing.
"""

import asyncio
import re

from aiohttp import web

from wxcontroller.controller.accounts.journallines import line_of
from wxcontroller.controller.apis.v1.account.journalcall import answering, journal, journal_query
from wxcontroller.controller.apis.v1.form.declaring import Calls
from wxcontroller.controller.context import context
from wxcontroller.controller.edge.streams import server_sent, wants_stream
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.config.limits import DEFAULTS
from wxcontroller.openwx.contract.describing import (
    NUMBER,
    STREAM,
    TEXT,
    WHOLE,
    OnRequest,
    Parameter,
    listing,
    maybe,
    record,
)
from wxcontroller.openwx.contract.replies import to_bytes
from wxcontroller.openwx.http.eventstream import HEARTBEAT, event

# A longer rest cannot be a journal line: journald splits output after 48 KiB (LineMax=).
JOURNAL_LINE_BYTES = 1 << 20
_RETRY = 1000  # milliseconds
_ID = re.compile("[0-9a-z=;]{1,256}")
_LINE = record({"cursor": TEXT, "time": NUMBER, "priority": WHOLE, "message": TEXT, "event": maybe(TEXT)})
CALLS = Calls()


@CALLS.route(
    "GET accounts/{name}/journal",
    Scope.READ,
    "the end of its journal; with Accept: text/event-stream also each new line",
    OnRequest(record({"account": TEXT, "lines": listing(_LINE)}), (STREAM,)),
    parameters=(
        Parameter(
            "lines",
            "largest number; 0 in a stream: only new ones; [limits] can set another maximum",
            {"type": "integer", "minimum": 0, "maximum": DEFAULTS.journal_lines},
        ),
        Parameter("since", "only lines since this time, in seconds since 1970", WHOLE),
        Parameter("after", "the cursor of a line, to continue after it"),
        Parameter("Last-Event-ID", "the same, as browsers send it for a stream; takes precedence", place="header"),
    ),
)
async def page_or_stream(request: web.Request) -> web.StreamResponse:
    """GET: with ``Accept: text/event-stream`` a stream, else the end of the journal."""
    return await (stream(request) if wants_stream(request) else journal(request))


async def stream(request: web.Request) -> web.StreamResponse:
    """Send lines until the stream ends (``streams``), or what reads the journal, or the account is removed.

    Raises BadRequest, NoJournal, UnknownAccount.
    """
    shared = context(request)
    view = await shared.accounts.require(request.match_info["name"])
    asked = journal_query(request, view.instance, shared.settings.limits.journal_lines, follow=True)
    async with answering(shared.accounts.paths.journal_socket, asked, view) as lines:
        return await server_sent(
            request, _Lines(lines), _RETRY, lambda: shared.accounts.registry.get(view.instance) is not None
        )


class _Lines:
    """The journal's lines, as events."""

    def __init__(self, lines: asyncio.StreamReader) -> None:
        self._lines = lines
        self._rest = b""

    def heartbeat(self) -> bytes:
        return HEARTBEAT

    async def next(self) -> bytes | None:
        while True:
            try:
                piece = await self._lines.read(1 << 16)
            except ConnectionError:
                return None
            if not piece:
                return None
            *complete, rest = (self._rest + piece).split(b"\n")
            self._rest = rest if len(rest) <= JOURNAL_LINE_BYTES else b""  # its end is not a line then
            if events := b"".join(map(_event, complete)):
                return events


def _event(raw: bytes) -> bytes:
    """Return a line as an event, b"" for anything else."""
    line = line_of(raw)
    if line is None:
        return b""
    cursor = str(line["cursor"])
    return event("line", to_bytes(line), cursor if _ID.fullmatch(cursor) else "")
