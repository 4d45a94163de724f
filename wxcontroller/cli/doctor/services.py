"""Checks of systemd: units that are down, a missing polkit rule, drop-ins that weaken the sandbox, the boot."""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from wxcontroller.cli.connection.systemd import settings_of, show
from wxcontroller.cli.doctor.result import CheckResult, CheckTarget, check, fail, ok, warn
from wxcontroller.core.access.tokenfile import TokenFile
from wxcontroller.core.config.checklist import DoctorCheck
from wxcontroller.core.errors import WxError
from wxcontroller.core.names import instance_of, unit_of
from wxcontroller.core.states import Desired
from wxcontroller.core.text.templates import N_, Text, text_in, verbatim

_RULE = "polkit-1/rules.d/50-wxcontroller.rules"
_RULE_PLACES = ("etc", "run", "usr/local/share", "usr/share")
_STATES = ("LoadState", "ActiveState", "SubState", "Result", "UnitFileState", "NeedDaemonReload")
_BOOT_SECONDS = 600
# People's user ids in Debian; below are services.
_FIRST_UID, _NOBODY = 1000, 60000
# Properties of a unit as shipped. A drop-in that changes one of them weakens the sandbox.
GUARDS: Mapping[str, str] = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateDevices": "yes",
    "PrivateUsers": "yes",
    "PrivateIPC": "yes",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectProc": "invisible",
    "LockPersonality": "yes",
    "MemoryDenyWriteExecute": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "KeyringMode": "private",
}
_GUARDS_OF_ACCOUNTS: Mapping[str, str] = {**GUARDS, "DynamicUser": "yes"}
_DROP_INS = "DropInPaths"
_SHIPPED = ("/usr/lib/systemd/", "/lib/systemd/")
_NO_SYSTEMD = Text("run it on the accounts' machine")


@check(DoctorCheck.SERVICES, Text("controller, its socket, D-Bus and polkit are running"))
def units(target: CheckTarget) -> Iterator[CheckResult]:
    """Check that the required units run, and that systemd has loaded their current files."""
    wanted: tuple[str, ...] = ("wxcontroller.service", "wxcontroller.socket", "dbus.service", "polkit.service")
    with contextlib.suppress(WxError):  # without it, nobody says whether accounts need a lease
        if target.answering.fleet().get("etcd"):
            wanted = (*wanted, "wxcontroller-keeper.service")
    try:
        found = show(_STATES, *wanted)
    except WxError as problem:
        yield fail(problem.text, _NO_SYSTEMD)
        return
    for unit, properties in found.items():
        yield from _unit(unit, properties, found["wxcontroller.socket"].get("ActiveState") == "active")


def _unit(unit: str, properties: Mapping[str, str], listens: bool) -> Iterator[CheckResult]:
    load, active = properties.get("LoadState", ""), properties.get("ActiveState", "")
    ours = unit.startswith("wxcontroller")
    if load == "not-found":
        package = (
            {"wxcontroller-keeper.service": "wxcontroller-fleet"}.get(unit, "wxcontroller")
            if ours
            else unit.partition(".")[0] + ("d" if unit.startswith("polkit") else "")
        )
        yield fail(
            Text("{unit} is not installed", unit=unit), Text("apt install --reinstall {package}", package=package)
        )
    elif load == "masked":
        yield fail(Text("{unit} is masked", unit=unit), Text("systemctl unmask {unit}", unit=unit))
    elif active == "failed":
        yield fail(
            Text("{unit} has failed ({result})", unit=unit, result=properties.get("Result", "")),
            Text("journalctl -b -u {unit}", unit=unit),
        )
    elif unit == "wxcontroller.socket" and active != "active":
        yield fail(
            Text("{unit} is {active}: the controller is unreachable", unit=unit, active=active),
            Text("systemctl start {unit}", unit=unit),
        )
    elif unit == "dbus.service" and active != "active":
        yield fail(
            Text("{unit} is {active}: the controller cannot ask systemd", unit=unit, active=active),
            Text("systemctl start {unit}", unit=unit),
        )
    elif unit == "wxcontroller.service" and active not in ("active", "reloading", "activating"):
        words = (
            Text("{unit} is {active}; the next request starts it", unit=unit, active=active)
            if listens
            else Text("{unit} is {active}", unit=unit, active=active)
        )
        yield warn(words, Text("systemctl start {unit}", unit=unit))
    if ours and load == "loaded" and properties.get("UnitFileState") == "disabled":
        yield warn(Text("{unit} is not started at boot", unit=unit), Text("systemctl enable {unit}", unit=unit))
    if properties.get("NeedDaemonReload") == "yes":
        yield warn(
            Text("the file of {unit} is newer than what systemd knows", unit=unit), Text("systemctl daemon-reload")
        )


