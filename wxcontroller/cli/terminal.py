"""How things look on a terminal. Imported by the verbs that need it only: rich takes its time."""

import time

import click
import segno
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from wxcontroller.cli.account import AccountView
from wxcontroller.cli.language import say
from wxcontroller.core import messages
from wxcontroller.core.messages import N_
from wxcontroller.core.tokens import Token

_BLACK, _WHITE = "color(16)", "color(231)"  # the two that colour schemes leave alone
_BORDER = 2  # modules of white around a code; the standard says 4, phones are content with 2 on our white ground


def console(stderr: bool = False) -> Console:
    """Return a console: colours and the real width on a terminal, plain unbounded lines elsewhere."""
    found = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not found.is_terminal:
        found = Console(
            stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True, width=100_000, no_color=True
        )
    return found


def account_table(accounts: list[AccountView], bounded: bool) -> Table:
    """Return the table of ``wxctl list``. ``bounded``: the status column gives way when the terminal is narrow."""
    table = Table(box=None, pad_edge=False, header_style="bold" if bounded else "", expand=bounded)
    for title in ("NAME", "STATE", "SINCE", "PORT", "USER"):
        table.add_column(say(title), no_wrap=True, justify="right" if title == "PORT" else "left")
    # With a ratio it gets what the others leave. Without one, all columns shrink with the longest text.
    table.add_column(
        say("STATUS"), no_wrap=True, overflow="ellipsis" if bounded else "ignore", ratio=1 if bounded else None
    )
    for account in accounts:
        condition = account.condition
        table.add_row(
            account.name,
            Text(say(condition.value), condition.style),
            ago(account.since),
            str(account.port or ""),
            account.user,
            say(account.words),
        )
    return table


def print_table(table: Table, target: Console) -> None:
    """Print a table; outside a terminal without the padding of the last column, which would be noise."""
    with target.capture() as captured:
        target.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip(), color=True)


def token_table(tokens: list[Token], now: float) -> Table:
    """Return the table of ``wxctl token list``."""
    table = Table(box=None, pad_edge=False)
    for title in ("ID", "NAME", "SCOPE", "ACCOUNTS", "CREATED", "EXPIRES"):
        table.add_column(say(title), no_wrap=True)
    for token in tokens:
        expires = say("never") if token.expires is None else _day(token.expires)
        table.add_row(
            token.id,
            token.name,
            token.scope.value,
            ", ".join(token.accounts) or say("all"),
            _day(token.created),
            Text(say("{expires}, expired", expires=expires), "red") if token.expired(now) else expires,
        )
    return table


def _day(moment: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


def ago(since: int) -> str:
    """Return how long ago a moment was, in its largest unit: ``5 s``, ``12 min``, ``3 h``, ``40 d``."""
    if not since:
        return ""
    seconds = max(0, int(time.time()) - since)
    for size, words in ((86400, N_("{number} d")), (3600, N_("{number} h")), (60, N_("{number} min"))):
        if seconds >= 2 * size:
            return say(words, number=seconds // size)
    return say("{number} s", number=seconds)


def moment(since: int) -> str:
    """Return a moment in local time and how long ago it was."""
    if not since:
        return "-"
    try:
        told = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since))
    except (OverflowError, ValueError, OSError):  # no year that a calendar has
        return "-"
    return say("{moment} ({age} ago)", moment=told, age=ago(since))


def too_small(code: Text, target: Console, below: int) -> messages.Text:
    """Say how much larger a terminal a QR code needs with ``below`` lines under it; empty when it fits."""
    rows = code.plain.splitlines()
    lines, columns = len(rows) + below, len(rows[0])
    if lines <= target.height and columns <= target.width:
        return messages.NOTHING
    return messages.Text(
        "the QR code needs a terminal of {columns} columns and {lines} lines, this one has {width} and {height}",
        columns=columns,
        lines=lines,
        width=target.width,
        height=target.height,
    )


def qr_text(link: str, colour: bool) -> Text:
    """Draw a QR code with half blocks, two modules a character.

    With ``colour`` black on white is set explicitly, so the code is right on dark and light terminals. Without, the
    characters themselves are the white modules: right on the usual dark terminal. A line is of one style: each change
    of style is some ten bytes, which a slow line would show.
    """
    rows = [list(row) for row in segno.make(link, error="l", micro=False).matrix_iter(border=_BORDER)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    drawn = Text(no_wrap=True, end="")
    for upper, lower in zip(rows[::2], rows[1::2], strict=True):
        pairs = zip(upper, lower, strict=True)
        if colour:
            black = "".join(" ▄▀█"[2 * bool(top) + bool(bottom)] for top, bottom in pairs)
            drawn.append(black, Style(color=_BLACK, bgcolor=_WHITE))
        else:
            drawn.append("".join(" ▄▀█"[2 * (not top) + (not bottom)] for top, bottom in pairs))
        drawn.append("\n")
    return drawn
