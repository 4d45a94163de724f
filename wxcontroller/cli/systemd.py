"""Starting and stopping accounts by systemd, while the controller is away. On this machine only."""

import os
from collections.abc import Mapping

import click

from wxcontroller.cli.api import Api
from wxcontroller.cli.errors import WrongUrl
from wxcontroller.cli.language import say, tell
from wxcontroller.cli.local import act, controllers_ports, is_registered, known_unit, show_unit
from wxcontroller.core.commands import command
from wxcontroller.core.errors import ControllerUnreachable, UnknownAccount, WxError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.messages import N_, Text
from wxcontroller.core.names import AccountName, instance_of, is_derived, parse_name, unit_of
from wxcontroller.core.paths import Paths

_DONE = {
    "start": N_("wxctl: the controller does not answer; systemd has started {unit} ({active})"),
    "stop": N_("wxctl: the controller does not answer; systemd has stopped {unit} ({active})"),
    "restart": N_("wxctl: the controller does not answer; systemd has restarted {unit} ({active})"),
}
_NOTES = {
    "start": N_("whether it starts after a reboot depends on the last request"),
    "stop": N_("it may start again after a reboot; stop it again when the controller answers"),
    "restart": N_("it runs with its current options"),
}


def is_this_machines(api: Api) -> bool:
    """Return whether this is the address of this machine's own controller, not a tunnel to another machine."""
    if not api.is_local or api.is_roots:
        return api.is_local
    try:
        return api.port in controllers_ports()
    except WxError:
        return False


def disable(api: Api, account: AccountName) -> None:
    """Disable the unit of an account that is to stay stopped, where only root can: on the controller's machine.

    The controller reports an enabled unit to others. Raises WxError.
    """
    if os.geteuid() != 0 or not Paths().boot_link(account.instance).is_symlink() or not is_this_machines(api):
        return
    act("disable", account.unit)
    notice = Text(
        N_("wxctl: {unit} was enabled and is disabled now; to start it at boot again: systemctl enable {unit}"),
        unit=account.unit,
    )
    tell(str(notice), err=True)


def without_controller(
    api: Api,
    name: str,
    away: ControllerUnreachable,
    verb: str,
    options: Mapping[str, str] | None = None,
) -> JsonObject:
    """Have systemd apply ``verb`` to an account's unit, and report its limits. Returns the unit.

    Raises ``away`` for another machine, or if the request needs the controller, and WxError with
    systemd's message on failure.
    """
    if isinstance(away, WrongUrl) or not is_this_machines(api):
        raise away
    unit = unit_of(name) if is_derived(name) else parse_name(name).unit
    if options:
        raise ControllerUnreachable(
            N_("{away}; only the controller stores options"), away.remedy_text, away=away.text
        )
    new = is_registered(instance_of(unit) or "") is False and show_unit(unit).active in ("", "inactive")
    if new and verb != "start":
        raise UnknownAccount(N_("there is no account {account}"), N_("wxctl list shows the accounts"), account=name)
    try:
        act(verb, unit)
    except WxError as problem:
        cause = known_unit(unit).obstacle or problem
        raise ControllerUnreachable(
            N_("{away}; {problem}"), cause.remedy_text or away.remedy_text, away=away.text, problem=cause.text
        ) from None
    found = show_unit(unit)
    tell(_DONE[verb], err=True, unit=unit, active=found.active)
    click.echo(f"  {say(_NOTES[verb])}", err=True)
    if new:
        tell(new_account(name), err=True)
    return found.as_json()


def new_account(name: str) -> Text:
    """Report that a start has created an account: its name may be a typo."""
    return Text(
        N_("wxctl: {account} is a new account; if the name is a typo: {command}"),
        account=name,
        command=command("remove", name),
    )
