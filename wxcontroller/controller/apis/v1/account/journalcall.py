"""/v1/accounts/{name}/journal: the end of an account's journal.

The controller cannot read the journal, which is the whole machine's: it asks wxclient-journal.socket, behind which a
program reads only the log of the account's units.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from wxcontroller.controller.accounts.journallines import line_of
from wxcontroller.controller.accounts.view import View
from wxcontroller.controller.callers.refusals import BadRequest, NoJournal
from wxcontroller.controller.context import context
from wxcontroller.controller.edge.failureanswers import json_response
from wxcontroller.core.errors import reason_of
from wxcontroller.core.jsontypes import JsonValue
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, Text

# Limit of one answer: far more than its lines usually have. On a cold disk, journalctl may need many of these
# seconds.
JOURNAL_BYTES = 8 << 20
JOURNAL_SECONDS = 15.0
_DEFAULT_LINES = 100
_CURSOR = re.compile(r"[a-z]=[0-9a-f]{1,32}(;[a-z]=[0-9a-f]{1,32}){0,6}")


async def journal(request: web.Request) -> web.Response:
    """GET /v1/accounts/{name}/journal?lines=100: the newest lines, the oldest of them first. Raises NoJournal."""
    shared = context(request)
    view = await shared.accounts.require(request.match_info["name"])
    asked = journal_query(request, view.instance, shared.settings.limits.journal_lines, follow=False)
    content = b""
    try:
        async with (
            asyncio.timeout(JOURNAL_SECONDS),
            answering(shared.accounts.paths.journal_socket, asked, view) as reader,
        ):
            while (piece := await reader.read(1 << 16)) and len(content) < JOURNAL_BYTES:
                content += piece
    except OSError as problem:  # a TimeoutError is one
        raise unreadable(shared.accounts.paths.journal_socket, view, problem) from None
    # In a thread: an account's lines that are not text are lists of up to a million numbers.
    lines = await asyncio.to_thread(_lines, content)
    return json_response({"account": view.account.name.name, "lines": lines})


def _lines(content: bytes) -> list[JsonValue]:
    return [line for each in content.splitlines() if (line := line_of(each))]


def journal_query(request: web.Request, instance: str, limit: int, follow: bool) -> str:
    """Return the query for a request. Raises BadRequest.

    ``lines``: how many of the newest, up to ``limit``; or those after a line that the caller has had (``after``, for
    a stream ``Last-Event-ID``), or from a second on (``since``).
    """
    query, least = request.query, 0 if follow else 1
    wanted = query.get("lines", str(_DEFAULT_LINES))
    if not is_number(wanted) or not least <= int(wanted[:9]) <= limit:
        raise BadRequest(N_("invalid lines"), N_("use a number from {least} to {most}"), least=least, most=limit)
    where = ""
    after = (request.headers.get("Last-Event-ID") if follow else None) or query.get("after")
    since = query.get("since")
    if after:
        if not _CURSOR.fullmatch(after):
            raise BadRequest(N_("invalid cursor"), N_("omit the cursor"))
        where = f" after={after}"
    elif since:
        if not is_number(since) or len(since) > 10:
            raise BadRequest(N_("invalid since"), N_("use seconds since 1970"))
        where = f" since={since}"
    how = " follow" if follow else " once" if where else ""
    return f"{instance} {int(wanted)}{how}{where}\n"


def is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


@contextlib.asynccontextmanager
async def answering(socket: Path, asked: str, view: View) -> AsyncIterator[asyncio.StreamReader]:
    """Send the query; the block reads the answer. Raises NoJournal if the service is unavailable."""
    try:
        async with asyncio.timeout(JOURNAL_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(socket))
    except OSError as problem:
        raise unreadable(socket, view, problem) from None
    try:
        writer.write(asked.encode())
        yield reader
    finally:
        writer.close()


def unreadable(socket: Path, view: View, problem: OSError) -> NoJournal:
    """Return the error for an unanswered query."""
    why = Text("it takes too long") if isinstance(problem, TimeoutError) else reason_of(problem)
    return NoJournal(
        N_("the journal cannot be read through {socket}: {why}"),
        N_("systemctl start wxclient-journal.socket; or read it as root: {logs}"),
        socket=socket,
        why=why,
        logs=command("logs", view.account.name.name),
    )