@check(DoctorCheck.POLKIT)
def polkit(target: CheckTarget) -> Iterator[CheckResult]:
    """Check by a trial that the controller is allowed to start and stop accounts."""
    remedy = verbatim("apt install --reinstall wxcontroller; systemctl restart polkit")
    if target.api.is_local:
        places = [target.paths.root / place / _RULE for place in _RULE_PLACES]
        directories = [place.parent for place in places if is_there(place.parent)]
        hidden = any(not os.access(directory, os.R_OK | os.X_OK) for directory in directories)
        if not hidden and not any(map(is_there, places)):
            yield fail(Text("the rule that lets the controller start accounts is missing"), remedy)
            return
    api = target.answering
    try:
        answer = api.call("GET", "/v1/health/units")
    except WxError as problem:
        yield warn(problem.text, problem.remedy_text)
        return
    if answer.get("may_act") is True:
        yield ok(Text("the controller is allowed to start and stop accounts"))
    else:
        words = Text(
            "the controller is not allowed to start and stop accounts: {reason}", reason=text_in(answer, "reason")
        )
        yield fail(words, Text("check that no other rule precedes {rule}; {remedy}", rule=_RULE, remedy=remedy))


def is_there(path: Path) -> bool:
    """Return whether a path exists, as far as this user can see."""
    try:
        return path.exists()
    except OSError:
        return False


@check(DoctorCheck.SANDBOX, Text("no drop-in weakens the sandbox of the units"))
def drop_ins(target: CheckTarget) -> Iterator[CheckResult]:
    """Report drop-ins that weaken the sandbox."""
    accounts = [unit_of(account.name.instance) for account in target.registered]
    for guards, several in ((GUARDS, ["wxcontroller.service"]), (_GUARDS_OF_ACCOUNTS, accounts)):
        if not several:
            continue
        for unit, properties in show((*guards, _DROP_INS, "LoadState"), *several).items():
            changed = [
                f"{key}={properties[key]}" for key, value in guards.items() if properties.get(key, value) != value
            ]
            if changed and properties.get("LoadState") == "loaded":
                drop_ins = [part for part in properties.get(_DROP_INS, "").split() if not part.startswith(_SHIPPED)]
                by = " ".join(drop_ins) or Text("its unit file")
                yield warn(
                    Text(
                        "{unit} is less protected, by {by}: {changed}", unit=unit, by=by, changed=", ".join(changed)
                    ),
                    Text("systemctl edit {unit}", unit=unit),
                )


@check(DoctorCheck.ENABLED)
def enabled(target: CheckTarget) -> Iterator[CheckResult]:
    """Report units that start at the next boot although their account is stopped or removed."""
    wanted = {each.name.instance for each in target.registered if each.desired is Desired.STARTED}
    registered = {each.name.instance for each in target.registered}
    try:
        links = sorted(target.paths.boot_link("x").parent.iterdir())
    except OSError:
        return  # none is enabled
    for link in links:
        instance = instance_of(link.name)
        if instance is None or instance in wanted:
            continue
        stopped = N_("{unit} is enabled: its account is stopped, but starts at the next boot")
        removed = N_("{unit} is enabled: there is no such account, and the next boot would register it")
        problem = Text(stopped if instance in registered else removed, unit=link.name)
        yield warn(problem, Text("systemctl disable {link}", link=link.name))


