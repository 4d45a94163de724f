"""The verb doctor: the faults that are common, looked for one after the other, with what to do about each."""

from pathlib import Path

import click

from wxcontroller.cli.context import Session, global_options
from wxcontroller.cli.language import left_aligned, say
from wxcontroller.cli.verbs import Verb


@click.command(
    cls=Verb,
    short_help="Look for common faults, and say what to do.",
    examples=(
        "wxctl doctor",
        "wxctl doctor --json | jq '.[] | select(.level != \"ok\")'",
    ),
)
@click.option("-q", "--quiet", is_flag=True, help="Only what is not ok.")
@click.option("--root", type=click.Path(path_type=Path), default=Path("/"), hidden=True)
@global_options
@click.pass_obj
def doctor(session: Session, quiet: bool, root: Path) -> None:
    """Look for the common faults of this machine, and say of each thing: ok, warn or fail, and what to do.

    Looked at are the settings, the services, polkit, changed units, the boot, credentials, disks, ports, the clock
    and the way to WeChat, and every account. Run it as root to see all of it. With a --url of another machine only
    what its controller tells is looked at. Ends with 1 when something is fail.
    """
    from wxcontroller.cli.doctor.examine import results  # much to import, for this verb alone
    from wxcontroller.core.check import Level
    from wxcontroller.core.paths import Paths

    found = []
    for one in results(session.api(), Paths(root)):
        found.append(one)
        if session.json or (one.level is Level.OK and quiet):
            continue
        colour = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}[one.level]
        click.echo(click.style(left_aligned(one.level, 5), fg=colour, bold=one.level is Level.FAIL), nl=False)
        click.echo(f" {say(one.what)}{say(': ')}{say(one.message)}")
        if one.remedy:
            click.echo(f"        {say(one.remedy)}")
    if session.json:
        session.emit([one.as_json() for one in found if one.level is not Level.OK or not quiet])
    if any(one.level is Level.FAIL for one in found):
        raise click.exceptions.Exit(1)
