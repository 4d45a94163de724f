"""Starting and stopping accounts by systemd, while the controller is away. On this machine only."""

from collections.abc import Mapping

import click

from wxcontroller.cli.api import Api
from wxcontroller.cli.context import Session
from wxcontroller.cli.local import act, controllers_ports, show_unit
from wxcontroller.core.errors import ControllerUnreachable, UnknownAccount, WxError
from wxcontroller.core.names import is_derived, parse_name, unit_of

_NOTES = {
    "start": "whether it comes back after a reboot is as it was asked for last",
    "stop": "after a reboot it comes back if it was wanted: stop it again when the controller answers",
    "restart": "it runs by the options it has",
}


def is_this_machines(api: Api) -> bool:
    """Say whether this is the address of this machine's own controller, not the beginning of a tunnel to another."""
    if not api.is_local or api.is_roots:
        return api.is_local
    try:
        return api.port in controllers_ports()
    except WxError:
        return False


def without_controller(
    session: Session,
    api: Api,
    name: str,
    verb: str,
    away: ControllerUnreachable,
    options: Mapping[str, str] | None = None,
) -> None:
    """Have systemd do ``verb`` to an account's unit, and say what that does not do.

    Raises ``away`` where this is another machine, or what is asked for needs the controller, and WxError with
    systemd's words when it fails.
    """
    if not is_this_machines(api):
        raise away
    unit = unit_of(name) if is_derived(name) else parse_name(name).unit
    if options:
        raise ControllerUnreachable(f"{away.message}; it alone stores options", away.remedy)
    if verb != "start" and show_unit(unit).active in ("", "inactive"):
        from wxcontroller.cli.local import is_registered

        if is_registered(unit.removeprefix("wxclient@").removesuffix(".service")) is False:
            raise UnknownAccount(f"there is no account {name}", "wxctl list shows the accounts")
    try:
        act(verb, unit)
    except WxError as problem:
        raise ControllerUnreachable(f"{away.message}; {problem.message}", problem.remedy or away.remedy) from None
    found = show_unit(unit)
    if session.json:
        session.emit(found.as_json())
    done = {"start": "started", "stop": "stopped", "restart": "restarted"}[verb]
    words = f"wxctl: the controller does not answer; systemd has {done} {unit}"
    click.echo(f"{words} ({found.active})\n  {_NOTES[verb]}", err=True)
