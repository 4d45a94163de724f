"""Terminal output. Imported only by the verbs that need it, as importing rich is slow."""

import time
from collections.abc import Iterable, Sequence

import click
import segno
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from wxcontroller.cli.connection.account import AccountView
from wxcontroller.cli.language import behind, say
from wxcontroller.cli.localtime import local_time
from wxcontroller.core.access.tokenfile import Token
from wxcontroller.core.jsontypes import one_line
from wxcontroller.core.text import templates
from wxcontroller.core.text.templates import N_

_BLACK, _WHITE = "color(16)", "color(231)"  # the two that colour schemes leave alone
_TITLES = (N_("NAME"), N_("STATE"), N_("SINCE"), N_("PORT"), N_("USER"), N_("STATUS"))
_GAP = 2  # between columns
# Of a list: the columns of port, user and status; the most that is shown of the user, and what is left of the status
# before other columns make room for it.
_PORT, _USER, _STATUS, _MAX_USER, _MIN_STATUS = 3, 4, 5, 20, 40
_BORDER = 2  # white modules around a code; the standard requires 4, phones accept 2 on our white background


def console(stderr: bool = False) -> Console:
    """Return a console: colours and the real width on a terminal, plain unbounded lines elsewhere."""
    found = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not found.is_terminal:
        found = Console(
            stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True, width=100_000, no_color=True
        )
    return found


def account_table(accounts: list[AccountView], width: int | None) -> Group:
    """Return the table of ``wxctl list``, at most ``width`` columns wide (None: as wide as it gets).

    The status says why and what to do, so the user's name, which others choose, and then the port make room for it.
    The others keep their width, to be compared over the rows; a status without any room is left out.
    """
    rows = [
        (
            account.name,
            say(account.condition.value),
            ago(account.since),
            str(account.port or ""),
            account.user,
            say(account.headline),
        )
        for account in accounts
    ]
    titles = [say(title) for title in _TITLES]
    widths = [max(map(cell_len, column)) for column in zip(titles, *rows, strict=True)]
    if width is not None:
        widths[_USER] = min(widths[_USER], _MAX_USER)
        for spare in (_USER, _PORT):
            if room_for_status(widths, width) < min(widths[_STATUS], _MIN_STATUS):
                widths[spare] = 0
        widths[_STATUS] = max(0, min(widths[_STATUS], room_for_status(widths, width)))
    # Not a rich table: on a narrow terminal, it shrinks columns that must keep their width.
    lines = [_line(map(Text, titles), widths)]
    for account, (name, state, *more) in zip(accounts, rows, strict=True):
        lines.append(_line([Text(name), Text(state, account.style), *map(Text, more)], widths))
    if width is not None:
        lines[0].stylize("bold")
    return Group(*lines)


def room_for_status(widths: Sequence[int], width: int) -> int:
    return width - sum(each + _GAP for each in widths[:_STATUS] if each)


def _line(cells: Iterable[Text], widths: Sequence[int]) -> Text:
    """Return a line of cells that are cut and filled to their widths; 0 leaves one out."""
    line = Text()
    for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        if width:
            cell.truncate(width, overflow="ellipsis")
            cell.align("right" if column == _PORT else "left", width)
            line.append_text(cell).append(" " * _GAP)
    line.rstrip()
    return line


def print_table(table: RenderableType, target: Console) -> None:
    """Print a table."""
    for line in table_lines(table, target):
        click.echo(line, color=True)


def table_lines(table: RenderableType, target: Console) -> list[str]:
    """Return a table's lines, without the padding of the last column, which would be noise outside a terminal."""
    with target.capture() as captured:
        target.print(table)
    return [line.rstrip() for line in captured.get().splitlines()]


def print_rows(titles: Sequence[str], rows: Iterable[Sequence[str | Text]], wraps: str) -> None:
    """Print a table with these titles; on a narrow terminal the texts of the column ``wraps`` take several lines.

    If it is the last column and has too little room, they are below their rows.
    """
    target = console()
    cells = [[Text(one_line(cell)) if isinstance(cell, str) else cell for cell in row] for row in rows]
    *widths, last = [
        max([cell_len(say(title)), *(row[column].cell_len for row in cells)]) for column, title in enumerate(titles)
    ]
    room = target.width - sum(width + _GAP for width in widths)
    shown = titles[:-1] if titles[-1] == wraps and room < min(last, _MIN_STATUS) else titles
    table = Table(box=None, pad_edge=False, header_style="bold" if target.is_terminal else "")
    for title in shown:
        table.add_column(say(title), no_wrap=title != wraps)
    for row in cells:
        table.add_row(*row[: len(shown)])
    if shown is titles:
        print_table(table, target)
        return
    head, *lines = table_lines(table, target)
    click.echo(head, color=True)
    for line, (*_, text) in zip(lines, cells, strict=True):
        click.echo(line, color=True)
        if text.plain:
            click.echo(behind("  ", text.plain))


def print_tokens(tokens: Iterable[Token], now: float) -> None:
    """Print the table of ``wxctl token list``."""
    titles = N_("ID"), N_("NAME"), N_("SCOPE"), N_("ACCOUNTS"), N_("CREATED"), N_("EXPIRES")
    rows: list[tuple[str | Text, ...]] = []
    for token in tokens:
        expires = say(N_("never")) if token.expires is None else day(token.expires)
        ends = Text(say("{expires}, expired", expires=expires), "red") if token.expired(now) else expires
        accounts = ", ".join(token.accounts) or say(N_("all"))
        rows.append((token.id, token.name, token.scope.value, accounts, day(token.created), ends))
    print_rows(titles, rows, wraps="ACCOUNTS")


def day(moment: int) -> str:
    return local_time(moment, "%Y-%m-%d %H:%M")


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
    """Return a time as local time, with its age."""
    if not since:
        return "-"
    shown = local_time(since)
    return shown if shown == "-" else say("{moment} ({age} ago)", moment=shown, age=ago(since))


def too_small(code: Text, target: Console, below: int) -> templates.Text:
    """Say how much larger a terminal a QR code needs with ``below`` lines under it; empty when it fits."""
    rows = code.plain.splitlines()
    lines, columns = len(rows) + below, len(rows[0])
    if lines <= target.height and columns <= target.width:
        return templates.NOTHING
    return templates.Text(
        "the QR code needs a terminal of {columns} columns and {lines} lines, this one has {width} and {height}",
        columns=columns,
        lines=lines,
        width=target.width,
        height=target.height,
    )


def qr_text(link: str, colour: bool) -> Text:
    """Draw a QR code with half blocks, two modules a character.

    With ``colour`` black on white is set explicitly, so the code is right on dark and light terminals. Without, the
    characters themselves are the white modules: right on the usual dark terminal. Each line has a single style: a
    change of style costs about ten bytes, which is visible over a slow connection.
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
