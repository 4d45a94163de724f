"""Checks of the unit, the program and the login. At most one of these fails at a time, except for old code."""

from wxcontroller.core.condition.facts import (
    LOGIN_SECONDS,
    STALLED_SECONDS,
    Code,
    Condition,
    Facts,
    Issue,
    Severity,
    minutes,
)
from wxcontroller.core.condition.hostchecks import duplicate_name
from wxcontroller.core.states import LoginState, UnitState
from wxcontroller.core.text.templates import N_, NOTHING, Text

_LOGGING_IN = (Condition.INIT, Condition.LOADING, Condition.UPDATING)
_FIX = N_("fix the cause, then start the account again: {start}")
# By drivers.base.EndReason, for ends without a cause to fix.
_AFTER = {
    "taken": N_("use one account for each WeChat user: remove the other account, then start this one: {start}"),
    "elsewhere": N_("make sure that the account is stopped on its former host, then start it again: {start}"),
    "qrcodes_used_up": N_("start the account again: {start}"),
    "logged_out": N_("start the account again: {start}"),
    "phone": N_("start the account again: {start}"),
}
# The states of foreign programs. Their "stop" is an idle process.
_BY_WORD = {
    "init": LoginState.INIT,
    "loading": LoginState.LOADING,
    "scaning": LoginState.SCANNING,
    "confirming": LoginState.CONFIRMING,
    "updating": LoginState.UPDATING,
    "running": LoginState.RUNNING,
    "stop": LoginState.PARKED,
}


def condition_of(facts: Facts) -> Condition:
    """Return the condition. The program's state counts only while its unit is up."""
    if facts.unit is UnitState.FAILED:
        return Condition.FAILED
    if facts.restarts:
        return Condition.RESTARTING
    if not facts.has_process:
        return Condition.DOWN if facts.wanted else Condition.STOPPED
    if facts.unit is UnitState.DEACTIVATING:
        return Condition.STOPPING
    if facts.unit is UnitState.ACTIVATING:
        return Condition.STARTING
    if facts.client is None:
        return Condition.UNREADABLE if facts.unreadable else Condition.UP
    login = facts.client.login or _BY_WORD.get(facts.client.word)
    if login is LoginState.PARKED and facts.client.asks:
        return Condition.INPUT
    if login is LoginState.STOPPED:  # it has ended in order, and its unit is about to
        return Condition.STOPPING
    return Condition(login.value) if login else Condition.UP


def down(facts: Facts, condition: Condition) -> Issue | None:
    """Should run, but has no process: stopped by systemctl, or failed to start after a boot."""
    if condition is not Condition.DOWN:
        return None
    if facts.obstacle is not None:
        return issue(facts, Code.DOWN, Severity.ERROR, facts.obstacle.text, facts.obstacle.remedy_text)
    headline = Text(N_("unit {unit} should be running but is not"), unit=facts.name.unit)
    return issue(facts, Code.DOWN, Severity.ERROR, headline, start_again(facts))


def failed(facts: Facts, condition: Condition) -> Issue | None:
    """The unit has failed."""
    if condition is not Condition.FAILED or facts.loops:
        return None
    if facts.obstacle is not None:
        return issue(facts, Code.OBSTACLE, Severity.ERROR, facts.obstacle.text, facts.obstacle.remedy_text)
    headline = with_end(facts, Text(N_("unit {unit} has failed"), unit=facts.name.unit))
    return issue(facts, Code.FAILED, Severity.ERROR, headline, start_again(facts))


def crash_loop(facts: Facts, _: Condition) -> Issue | None:
    """The process keeps exiting; in between the account may even be running."""
    if not facts.loops:
        return None
    headline = with_end(facts, Text(N_("the process keeps exiting; systemd restarts it each time")))
    return issue(facts, Code.CRASH_LOOP, Severity.ERROR, headline, look_at_log(facts))


def restarting(facts: Facts, condition: Condition) -> Issue | None:
    """Its process ended unexpectedly, and systemd waits to start another one."""
    if condition is not Condition.RESTARTING or facts.loops:
        return None
    headline = with_end(facts, Text(N_("the process exited unexpectedly; systemd is restarting it")))
    return issue(facts, Code.RESTARTING, Severity.WARNING, headline, look_at_log(facts))


def no_state(facts: Facts, condition: Condition) -> Issue | None:
    """The program runs but reports no state."""
    if condition is not Condition.UP:
        return None
    return issue(facts, Code.NO_STATE, Severity.WARNING, Text(N_("the process reports no state")), look_at_log(facts))


