"""The verb logs: the journal of one account."""

import os
import re
from pathlib import Path
from typing import NoReturn

import click

from wxcontroller.cli.connection.systemd import any_seen, exec_journalctl, is_registered, is_this_machines, is_time
from wxcontroller.cli.context import WxctlRun, name_argument
from wxcontroller.cli.localtime import invalid_since
from wxcontroller.cli.verbhelp import verb
from wxcontroller.cli.verbs.account import remotelogs
from wxcontroller.core.errors import ControllerUnreachable, UnknownAccount, WxError
from wxcontroller.core.names import is_derived, parse_name, unit_of
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, Text

_WAIT = 3.0  # logs are wanted most when the controller does not answer
_JOURNALS = (Path("/var/log/journal"), Path("/run/log/journal"))


@verb(
    "Show the journal of an account.",
    "wxctl logs alice",
    "wxctl logs alice -f",
    "wxctl logs alice --since 1h",
    "wxctl logs alice -f --url https://bots.example.org",
)
@name_argument
@click.option("-f", "--follow", is_flag=True, help="Follow new lines.")
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), metavar="N", help="The newest N lines [default: all, with -f 10]."
)
@click.option("--since", metavar="WHEN", help="Lines since WHEN: 30s, 10m, 2h, 7d ago, today, or a date.")
def logs(session: WxctlRun, name: str, follow: bool, lines: int | None, since: str | None) -> None:
    """Show the journal of an account, until Ctrl-C with --follow.

    On the accounts' machine this uses journalctl(1) and needs no controller. For another machine (--url), and for
    users who may not read the journal, the controller returns at most the newest 1000 lines.

    With --json each entry is a line, an object of the journal's own fields.
    """
    api = session.api()
    instance = name if is_derived(name) else parse_name(name).instance
    unit = unit_of(instance)
    # The units that prepare a start log what prevented it.
    units = [unit, *(unit.replace("wxclient@", f"wxclient-{part}@", 1) for part in ("prepare", "credentials"))]
    if is_this_machines(api) and may_read_the_journal():
        raise_if_unknown(session, name, instance, units)
        journalctl(session, units, lines, follow, since)
    try:
        remotelogs.show(session, api, api.resolve(name), lines, follow, since)
    except ControllerUnreachable as away:
        if not is_this_machines(api):
            remedy = Text(N_("{remedy}; on its machine: {logs}"), remedy=away.remedy_text, logs=command("logs", name))
            raise ControllerUnreachable(away.text, remedy) from None
        journalctl(session, units, lines, follow, since)


def journalctl(session: WxctlRun, units: list[str], lines: int | None, follow: bool, since: str | None) -> NoReturn:
    when = journalctl_since(since)
    if when is not None and not is_time(when):
        raise invalid_since(since or "")
    exec_journalctl(units, lines, follow, when, session.json)


def journalctl_since(since: str | None) -> str | None:
    """Return --since for journalctl, which accepts 2h only as 2h ago."""
    return f"-{since}" if since and re.fullmatch(r"[0-9]+ ?[a-z]+", since) else since


def may_read_the_journal() -> bool:
    """Whether journalctl would show another user's lines. journalctl itself reports a missing journal."""
    files = [file for place in _JOURNALS for file in place.glob("*/system.journal")]
    return not files or any(os.access(file, os.R_OK) for file in files)


def raise_if_unknown(session: WxctlRun, name: str, instance: str, units: list[str]) -> None:
    """Raise UnknownAccount if the registry or the controller does not know it; show logs if neither can tell."""
    registered = is_registered(instance)
    if registered:
        return
    api = session.api()
    try:
        api.account(api.resolve(name, _WAIT), _WAIT)
        return
    except UnknownAccount:
        pass
    except WxError:
        if registered is None:
            return
    if not any_seen(units):
        raise UnknownAccount(
            N_("there is no account {account}"),
            N_("wxctl list shows the accounts; for a removed account: journalctl -u {units}"),
            account=name,
            units=units[0],
        )
