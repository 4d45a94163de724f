"""The verb logs: the journal of one account."""

import click

from wxcontroller.cli.context import Session, global_options, name_argument
from wxcontroller.cli.local import exec_journalctl
from wxcontroller.core.names import is_derived, parse_name, unit_of


@click.command(
    short_help="Show the journal of an account.",
    epilog="Examples: wxctl logs alice · wxctl logs alice -f · wxctl logs alice --since -1h",
)
@name_argument
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines as they come.")
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), metavar="N", help="The newest N lines [default: all, with -f 10]."
)
@click.option("--since", metavar="WHEN", help="Lines since WHEN, in the words of journalctl(1).")
@global_options
@click.pass_obj
def logs(_: Session, name: str, follow: bool, lines: int | None, since: str | None) -> None:
    """Show the journal of an account, by journalctl(1). Works without the controller, on the accounts' machine."""
    unit = unit_of(name) if is_derived(name) else parse_name(name).unit
    # What prevented a start is said by the unit that prepares it.
    exec_journalctl([unit, unit.replace("wxclient@", "wxclient-prepare@", 1)], lines, follow, since)
