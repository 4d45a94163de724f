"""What systemd knows and does on this machine: properties of units, the controller's port, the journal."""

import os
import re
import subprocess
from typing import NoReturn

from wxcontroller.cli.clierrors import file_problems
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.language import tell
from wxcontroller.core.errors import UnitFailed, WxError, reason_of
from wxcontroller.core.names import AccountName, instance_of
from wxcontroller.core.paths import Paths
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, Text

_WAIT = 10.0
_ACT = 120.0
_CRASHES = N_("wxcontroller.service keeps failing; automatic restarts so far: {n}")
_PATHS = Paths()


def show(properties: tuple[str, ...], *units: str) -> dict[str, dict[str, str]]:
    """Return properties of units, by unit. Raises WxError without systemd."""
    out = systemctl("show", "--timestamp=unix", f"--property={','.join(('Id', *properties))}", "--", *units)
    blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in out.split("\n\n") if block]
    if len(blocks) != len(units):
        raise WxError(N_("systemctl shows no units, as in a chroot, where it ignores commands"))
    # In the order of the request: an alias has another Id.
    return dict(zip(units, blocks, strict=True))


def controllers_ports() -> set[int]:
    """Return the ports of the controller's socket. Raises WxError without systemd."""
    out = systemctl("show", "--property=Listen", "--", "wxcontroller.socket")
    return {int(port) for port in re.findall(r":(\d+) \(Stream\)", out)}


def crashes(port: int) -> Text | None:
    """Return how the controller behind a port of this machine fails to start; None when that is not known."""
    try:
        if port not in controllers_ports():
            return None
        found = show(("ActiveState", "NRestarts"), "wxcontroller.service").get("wxcontroller.service", {})
    except WxError:
        return None
    state, restarts = found.get("ActiveState", ""), number(found.get("NRestarts", ""))
    if state == "failed" or (state == "activating" and restarts):
        return Text(_CRASHES, n=restarts)
    return None


def settings_of(unit: str, key: str) -> list[str]:
    """Return the values of a key in a unit's files, in order, an empty one forgetting those before it.

    For properties that ``systemctl show`` does not print. Raises WxError without systemd.
    """
    found: list[str] = []
    for line in systemctl("cat", "--", unit).splitlines():
        name, _, value = line.partition("=")
        if name.strip() == key:
            found = [*found, value.strip()] if value.strip() else []
    return found


def act(verb: str, unit: str, *options: str) -> None:
    """Have systemd start, stop or restart the unit of an account. Raises UnitFailed, or WxError without systemd."""
    done = _run(verb, *options, "--", unit, wait=_ACT)
    if done.returncode:
        reason = done.stderr.strip().splitlines()
        raise UnitFailed(
            N_("systemctl {verb} {unit}: {value}"),
            N_("run it as root; see: {logs}"),
            logs=command("logs", instance_of(unit) or unit),
            verb=verb,
            unit=unit,
            value=reason[0] if reason else done.returncode,
        )


def reload_units() -> None:
    """Have systemd reload its units. Raises WxError."""
    systemctl("daemon-reload")


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


def any_seen(units: list[str]) -> bool:
    """Whether one of these units is up or has failed. False without systemd."""
    try:
        found = show(("ActiveState",), *units)
        return any(each.get("ActiveState", "") not in ("", "inactive") for each in found.values())
    except WxError:
        return False


def is_registered(instance: str, paths: Paths = _PATHS) -> bool | None:
    """Return whether the registry of this machine has the account; None if it cannot be read or does not exist."""
    try:
        return paths.account_file(instance) in list(paths.accounts.iterdir())
    except OSError:
        return None


def is_time(when: str) -> bool:
    """Return whether journalctl accepts a time; also true if that cannot be determined."""
    try:
        tried = run_program("journalctl", "--quiet", "--lines=0", f"--since={when}")
    except (OSError, subprocess.TimeoutExpired):
        return True
    return "parse timestamp" not in tried.stderr


def exec_journalctl(
    units: list[str], lines: int | None, follow: bool, since: str | None, as_json: bool = False
) -> NoReturn:
    """Replace this process with journalctl for these units. Raises WxError if it cannot be run."""
    command = ["journalctl", "--no-hostname", *(f"--unit={unit}" for unit in units)]
    if follow:
        command.append("--follow")
    if as_json:
        command += ["--output=json", "--quiet"]  # no hints for people among the objects
    if lines is not None:
        command.append(f"--lines={lines}")
    if since is not None:
        command.append(f"--since={since}")
    remedy = N_("logs are read on the machine the accounts run on")
    with file_problems(N_("journalctl cannot be run: {reason}"), remedy, kind=WxError):
        os.execvp(command[0], command)  # noqa: S606 - no shell on purpose


def run_program(*command: str, wait: float = _WAIT) -> "subprocess.CompletedProcess[str]":
    """Run a program, which the administrator's PATH finds. Raises OSError and TimeoutExpired."""
    return subprocess.run(  # noqa: S603 - fixed programs, checked names
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=wait,
        check=False,
    )


def _run(*arguments: str, wait: float = _WAIT) -> "subprocess.CompletedProcess[str]":
    try:
        return run_program("systemctl", "--no-pager", "--no-ask-password", *arguments, wait=wait)
    except subprocess.TimeoutExpired:
        raise WxError(N_("systemctl does not answer either")) from None
    except OSError as problem:
        raise WxError(N_("systemctl failed, too: {reason}"), reason=reason_of(problem)) from None


def systemctl(*arguments: str) -> str:
    done = _run(*arguments)
    if done.returncode:
        reason = done.stderr.strip().splitlines()
        raise WxError(N_("systemctl failed, too: {value}"), value=reason[-1] if reason else done.returncode)
    return done.stdout


def number(digits: str) -> int:
    return int(digits) if digits.isdecimal() else 0
