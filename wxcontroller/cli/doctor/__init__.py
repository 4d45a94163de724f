"""The command doctor: checks for common faults, each with a remedy.

``examine`` lists the checks in order; start there. The others contain checks of one subject: ``services``,
``machine``, ``network`` and ``accountchecks``. ``result`` is the form of a result. Problems of accounts are not
assessed here but in ``core.condition``.
"""

from pathlib import Path

import click

from wxcontroller.cli.context import WxctlRun
from wxcontroller.cli.language import behind, left_aligned, say
from wxcontroller.cli.verbhelp import verb


@verb("Diagnose common problems.", "wxctl doctor", "wxctl doctor --json | jq '.[] | select(.level != \"ok\")'")
@click.option("-q", "--quiet", is_flag=True, help="Only checks that are not ok.")
@click.option("--root", type=click.Path(path_type=Path), default=Path("/"), hidden=True)
def doctor(session: WxctlRun, quiet: bool, root: Path) -> None:
    """Diagnose common problems of this machine. Each check reports ok, warn or fail, and a remedy.

    Checks the settings, services, polkit, modified units, boot, credentials, disks, ports, clock, the connection
    to WeChat, and every account. Run it as root for complete results. With the --url of another machine it checks
    only what that controller reports. Exits with status 1 if any check fails.
    """
    from wxcontroller.cli.doctor.examine import results  # much to import, for this verb alone
    from wxcontroller.core.paths import Paths
    from wxcontroller.core.registry.check import Level

    found = []
    for result in results(session.api(), Paths(root)):
        found.append(result)
        if session.json or (result.level is Level.OK and quiet):
            continue
        colour = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}[result.level]
        level = left_aligned(result.level, 5)
        line = behind(f"{level} ", say(result.what) + say(": ") + say(result.message))
        click.echo(click.style(level, fg=colour, bold=result.level is Level.FAIL) + line.removeprefix(level))
        if result.remedy:
            click.echo(behind(" " * 8, say(result.remedy)))
    if session.json:
        session.emit([result.as_json() for result in found if result.level is not Level.OK or not quiet])
    if any(result.level is Level.FAIL for result in found):
        raise click.exceptions.Exit(1)