def unreadable(facts: Facts, condition: Condition) -> Issue | None:
    """Its state file exists but cannot be used."""
    if condition is not Condition.UNREADABLE:
        return None
    headline = Text(N_("the state file cannot be read: {reason}"), reason=facts.unreadable)
    return issue(facts, Code.UNREADABLE, Severity.WARNING, headline, look_at_log(facts))


def login_stuck(facts: Facts, condition: Condition) -> Issue | None:
    """WeChat does not answer a login, or it takes too long."""
    client = facts.client
    if condition not in _LOGGING_IN or client is None or not client.since:
        return None
    is_late = facts.instant.has_passed(client.since + min(facts.patience, LOGIN_SECONDS))
    # The driver gives a reason when WeChat does not answer.
    is_stalled = bool(client.reason) and facts.instant.has_passed(client.since + STALLED_SECONDS)
    if not is_late and not is_stalled:
        return None
    number = facts.instant.minutes_since(client.since)
    headline = Text(
        N_("not logged in after {duration}: {reason}"),
        duration=minutes(number),
        minutes=number,  # for programs
        reason=client.why,
    )
    remedy = Text(
        N_("check the log: {logs}; if logging in does not succeed, restart the account: {restart}"),
        logs=facts.wxctl("logs"),
        restart=facts.wxctl("restart"),
    )
    return issue(facts, Code.LOGIN_STUCK, Severity.ERROR if is_late else Severity.WARNING, headline, remedy)


def scan(facts: Facts, condition: Condition) -> Issue | None:
    """It shows a QR code."""
    if condition is not Condition.SCANNING:
        return None
    reason = facts.client.reason if facts.client else NOTHING
    headline = (
        Text(N_("the QR code must be scanned: {reason}"), reason=reason)
        if reason
        else Text(N_("the QR code must be scanned"))
    )
    remedy = Text(N_("scan the code with WeChat on the phone: {qr}"), qr=facts.wxctl("qr"))
    return issue(facts, Code.SCAN, Severity.WARNING, headline, remedy)


def confirm(facts: Facts, condition: Condition) -> Issue | None:
    """The phone asks whether to log in, or shows digits to enter here."""
    if condition is not Condition.CONFIRMING:
        return None
    if facts.client and facts.client.asks:
        headline = Text(N_("{reason}"), reason=facts.client.why)
        remedy = Text(N_("to enter them, run: {answer}"), answer=facts.wxctl("answer"))
    else:
        headline = Text(N_("the login must be confirmed on the phone"))
        remedy = Text(N_("confirm the login on the phone; otherwise another QR code follows"))
    return issue(facts, Code.CONFIRM, Severity.WARNING, headline, remedy)


def offline(facts: Facts, condition: Condition) -> Issue | None:
    """Logged in, but WeChat has not answered lately."""
    if condition is not Condition.OFFLINE or facts.client is None:
        return None
    headline = Text(N_("offline: {reason}"), reason=facts.client.why)
    remedy = Text(N_("the account keeps trying; for details see the log: {logs}"), logs=facts.wxctl("logs"))
    return issue(facts, Code.OFFLINE, Severity.ERROR, headline, remedy)


def parked(facts: Facts, condition: Condition) -> Issue | None:
    """The account has stopped trying: refused, flagged, no code scanned, logged out."""
    if condition is not Condition.PARKED or facts.client is None:
        return None
    headline = Text(N_("{reason}"), reason=facts.client.why or Text(N_("the account has stopped trying to log in")))
    remedy = Text(_AFTER.get(facts.client.ended, _FIX), start=facts.wxctl("start"))
    return issue(facts, Code.PARKED, Severity.ERROR, headline, remedy)


def decision(facts: Facts, condition: Condition) -> Issue | None:
    """The account asks a question that only a person may answer."""
    if condition is not Condition.INPUT or facts.client is None:
        return None
    headline = Text(N_("waiting for your answer: {reason}"), reason=facts.client.why)
    remedy = Text(N_("to answer, run: {answer}"), answer=facts.wxctl("answer"))
    return issue(facts, Code.INPUT, Severity.ERROR, headline, remedy)


def moving(facts: Facts, _: Condition) -> Issue | None:
    """A move that is under way, or was interrupted."""
    if not facts.leaving:
        return None
    headline = Text(N_("the account is being moved to host {host} and is stopped until then"), host=facts.leaving)
    remedy = Text(
        N_("if no move is under way, finish it: {finish}; or undo it: {undo}"),
        finish=facts.wxctl("move", facts.leaving),
        undo=facts.wxctl("move", "--undo"),
    )
    return Issue(Code.MOVING, Severity.NOTICE, headline, remedy)


