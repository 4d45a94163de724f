"""Lines of journals of accounts, from the program behind wxclient-journal.socket; and the last error in them."""

import asyncio
import contextlib
from pathlib import Path

from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, items, obj, one_line, read_json, text
from wxcontroller.core.names import unit_of

_LATEST = 1 << 62
# Per line: a message that is not text is a list of at most 48 KiB bytes.
_LINE_VALUES = 60_000
_INFO, _ERROR = 6, 3  # systemd's priorities; the first is its default
# How far back the last error is looked for: a traceback has as many lines.
_LOOKED_AT = 60
_ANSWER_BYTES = 1 << 20
_ERROR_SECONDS = 3.0
_ERROR_CHARACTERS = 200


def line_of(raw: bytes) -> JsonObject | None:
    """Return one line as the page shows it, None for anything else."""
    found = _fields_of(raw)
    if not found:
        return None
    return {
        "cursor": printable(found.get("__CURSOR")),
        "time": min(integer(found.get("__REALTIME_TIMESTAMP")), _LATEST) / 1e6,
        "priority": _priority(found),
        "message": _message(found),
        "event": printable(found.get("WX_EVENT")) or None,
    }


def _fields_of(raw: bytes) -> JsonObject:
    """Return the journal's fields of a line, none for anything else."""
    try:
        return obj(read_json(raw, values=_LINE_VALUES))
    except ValueError:
        return {}


def _priority(fields: JsonObject) -> int:
    return integer(fields.get("PRIORITY"), _INFO)


def _message(fields: JsonObject) -> str:
    message = fields.get("MESSAGE")
    if isinstance(message, list):  # bytes that are not text
        message = bytes(integer(each) & 255 for each in items(message)).decode("utf-8", "replace")
    return printable(message)


def printable(value: JsonValue) -> str:
    """Return a text without lone surrogates, which cannot be encoded."""
    return text(value).encode("utf-8", "replace").decode()


async def last_error(socket: Path, instance: str) -> str:
    """Return the last error of an account's newest process; "" if unknown. A program that gives its lines no
    priorities has its last line returned.
    """
    content = b""
    with contextlib.suppress(OSError):  # a TimeoutError is one
        async with asyncio.timeout(_ERROR_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(f"{instance} {_LOOKED_AT}\n".encode())
                while (piece := await reader.read(1 << 16)) and len(content) < _ANSWER_BYTES:
                    content += piece
            finally:
                writer.close()
    return await asyncio.to_thread(_last_error, content, unit_of(instance)) if content else ""


def _last_error(content: bytes, unit: str) -> str:
    """Return the last error before the end of the process, which systemd logs with the unit's name."""
    found = [fields for each in content.splitlines() if (fields := _fields_of(each))]
    messages = [_message(fields).strip() for fields in found]
    ended = [at for at, message in enumerate(messages) if message.startswith(f"{unit}: Main process exited")]
    error = last = ""
    for fields, message in zip(found[: ended[-1] if ended else None], messages, strict=False):
        words = message.removeprefix(f"{unit}: ")
        is_systemds = words != message and not words.startswith("Failed at step ")
        if not message or is_systemds or message.startswith(("Start", "Stop", "Failed to start")):
            continue
        if _priority(fields) <= _ERROR:
            error = words
        elif fields.get("_TRANSPORT") != "journal":  # of a program that writes to its standard output: no priorities
            last = words
    return one_line(error or last)[:_ERROR_CHARACTERS]
