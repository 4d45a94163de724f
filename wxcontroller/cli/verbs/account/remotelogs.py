"""An account's journal from its controller: on another machine, or without permission for the journal."""

import time
from collections.abc import Iterator

import click

from wxcontroller.cli.clierrors import BadUsage
from wxcontroller.cli.connection.api import Api, path
from wxcontroller.cli.connection.serversent import followed
from wxcontroller.cli.context import WxctlRun
from wxcontroller.cli.language import tell
from wxcontroller.cli.localtime import moment
from wxcontroller.core.jsontypes import JsonObject, integer, items, obj, read_json, text
from wxcontroller.core.names import AccountName
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_

MAX_LINES = 1000  # lines that a controller gives at once
_FOLLOWED = 10  # as journalctl --follow does
_ERROR, _WARNING, _INFO = 3, 4, 6


def show(session: WxctlRun, api: Api, name: AccountName, lines: int | None, follow: bool, since: str | None) -> None:
    """Show the lines; raises WxError."""
    if lines is not None and lines > MAX_LINES:
        raise BadUsage(
            N_("--lines {lines}: a controller returns at most the newest {most} lines"),
            N_("on its own machine journalctl(1) shows all: {command}"),
            lines=lines,
            most=MAX_LINES,
            command=command("logs", name.name),
        )
    query = {"since": str(moment(since))} if since is not None else {}
    if follow:
        few = MAX_LINES if since is not None else _FOLLOWED
        for new in following(api, name, {**query, "lines": str(few if lines is None else lines)}):
            put(session, new)
        return
    if lines == 0:
        return
    wanted = MAX_LINES if lines is None else lines
    found = items(api.ask("GET", name, "journal", query={**query, "lines": str(wanted)}).get("lines"))
    for line in found:
        put(session, obj(line))
    if lines is None and len(found) >= MAX_LINES:
        tell(
            "wxctl: these are the newest {most} lines; all are shown on the controller's own machine",
            err=True,
            most=MAX_LINES,
        )


def following(api: Api, name: AccountName, query: dict[str, str]) -> Iterator[JsonObject]:
    stream = path("accounts", name.name, "journal", **query)
    last = ""
    for sent in followed(lambda cursor: api.sent_events(stream, cursor), "", at_first=False):
        line = obj(read_json(sent.data))
        if sent.kind == "line" and (text(line.get("cursor")) != last or not last):
            last = text(line.get("cursor"))
            yield line


def put(session: WxctlRun, line: JsonObject) -> None:
    """Show one line."""
    if session.json:
        session.emit_line(as_the_journal(line))
        return
    level = integer(line.get("priority"), _INFO)
    stamp = time.strftime("%b %d %H:%M:%S", time.localtime(seconds(line)))
    indent = "\n" + " " * (len(stamp) + 1)
    words = "".join(c if c.isprintable() or c == "\n" else " " for c in text(line.get("message"))).strip()
    shown = f"{stamp} {words.replace(chr(10), indent)}"
    bold, colour = level <= _ERROR, "red" if level <= _ERROR else "yellow" if level == _WARNING else None
    click.secho(shown, fg=colour, bold=bold or None)


def as_the_journal(line: JsonObject) -> JsonObject:
    """Return a line with the journal's field names, as in journalctl's JSON."""
    event = text(line.get("event"))
    return {
        "__CURSOR": text(line.get("cursor")),
        "__REALTIME_TIMESTAMP": str(round(seconds(line) * 1e6)),
        "PRIORITY": str(integer(line.get("priority"), _INFO)),
        "MESSAGE": text(line.get("message")),
        **({"WX_EVENT": event} if event else {}),
    }


def seconds(line: JsonObject) -> float:
    """Return when a line was written, as a valid time."""
    found = line.get("time")
    return min(max(0.0, found), 1e11) if isinstance(found, int | float) else 0.0
