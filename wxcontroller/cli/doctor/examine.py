"""The checks of wxctl doctor, in order."""

import os
from collections.abc import Iterator
from contextlib import suppress

from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.doctor import accountchecks, machine, network, services  # noqa: F401  # add their checks
from wxcontroller.cli.doctor.result import CHECKS, CheckResult, CheckTarget, check, fail, ok, warn
from wxcontroller.core.config.checklist import DoctorCheck
from wxcontroller.core.config.settings import load_settings
from wxcontroller.core.errors import BadSettings, WxError, reason_of
from wxcontroller.core.jsontypes import text
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.accountfiles import AccountFiles
from wxcontroller.core.registry.check import check_configuration
from wxcontroller.core.text.templates import Text, text_in


@check(DoctorCheck.CONFIGURATION, Text("settings, template and accounts' files are valid"))
def configuration(target: CheckTarget) -> Iterator[CheckResult]:
    """Settings, template, accounts' files, tokens and credentials."""
    try:
        found = check_configuration(target.paths)
    except PermissionError as problem:
        yield warn(
            Text("{file} cannot be checked: {reason}", file=problem.filename, reason=reason_of(problem)),
            Text("run it as root"),
        )
        return
    for finding in found:
        yield CheckResult(
            finding.level,
            "configuration",
            Text("{place}: {one}", place=finding.place, one=finding.message),
            finding.remedy,
        )


@check(DoctorCheck.CONTROLLER)
def controller(target: CheckTarget) -> Iterator[CheckResult]:
    """Whether the controller answers."""
    try:
        health = target.answering.health()
    except WxError as problem:
        yield fail(problem.text, problem.remedy_text)
        return
    if health.get("status") == "ok":
        yield ok(
            Text(
                "responds at {shown}, version {version}", shown=target.api.shown, version=text(health.get("version"))
            )
        )
    else:
        yield fail(
            Text("is {status}: {reason}", status=text(health.get("status")), reason=text_in(health, "reason")),
            Text("see: journalctl -u wxcontroller"),
        )


def results(api: Api, paths: Paths) -> Iterator[CheckResult]:
    """Run all checks that are possible from here; yield each result immediately."""
    target = examined(api, paths)
    for each in DoctorCheck:
        if api.is_local or not each.needs_root:
            yield from CHECKS[each](target)


def examined(api: Api, paths: Paths) -> CheckTarget:
    target = CheckTarget(api, paths, is_root=os.geteuid() == 0)
    try:
        target.api.probe()
        target.views = target.api.accounts()
    except WxError as problem:
        target.away = problem
    if target.api.is_local:
        with suppress(BadSettings):  # reported by the check of the configuration
            target.settings = load_settings(paths).settings
        with suppress(OSError):
            registry = AccountFiles(paths)
            for instance in registry.instances():
                with suppress(WxError, OSError):
                    target.registered.append(registry.load(instance))
    return target
