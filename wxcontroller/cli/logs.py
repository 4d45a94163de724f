"""The verb logs: the journal of one account."""

import click

from wxcontroller.cli.context import Session, global_options, name_argument
from wxcontroller.cli.local import any_seen, exec_journalctl, is_registered
from wxcontroller.core.errors import UnknownAccount, WxError
from wxcontroller.core.names import is_derived, parse_name, unit_of

_WAIT = 3.0  # logs are wanted most when the controller does not answer


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
def logs(session: Session, name: str, follow: bool, lines: int | None, since: str | None) -> None:
    """Show the journal of an account, by journalctl(1). Works without the controller, on the accounts' machine.

    With --json each entry is a line, an object of the journal's own fields.
    """
    instance = name if is_derived(name) else parse_name(name).instance
    unit = unit_of(instance)
    # What prevented a start is said by the unit that prepares it.
    units = [unit, unit.replace("wxclient@", "wxclient-prepare@", 1)]
    _raise_if_unknown(session, name, instance, units)
    exec_journalctl(units, lines, follow, since, session.json)


def _raise_if_unknown(session: Session, name: str, instance: str, units: list[str]) -> None:
    """Raise UnknownAccount when register or controller say so; logs are shown where neither can tell."""
    known = is_registered(instance)
    if known:
        return
    api = session.api()
    try:
        api.account(api.resolve(name, _WAIT), _WAIT)
        return
    except UnknownAccount:
        pass
    except WxError:
        if known is None:
            return
    if not any_seen(units):
        raise UnknownAccount(
            f"there is no account {name}",
            f"wxctl list shows the accounts; lines of one that was removed: journalctl -u {units[0]}",
        )
