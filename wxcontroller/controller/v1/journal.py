"""/v1/accounts/{name}/journal: the end of an account's journal.

The controller can't read the journal, which is the whole machine's: it asks wxclient-journal.socket, behind which a
program reads what the account's units have said, and nothing else.
"""

import asyncio
from pathlib import Path

from aiohttp import web

from wxcontroller.controller.context import context
from wxcontroller.controller.errors import BadRequest, NoJournal, json_response
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, obj, read_json, text
from wxcontroller.core.limits import ControlLimits

_DEFAULT_LINES = 100
_LATEST = 1 << 62
_INFO = 6  # what systemd takes a line for that tells no priority


async def journal(request: web.Request) -> web.Response:
    """GET /v1/accounts/{name}/journal?lines=100: the newest lines, the oldest of them first. Raises NoJournal."""
    shared = context(request)
    limits = shared.settings.limits.control
    view = await shared.accounts.the(request.match_info["name"])
    wanted = request.query.get("lines", str(_DEFAULT_LINES))
    if not wanted.isascii() or not wanted.isdecimal() or not 1 <= int(wanted[:9]) <= limits.journal_lines:
        raise BadRequest("lines is no such number", f"give one from 1 to {limits.journal_lines}")
    said = await _asked(
        shared.accounts.paths.journal_socket, f"{view.instance} {int(wanted)}\n", view.account.name.unit, limits
    )
    lines: list[JsonValue] = [line for each in said.splitlines() if (line := line_of(each))]
    return json_response({"account": view.account.name.name, "lines": lines})


async def _asked(socket: Path, question: str, unit: str, limits: ControlLimits) -> bytes:
    """Ask, and return all of the answer."""
    try:
        async with asyncio.timeout(limits.journal_seconds):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(question.encode())
                content = b""
                while (piece := await reader.read(1 << 16)) and len(content) < limits.journal_bytes:
                    content += piece
                return content
            finally:
                writer.close()
    except (OSError, TimeoutError) as problem:
        why = "it takes too long" if isinstance(problem, TimeoutError) else problem.strerror or str(problem)
        raise NoJournal(
            f"the journal can't be read through {socket}: {why}",
            f"systemctl start wxclient-journal.socket, or look there: journalctl -u {unit}",
        ) from None


def line_of(raw: bytes) -> JsonObject | None:
    """Return one line as the page shows it, None for what is none."""
    try:
        found = obj(read_json(raw))
    except ValueError:
        return None
    message = found.get("MESSAGE")
    if isinstance(message, list):  # bytes that are no text
        message = bytes(integer(each) & 255 for each in items(message)).decode("utf-8", "replace")
    return {
        "cursor": _shown(found.get("__CURSOR")),
        "time": min(integer(found.get("__REALTIME_TIMESTAMP")), _LATEST) / 1e6,
        "priority": integer(found.get("PRIORITY"), _INFO),
        "message": _shown(message),
        "event": _shown(found.get("WX_EVENT")) or None,
    }


def _shown(value: JsonValue) -> str:
    """Return a text without halves of characters, which nobody can write."""
    return text(value).encode("utf-8", "replace").decode()
