"""An account's state from systemd, for when the controller does not respond, and the journal. On this machine
only."""

import json
import os
import re
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NoReturn

from wxcontroller import __version__
from wxcontroller.cli.errors import file_problems
from wxcontroller.core.commands import command
from wxcontroller.core.condition.assess import assess
from wxcontroller.core.condition.model import Assessment, ClientReport, Facts, Instant, client_of
from wxcontroller.core.deliverystate import DeliveryState, delivery_state_of
from wxcontroller.core.errors import UnitFailed, WxError, reason_of
from wxcontroller.core.files import read_foreign
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, items, obj, one_line, read_json, text
from wxcontroller.core.messages import N_, NOTHING, Text, verbatim
from wxcontroller.core.names import AccountName, instance_of, is_derived, unit_of
from wxcontroller.core.paths import STATE_FILE_BYTES, Paths
from wxcontroller.core.states import Desired, UnitState

_SHOWN = ("LoadState", "ActiveState", "SubState", "StatusText", "MainPID", "Result", "StateChangeTimestamp")
_WAIT = 10.0
_ACT = 120.0
_CRASHES = N_("wxcontroller.service keeps failing; automatic restarts so far: {n}")
_PATHS = Paths()


@dataclass(frozen=True, slots=True)
class LocalUnit:
    """A unit as shown by ``systemctl show``. ``since`` is seconds since 1970, 0 when unknown."""

    unit: str
    active: str
    sub: str
    status: str = ""
    pid: int = 0
    result: str = ""
    since: int = 0
    account: str = ""  # its name according to the registry
    desired: Desired | None = None
    client: ClientReport | None = None  # its state file's content if readable
    deliveries: DeliveryState | None = None  # the same of its deliveries
    obstacle: WxError | None = None  # why a failed unit cannot run, if its settings are the reason

    @property
    def assessment(self) -> Assessment:
        """Its assessment without the controller, which alone counts restarts."""
        instance = instance_of(self.unit) or ""
        state = UnitState(self.active) if self.active in list(UnitState) else UnitState.ABSENT
        return assess(
            Facts(
                AccountName(self.account or instance, instance),
                self.desired,
                state,
                self.sub,
                Instant(time.time()),
                self.client,
                deliveries=self.deliveries,
                installed=__version__,
                unseen=self.client is None,
                obstacle=self.obstacle,
            )
        )

    @property
    def words(self) -> Text:
        """Its state in the controller's terms if known, else its status text for systemd."""
        if self.client is None or not self.client.status:
            return verbatim(self.status) if self.status else NOTHING
        state = Text(self.assessment.condition.value)
        return Text(N_("{state}: {status}"), state=state, status=self.client.status)

    def as_json(self) -> JsonObject:
        return {
            "name": self.account or None,
            "unit": self.unit,
            "unit_state": self.active,
            "unit_sub": self.sub,
            "status": self.status,
            "pid": self.pid,
            "result": self.result,
            "since": self.since,
            **self.assessment.as_json(),
        }


def show_unit(unit: str) -> LocalUnit:
    """Ask systemd for one unit. Raises WxError without systemd."""
    return local_unit(unit, show(_SHOWN, unit).get(unit, {}))


def local_unit(unit: str, properties: Mapping[str, str]) -> LocalUnit:
    return LocalUnit(
        unit,
        properties.get("ActiveState", ""),
        properties.get("SubState", ""),
        one_line(properties.get("StatusText", "")),
        number(properties.get("MainPID", "")),
        properties.get("Result", ""),
        number(properties.get("StateChangeTimestamp", "").removeprefix("@")),
    )


def show(properties: tuple[str, ...], *units: str) -> dict[str, dict[str, str]]:
    """Return properties of units, by unit. Raises WxError without systemd."""
    out = systemctl("show", "--timestamp=unix", f"--property={','.join(('Id', *properties))}", "--", *units)
    blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in out.split("\n\n")]
    # In the order of the request: an alias has another Id.
    return dict(zip(units, (block for block in blocks if block), strict=False))


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


def list_units() -> list[LocalUnit]:
    """Ask systemd for all accounts' units that it knows. Raises WxError without systemd."""
    out = systemctl("list-units", "--all", "--output=json", "wxclient@*.service")
    try:
        parsed: JsonValue = json.loads(out or "[]")
    except ValueError:
        raise WxError(
            N_("systemctl list-units did not answer in JSON"), N_("systemd 254 or newer is needed")
        ) from None
    found = [
        LocalUnit(text(field(entry, "unit")), text(field(entry, "active")), text(field(entry, "sub")))
        for entry in items(parsed)
    ]
    return [unit for unit in found if instance_of(unit.unit)]


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


def known_units(paths: Paths = _PATHS) -> list[LocalUnit]:
    """Return all accounts' units: those that systemd knows, and those in the registry, as far as it can be read.

    Raises WxError without systemd.
    """
    from wxcontroller.core.accountfiles import AccountFiles  # with the table of options

    units = dict.fromkeys(unit.unit for unit in list_units())
    with suppress(OSError):
        units |= dict.fromkeys(unit_of(instance) for instance in AccountFiles(paths).instances())
    properties = show(_SHOWN, *units) if units else {}
    found = [with_files(local_unit(unit, properties.get(unit, {})), paths) for unit in units]
    return sorted(found, key=lambda each: each.account or each.unit)


def known_unit(unit: str, paths: Paths = _PATHS) -> LocalUnit:
    """Return one account's unit, with the account's name where it can be read. Raises WxError as known_units."""
    return with_files(show_unit(unit), paths)


def with_files(found: LocalUnit, paths: Paths) -> LocalUnit:
    """Add the data of the account's readable files."""
    from wxcontroller.core.accountfiles import AccountFiles
    from wxcontroller.core.check import bad_settings

    instance = instance_of(found.unit) or ""
    found = replace(found, account=plain(found.unit))
    with suppress(WxError, OSError):
        account = AccountFiles(paths).load(instance)
        found = replace(found, account=account.name.name, desired=account.desired)
    if found.active == UnitState.FAILED:
        found = replace(found, obstacle=bad_settings(paths, instance, found.account or instance))
    with suppress(OSError, ValueError):
        content = read_json(read_foreign(paths.state_file(instance), STATE_FILE_BYTES))
        found = replace(found, client=client_of(obj(content)))
        content = read_json(read_foreign(paths.deliveries_file(instance), STATE_FILE_BYTES))
        found = replace(found, deliveries=delivery_state_of(obj(content)))
    return found


def plain(unit: str) -> str:
    """Return the name that a unit's instance is, "" where that is derived from it."""
    instance = instance_of(unit) or ""
    return "" if is_derived(instance) else instance


def any_seen(units: list[str]) -> bool:
    """Whether one of these units is up or has failed. False without systemd."""
    try:
        return any(show_unit(unit).active not in ("", "inactive") for unit in units)
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
