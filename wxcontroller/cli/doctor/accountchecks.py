"""The accounts: each issue of their assessments, and whether their programs answer."""

from collections.abc import Iterator, Mapping

from wxcontroller.cli.connection.follow import titled
from wxcontroller.cli.doctor.result import CheckResult, CheckTarget, check, fail, ok, warn
from wxcontroller.cli.localtime import local_time
from wxcontroller.core.condition.facts import Code, Condition, Severity
from wxcontroller.core.config.checklist import DoctorCheck
from wxcontroller.core.config.fleetsettings import RENEW_CERTIFICATE
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import field, integer, items, obj, objects, one_line, text
from wxcontroller.core.names import parse_name
from wxcontroller.core.registry.check import Level
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, Text, text_in, verbatim

# Under which check an issue is listed; all others are about the account.
_CHECKS: Mapping[str, str] = {
    **dict.fromkeys((Code.HOST, Code.DUPLICATE), "fleet"),
    **dict.fromkeys((Code.WEBHOOK, Code.LATE, Code.DEAD, Code.LOST, Code.DAMAGED, Code.STORE), "reports"),
    Code.OLD_CODE: "program",
}
# The same assessment as in the list and on the dashboard.
_LEVELS: Mapping[Severity, Level] = {
    Severity.OK: Level.OK,
    Severity.NOTICE: Level.OK,
    Severity.WARNING: Level.WARN,
    Severity.ERROR: Level.FAIL,
}


@check(DoctorCheck.ACCOUNTS)
def conditions(target: CheckTarget) -> Iterator[CheckResult]:
    """All problems of the accounts."""
    if target.away is not None:
        return
    found = set()
    for view in target.views:
        for issue in view.assessment.issues:
            if issue.code == Code.PORT_TAKEN and target.registered:
                continue  # listed by the check of the ports, also for stopped accounts
            what = _CHECKS.get(issue.code, "account")
            yield CheckResult(_LEVELS[issue.severity], what, titled(view.name, issue), issue.remedy)
            found.add(what)
    if "account" not in found:
        number = len(target.views)
        yield ok(
            Text("{n} account, as requested", "{n} accounts, all as requested", n=number)
            if number
            else Text("there are none yet: wxctl start NAME")
        )
    if "reports" not in found:
        yield ok(Text("no reports are late, dead or lost"), N_("reports"))


@check(DoctorCheck.PROGRAMS)
def programs(target: CheckTarget) -> Iterator[CheckResult]:
    """Check whether the running accounts' processes respond."""
    asked, silent = 0, False
    for view in target.views:
        if not view.unit_state.has_process or view.condition is Condition.RESTARTING:
            continue
        try:
            account = target.api.account(parse_name(view.name)).raw
        except WxError as problem:
            yield warn(problem.text, problem.remedy_text)
            continue
        asked += 1
        reason = text_in(account, "client_reason")
        if account.get("client") is None and "client" in account and reason:
            silent = True
            yield warn(
                Text("{account}: {reason}", account=view.name, reason=reason),
                Text("see: {logs}", logs=command("logs", view.name)),
            )
    if asked and not silent:
        yield ok(Text("{n} running account responds", "{n} running accounts respond", n=asked))


@check(DoctorCheck.FLEET)
def fleet(target: CheckTarget) -> Iterator[CheckResult]:
    """Whether the other hosts answer, and no account exists twice."""
    found = target.answering.fleet()  # fails with an older controller, and for a token that is bound to accounts
    if found.get("name") is None:
        return
    bad = False
    for host in objects(found.get("hosts")):
        if host.get("state") != "up":
            bad = True
            words = Text(
                "host {host} is {state}: {reason}",
                host=one_line(host.get("name")),
                state=text(host.get("state")),
                reason=text_in(host, "reason"),
            )
            yield fail(words, Text("check the controller there: systemctl status wxcontroller"))
    for each in objects(found.get("duplicates")):
        bad = True
        name = one_line(each.get("account"))
        words = Text(
            "account {account} exists on more than one host: {hosts}",
            account=name,
            hosts=", ".join(map(one_line, items(each.get("hosts")))),
        )
        yield fail(words, Text("stop and remove it on all hosts but one: {remove}", remove=command("remove", name)))
    if reason := text_in(obj(found.get("etcd")), "reason"):
        bad = True
        yield fail(Text("accounts cannot be claimed in etcd: {reason}", reason=reason), Text("wxctl fleet"))
    for member in objects(obj(found.get("etcd")).get("members")):
        if reason := text_in(member, "reason"):
            bad = True
            words = Text("member {url} of etcd is down: {reason}", url=one_line(member.get("url")), reason=reason)
            yield fail(words, Text("repair or replace the member; see: journalctl -u etcd on its host"))
    for certificate in objects(obj(found.get("etcd")).get("certificates")):
        if certificate.get("ending") is True:
            bad = True
            day = local_time(integer(certificate.get("ends")), "%Y-%m-%d")
            words = Text("a certificate for etcd expires on {day}: {of}", of=one_line(certificate.get("of")), day=day)
            yield warn(words, Text(RENEW_CERTIFICATE))
    if not bad:
        yield ok(Text("{count} other hosts respond", count=len(items(found.get("hosts")))))


@check(DoctorCheck.ALERTS)
def alerts(target: CheckTarget) -> Iterator[CheckResult]:
    """Whether alerts are delivered by each configured channel."""
    api = target.answering
    try:
        channels = obj(api.alerts().get("channels"))
    except WxError as problem:
        yield warn(problem.text, problem.remedy_text)
        return
    broken = {
        name: error for name, channel in channels.items() if (error := text(field(field(channel, "last"), "error")))
    }
    for name, error in broken.items():
        yield fail(
            Text("the last alert by {account} was not delivered: {error}", account=name, error=error),
            verbatim("wxctl alert test"),
        )
    if not broken:
        ways = " and ".join(channels)
        yield ok(Text("sent by {ways}", ways=ways) if ways else Text("no alert channel is configured in [alerts]"))
