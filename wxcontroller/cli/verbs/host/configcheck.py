"""The command config: checks the configuration before it is used."""

from pathlib import Path

import click

from wxcontroller.cli.context import WxctlRun, json_option
from wxcontroller.cli.language import say, tell
from wxcontroller.cli.verbhelp import verb_group
from wxcontroller.core.errors import BadSettings, WxError, reason_of
from wxcontroller.core.paths import Paths
from wxcontroller.core.text.templates import N_


@verb_group("Validate the configuration.", "wxctl config check")
def config() -> None:
    """Validate the configuration of this machine. Needs no controller."""


@config.verb(
    "Find errors in the settings and account files.",
    "wxctl config check",
    "wxctl config check --strict --json",
    options=json_option,
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing if everything is valid.")
@click.option("--strict", is_flag=True, help="Exit with status 78 for warnings, too.")
@click.option("--root", type=click.Path(path_type=Path), default=Path("/"), hidden=True)
def check(session: WxctlRun, quiet: bool, strict: bool, root: Path) -> None:
    """Validate the settings and their drop-ins, the template, account files and overrides, tokens and
    credentials.

    Each problem is one line with file, line, key and remedy. Exits with status 78 if something cannot be used and
    0 otherwise, so it is suitable for ExecStartPre=. Run it as root, or as the user wxcontroller, which cannot
    read credentials.
    """
    from wxcontroller.core.registry.check import Level, check_configuration  # much to import, for this verb alone

    paths = Paths(root)
    try:
        found = check_configuration(paths)
    except PermissionError as problem:
        raise WxError(
            N_("{file} cannot be checked: {reason}"),
            N_("run it as root, where wxcontroller is installed"),
            file=problem.filename,
            reason=reason_of(problem),
        ) from None
    if session.json:
        session.emit([finding.as_json() for finding in found])
    for finding in found if not session.json else ():
        click.echo(f"{say(finding.level)}: {finding.place}: {say(finding.message)}")
        if finding.remedy:
            click.echo(f"    {say(finding.remedy)}")
    if not found and not quiet and not session.json:
        tell("the configuration is valid")
    if any(finding.level is Level.FAIL or strict for finding in found):
        raise click.exceptions.Exit(BadSettings.exit_code)