@check(DoctorCheck.BOOT)
def boot(target: CheckTarget) -> Iterator[CheckResult]:
    """Check that the accounts that should run were started after the boot."""
    properties = show(("ActiveState", "ActiveEnterTimestamp"), "wxcontroller.service")["wxcontroller.service"]
    since = properties.get("ActiveEnterTimestamp", "").removeprefix("@")
    if properties.get("ActiveState") != "active" or not since.isdecimal():
        return
    try:
        done = (target.paths.controller_runtime / "accounts-started").exists()
    except OSError:
        return  # this user may not read it
    age = time.time() - int(since)
    if done:
        yield ok(Text("the accounts that should run were started after the boot"))
    elif age > _BOOT_SECONDS:
        yield warn(
            Text("accounts are still being started {age} min after the boot", age=f"{age / 60:.0f}"),
            Text(
                "journalctl -b -u wxcontroller shows which ones fail; systemctl restart wxcontroller retries at once"
            ),
        )
    else:
        yield ok(Text("the accounts that should run are being started"))


@check(DoctorCheck.TOKENS)
def callers(target: CheckTarget) -> Iterator[CheckResult]:
    """Report access without tokens, and the login users who have it."""
    try:
        if TokenFile(target.paths.tokens_file).read().required:
            yield ok(Text("callers need a token"))
            return
        users = login_users(target.paths.root / "etc/passwd")
    except OSError:
        return  # this user may not read it
    if not users:
        yield ok(Text("callers need no token, but there are no other login users"))
        return
    problem = Text(
        "callers need no token: user {users} of this machine can control any account and read its messages",
        "callers need no token: users {users} of this machine can control any account and read its messages",
        n=len(users),
        users=", ".join(users),
    )
    yield warn(problem, Text("wxctl token create me --scope admin"))


def login_users(passwd: Path) -> list[str]:
    """Return the users other than root who can log in. Raises OSError."""
    entries = [line.split(":") for line in passwd.read_text(encoding="utf-8", errors="replace").splitlines()]
    people = [entry for entry in entries if len(entry) == 7 and entry[2].isdecimal()]
    return [
        entry[0]
        for entry in people
        if _FIRST_UID <= int(entry[2]) < _NOBODY and Path(entry[6]).name not in ("nologin", "false")
    ]


@check(DoctorCheck.CREDENTIALS, Text("all configured credentials exist"))
def credentials(target: CheckTarget) -> Iterator[CheckResult]:
    """Report missing credentials that the settings or the unit name."""
    named = settings_of("wxcontroller.service", "LoadCredential")
    loaded = dict(pair.partition(":")[::2] for pair in named)
    for name, path in loaded.items():
        if path.startswith("/") and target.is_root and not Path(path).exists():
            yield fail(
                Text(
                    "wxcontroller.service has the credential {credential} from {file}, which is not there",
                    credential=name,
                    file=path,
                ),
                Text("create it, or: systemctl edit wxcontroller"),
            )
    for option in ("tls_certificate", "tls_key"):
        value = getattr(target.settings, option)
        if value and not value.startswith("/") and value not in loaded:
            yield fail(
                Text(
                    "{option} names the credential {value}, which the unit does not have", option=option, value=value
                ),
                Text("systemctl edit wxcontroller, with LoadCredential={value}:/path/to/it", value=value),
            )
    place = target.paths.root / "etc/wxcontroller/credentials"
    try:
        mode = place.stat().st_mode & 0o777
    except FileNotFoundError:
        yield fail(Text("{place} is missing", place=place), Text("systemd-tmpfiles --create wxcontroller.conf"))
    except OSError:
        pass  # this user may not read it
    else:
        if mode & 0o077:
            yield fail(
                Text("{place} can be read by others (mode {mode})", place=place, mode=f"{mode:04o}"),
                Text("chmod 700 {place}", place=place),
            )