def restricted(facts: Facts, _: Condition) -> Issue | None:
    """WeChat accepts messages for a person but does not show them."""
    number = facts.client.restricted if facts.client is not None else None
    if not number or not facts.has_process:
        return None
    headline = Text(
        "WeChat accepts messages for {n} person but does not show them",
        "WeChat accepts messages for {n} people but does not show them",
        n=number,
    )
    # It must not name a QR code, not even to deny it: people act on the word (ilink-bot-protocol 19.5).
    remedy = Text(
        N_(
            "WeChat restricts the WeChat user, not this account or machine; logging in again does not help. The "
            "restriction ends after days or weeks; use another WeChat user until then. See: {status}"
        ),
        status=facts.wxctl("status"),
    )
    return Issue(Code.RESTRICTED, Severity.WARNING, headline, remedy, level=number)


def limited(facts: Facts, _: Condition) -> Issue | None:
    """WeChat refused sends, and the account sends fewer for a day."""
    client = facts.client
    if client is None or not client.limit_24h or not facts.has_process:
        return None
    if facts.instant.has_passed(client.limit_24h_until):
        return None
    headline = Text(
        "WeChat refused several messages in new windows after {n} message in 24 hours; further ones are held",
        "WeChat refused several messages in new windows after {n} messages in 24 hours; further ones are held",
        n=client.limit_24h,
    )
    remedy = Text(
        N_(
            "one held message is tried after each message of a person, and the first that WeChat accepts ends the "
            "limit, as does a day; send less until then. The refusals: {status}"
        ),
        status=facts.wxctl("status", "--json"),
    )
    return Issue(Code.LIMITED, Severity.WARNING, headline, remedy)


def media_refused(facts: Facts, _: Condition) -> Issue | None:
    """WeChat does not let the account send media."""
    client = facts.client
    if client is None or not client.media_refused or not facts.has_process:
        return None
    headline = Text(N_("WeChat does not let this account send media; texts are not affected"))
    remedy = Text(N_("send texts; a file is tried once a day, and the first that WeChat accepts ends this"))
    return Issue(Code.MEDIA_REFUSED, Severity.WARNING, headline, remedy, client.media_refused)


def port_taken(facts: Facts, _: Condition) -> Issue | None:
    """Another program has its port, or it may not use it. The controller does not need it."""
    if facts.client is None or not facts.client.port_error or not facts.has_process:
        return None
    remedy = Text(
        N_(
            "only direct calls of the port are affected; for these, stop the other program or allow the port in "
            "wxclient.slice: the account takes it within half a minute"
        )
    )
    return Issue(Code.PORT_TAKEN, Severity.WARNING, facts.port_user or facts.client.port_error, remedy)


def old_code(facts: Facts, _: Condition) -> Issue | None:
    """Its program was started before an upgrade."""
    client = facts.client
    if client is None or client.login is None or not client.version or not facts.has_process:
        return None
    if client.version == facts.installed or not facts.installed:
        return None
    headline = Text(
        N_("still runs version {running}; version {installed} is installed"),
        running=client.version,
        installed=facts.installed,
    )
    remedy = Text(N_("restart it when convenient: {restart}"), restart=facts.wxctl("restart"))
    return Issue(Code.OLD_CODE, Severity.NOTICE, headline, remedy)


def duplicate(facts: Facts, _: Condition) -> Issue | None:
    """Another host of the fleet has an account of its name: both would use one WeChat session."""
    return duplicate_name(facts.name, facts.also_on) if facts.also_on else None


CHECKS = (
    *(down, failed, crash_loop, restarting, no_state, unreadable),
    *(login_stuck, scan, confirm, offline, parked, decision, duplicate, restricted, limited, media_refused),
    *(port_taken, moving),
    old_code,
)


def issue(facts: Facts, code: Code, severity: Severity, headline: Text, remedy: Text) -> Issue:
    return Issue(code, severity, headline, remedy, facts.client.since if facts.client else facts.ended.since)


def with_end(facts: Facts, what: Text) -> Text:
    """Return a headline with how the last process ended, if that is known."""
    return Text("{what} ({how})", what=what, how=facts.ended.words) if facts.ended.words else what


def look_at_log(facts: Facts) -> Text:
    return Text(N_("check the log: {logs}"), logs=facts.wxctl("logs"))


def start_again(facts: Facts) -> Text:
    return Text(
        N_("check the log: {logs}; then start the account again: {start}"),
        logs=facts.wxctl("logs"),
        start=facts.wxctl("start"),
    )
