"""The verb events: events of accounts, live or after a cursor."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import click

from wxcontroller.cli.clierrors import BadUsage, NoResponse, file_problems
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.connection.serversent import followed
from wxcontroller.cli.context import WxctlRun, complete_name
from wxcontroller.cli.language import say
from wxcontroller.cli.localtime import local_time, moment
from wxcontroller.cli.verbhelp import verb
from wxcontroller.core.errors import ControllerUnreachable, WxError
from wxcontroller.core.files.atomic import replace_file
from wxcontroller.core.jsontypes import JsonObject, field, items, obj, one_line, read_json, text
from wxcontroller.core.names import AccountName
from wxcontroller.core.text.templates import N_
from wxcontroller.openwx.contract.eventtypes import EVENTS, MESSAGES

_CURSOR = re.compile(r"[0-9]{1,18}([.][A-Za-z0-9_-]+=[0-9a-f]{8}-[0-9]+)*")


def complete_type(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    return sorted(each for each in EVENTS | MESSAGES if each.startswith(incomplete))


@verb(
    "Follow events.",
    "wxctl events",
    "wxctl events alice --type friend_message",
    "wxctl events --since 1h --json",
    "wxctl events --json --cursor-file /var/lib/bot/cursor",
)
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_name)
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="TYPE",
    shell_complete=complete_type,
    help="Only events of this type; may be repeated.",
)
@click.option("--since", metavar="WHEN", help="Start with events from WHEN: 30s, 10m, 2h, 7d ago, today, or a date.")
@click.option("--after", metavar="CURSOR", help="Resume after this cursor, as shown by --json.")
@click.option(
    "--cursor-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Resume after the cursor in FILE, if there is one, and save the cursor there.",
)
@click.option("-n", "--count", type=click.IntRange(1), metavar="N", help="Exit after N events.")
def events(
    session: WxctlRun,
    names: tuple[str, ...],
    types: tuple[str, ...],
    since: str | None,
    after: str | None,
    cursor_file: Path | None,
    count: int | None,
) -> None:
    """Show events of all or of the named accounts until Ctrl-C: messages, changes of state and everything else.

    With --json each event is one line: an object with the event and the cursor after it. If the connection to the
    controller is lost, wxctl reconnects without missing events. Message texts are shown.
    """
    if sum(each is not None for each in (since, after, cursor_file)) > 1:
        raise BadUsage(N_("--since, --after and --cursor-file cannot be combined"), N_("use one of them"))
    if unknown := [each for each in types if each not in EVENTS | MESSAGES]:
        raise BadUsage(
            N_("there is no event of type {type}"),
            N_("the types are: {types}"),
            type=unknown[0],
            types=", ".join(sorted(EVENTS | MESSAGES)),
        )
    began = int(time.time() * 1e6)
    api = session.api()
    accounts = [resolve_account(api, name) for name in names]
    cursor = cursor_of(cursor_file) if cursor_file else after or ("" if since is None else f"{moment(since)}000000")
    if cursor_file and not os.access(cursor_file.parent, os.W_OK):
        raise BadUsage(
            N_("cannot store a cursor in {cursor_file}"),
            N_("name a file in a directory of your own"),
            cursor_file=cursor_file,
        )
    if cursor and not _CURSOR.fullmatch(cursor):
        raise BadUsage(N_("invalid cursor"), N_("omit --after, or use --since"))
    if not cursor:
        cursor = str(began)  # from then on, also when the first connection is late
    for shown, (event, place) in enumerate(following(api, accounts, types, cursor), 1):
        if session.json:
            session.emit_line({"cursor": place, "event": event})
        else:
            click.echo(words_of(event))
        if cursor_file:
            save_cursor(cursor_file, place)
        if count is not None and shown >= count:
            return


def resolve_account(api: Api, name_or_id: str) -> AccountName:
    """Return the account to read events of. Raises UnknownAccount if the controller responds and does not have it."""
    name = api.resolve(name_or_id)
    with suppress(ControllerUnreachable, NoResponse):  # it is waited for
        api.account(name)
    return name


def following(
    api: Api, accounts: list[AccountName], types: tuple[str, ...], cursor: str
) -> Iterator[tuple[JsonObject, str]]:
    """Yield events and the cursors after them, over breaks of the connection.

    Raises WxError for what no other try can mend.
    """
    query = [("account", name.name) for name in accounts] + [("types", each) for each in types]
    stream = f"/v1/events?{urlencode(query)}"
    seen = ""
    for sent in followed(lambda place: api.sent_events(stream, place), cursor):
        body = obj(read_json(sent.data))
        event_id = f"{text(body.get('account'))}/{text(body.get('id'))}"
        if event_id != seen:  # the last one is repeated if its cursor was not written
            seen = event_id
            yield body, sent.cursor


def words_of(event: JsonObject) -> str:
    """Return an event as a line: time, account, type and text."""
    clock = local_time(event.get("time"), "%m-%d %H:%M:%S")
    report = obj(event.get("report"))
    return " ".join((clock, one_line(event.get("account")), one_line(event.get("type")), content(report))).rstrip()


def content(report: JsonObject) -> str:
    if text(report.get("post_type")) == "event":
        shown = say if report.get("event") == "state_change" else str
        params = [
            shown(text(param)) or text(field(param, "displayname")) or text(field(param, "name"))
            for param in items(report.get("params"))
        ]
        return line(" ".join(word for word in params if word))
    sender, receiver = text(report.get("sender")), text(report.get("group")) or text(report.get("receiver"))
    return line(f"{sender} → {receiver}: {text(report.get('content'))}")


def line(words: str) -> str:
    """One line without terminal escape sequences, because messages are written by others."""
    return "".join(c if c.isprintable() else " " for c in words)


def cursor_of(path: Path) -> str:
    unreadable = N_("--cursor-file {file} cannot be read: {reason}")
    with file_problems(unreadable, N_("name a file of your own"), file=path), suppress(FileNotFoundError):
        return path.read_text(encoding="ascii").strip()
    return ""


def save_cursor(path: Path, cursor: str) -> None:
    remedy = N_("the last event will be shown again next time")
    with file_problems(N_("the cursor cannot be kept in {file}: {reason}"), remedy, kind=WxError, file=path):
        replace_file(path, f"{cursor}\n".encode())
