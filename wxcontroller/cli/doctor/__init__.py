"""The verb doctor: the faults that are common, looked for one after the other, with what to do about each."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click

from wxcontroller.cli.context import Session, global_options
from wxcontroller.cli.doctor import accounts, machine, network, services
from wxcontroller.cli.doctor.result import Check, Patient, Result, fail, ok, warn
from wxcontroller.core.check import Level, check_configuration
from wxcontroller.core.errors import BadSettings, WxError
from wxcontroller.core.materialise import Registry
from wxcontroller.core.paths import Paths
from wxcontroller.core.settings import load_settings

_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


def configuration(patient: Patient) -> Iterator[Result]:
    """Settings, template, accounts' files, tokens and credentials."""
    try:
        found = check_configuration(patient.paths)
    except OSError as problem:
        yield warn("configuration", f"{problem.filename} can't be looked at: {problem.strerror}", "run it as root")
        return
    for one in found:
        yield Result(one.level, "configuration", f"{one.place}: {one.message}", one.remedy)
    if not found:
        yield ok("configuration", "settings, template and accounts' files are good")


def controller(patient: Patient) -> Iterator[Result]:
    """Whether the controller answers."""
    if patient.away is not None:
        yield fail("controller", patient.away.message, patient.away.remedy)
        return
    try:
        health = patient.api.health()
    except WxError as problem:
        yield fail("controller", problem.message, problem.remedy)
        return
    if health.get("status") == "ok":
        yield ok("controller", f"answers at {patient.api.shown}, version {health.get('version')}")
    else:
        yield fail(
            "controller", f"is {health.get('status')}: {health.get('reason')}", "see: journalctl -u wxcontroller"
        )


_EVERYWHERE: tuple[Check, ...] = (controller, accounts.conditions, accounts.deliveries)
# Only on the controller's machine.
_HERE: tuple[Check, ...] = (
    configuration,
    services.units,
    services.polkit,
    services.drop_ins,
    services.boot,
    services.credentials,
    machine.disks,
    network.ports,
    controller,
    network.wechat,
    accounts.conditions,
    accounts.programs,
    accounts.deliveries,
)


@click.command(
    short_help="Look for common faults, and say what to do.",
    epilog="Examples: wxctl doctor · wxctl doctor --json | jq '.[] | select(.level != \"ok\")'",
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
    patient = _examined(session, Paths(root))
    found: list[Result] = []
    for check in _HERE if patient.api.is_local else _EVERYWHERE:
        for one in check(patient):
            found.append(one)
            if not session.json and (one.level is not Level.OK or not quiet):
                _tell(one)
    if session.json:
        session.emit([one.as_json() for one in found if one.level is not Level.OK or not quiet])
    if any(one.level is Level.FAIL for one in found):
        raise click.exceptions.Exit(1)


def _examined(session: Session, paths: Paths) -> Patient:
    patient = Patient(session.api(), paths, is_root=os.geteuid() == 0)
    try:
        patient.views = patient.api.accounts()
    except WxError as problem:
        patient.away = problem
    if patient.api.is_local:
        with suppress(BadSettings):  # told by the check of the configuration, as what follows
            patient.settings = load_settings(paths).settings
        with suppress(OSError):
            registry = Registry(paths)
            for instance in registry.instances():
                with suppress(WxError, OSError):
                    patient.registered.append(registry.load(instance))
    return patient


def _tell(one: Result) -> None:
    click.echo(click.style(f"{one.level:<5}", fg=_COLOURS[one.level], bold=one.level is Level.FAIL), nl=False)
    click.echo(f" {one.what}: {one.message}")
    if one.level is not Level.OK and one.remedy:
        click.echo(f"        {one.remedy}")
