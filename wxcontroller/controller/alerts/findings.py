"""What is wrong at the moment, by what is seen of an account, its reports and the machine. Nothing is remembered."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from wxcontroller.controller.view import View
from wxcontroller.core.alerts import Kind, plain
from wxcontroller.core.alertsettings import AlertSettings
from wxcontroller.core.jsontypes import JsonObject, JsonValue, integer, obj, text
from wxcontroller.core.states import Desired, LoginState, UnitState

# A phone that was asked without a code is mostly answered at once.
_CONFIRM_SECONDS = 20.0
# What is lost stays lost: it is wrong for so long, and news when more is.
_LOST_SECONDS = 86400
_MOST = 1 << 40


class Track(StrEnum):
    """Things that can be wrong independently of each other. Of one of them one thing is wrong at a time."""

    LOGIN = "login"
    WAITING = "waiting"  # reports
    DEAD = "dead"
    LOST = "lost"
    DISK = "disk"
    SYSTEMD = "systemd"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something is wrong. It is told when it has lasted ``hold`` seconds, and again when ``level`` rises.

    ``first``: it may be the beginning, and is told only where all was well before.
    """

    kind: Kind
    account: str
    message: str
    remedy: str
    hold: float = 0.0
    level: int = 0
    first: bool = False


@dataclass(frozen=True, slots=True)
class Well:
    """All is as it should be. ``message`` says so, to who was told otherwise."""

    account: str
    message: str


@dataclass(frozen=True, slots=True)
class Closed:
    """Nobody wants it to be well: nobody is told anything, and what was wrong is forgotten.

    Not ``surely``: it may only be down for a moment, as when a unit is restarted by hand.
    """

    surely: bool = True


# None: it can't be said; what was so before stays so.
Verdict: TypeAlias = Finding | Well | Closed | None


def login_of(view: View, loops: bool, booting: bool, patience: float) -> Verdict:
    """Judge an account's unit and login.

    ``loops``: its process has ended again and again. ``booting``: the controller still brings accounts up after a
    boot. ``patience``: seconds that it may take to come up, or be offline.
    """
    name, unit = view.account.name.name, view.account.name.unit
    if view.account.desired is not Desired.STARTED:
        return Closed()
    if loops or view.unit.state is UnitState.FAILED:
        words = "ends again and again" if loops else "has failed"
        remedy = f"See wxctl logs {name}; start it again: wxctl restart {name}"
        return Finding(Kind.FAILED, name, f"Account {name}: its unit {unit} {words}.", remedy)
    if not view.unit.state.has_process:
        if not booting:
            return Closed(surely=False)  # stopped by systemctl, until the next boot
        remedy = f"See: wxctl logs {name}"
        return Finding(Kind.FAILED, name, f"Account {name} does not come up after the boot.", remedy, patience)
    # A process that has heard WeChat once had been let in: it is logged out now.
    first = view.live is None or not view.live.heard
    waits = "waits for a login" if first else "is logged out"
    match _login(view):
        case None:
            return None
        case LoginState.RUNNING:
            return Well(name, f"Account {name} is running again.")
        case LoginState.PARKED:
            why = plain(str(view.reason or view.status))
            if view.live is not None and view.live.asks is not None:
                message = f"Account {name} waits for your decision: {why}."
                return Finding(Kind.PARKED, name, message, f"See: wxctl status {name}")
            remedy = f"Start it when that is put right: wxctl start {name}"
            return Finding(Kind.PARKED, name, f"Account {name} has given up: {why}.", remedy)
        case LoginState.SCANNING:
            remedy = f"Scan the code within two minutes, or a newer one: wxctl qr {name}"
            return Finding(Kind.SCAN, name, f"Account {name} {waits} and needs a scan.", remedy, first=first)
        case LoginState.CONFIRMING:
            message = f"Account {name} {waits} and asks its phone to confirm."
            remedy = "Confirm the login on the phone; without that a code to scan follows."
            return Finding(Kind.CONFIRM, name, message, remedy, _CONFIRM_SECONDS, first=first)
        case state:
            what = "does not hear WeChat" if state is LoginState.OFFLINE else "does not come up"
            why = plain(str(view.reason or view.status))
            remedy = f"It goes on trying; see: wxctl status {name}"
            return Finding(Kind.OFFLINE, name, f"Account {name} {what}: {why}.", remedy, patience)


def _login(view: View) -> LoginState | None:
    """Return the login's state, of a program that is not ours by its word; None when nothing is told."""
    if view.login is not None:
        # A process that is to be started again is on its way up.
        return LoginState.INIT if view.login is LoginState.STOPPED else view.login
    return _BY_WORD.get(view.word)


_BY_WORD = {
    "init": LoginState.INIT,
    "loading": LoginState.LOADING,
    "scaning": LoginState.SCANNING,
    "confirming": LoginState.CONFIRMING,
    "updating": LoginState.UPDATING,
    "running": LoginState.RUNNING,
    "stop": LoginState.PARKED,
}


def reports_of(view: View, status: JsonObject, settings: AlertSettings, now: float) -> dict[Track, Verdict]:
    """Judge what waits for an account's receiver, by what its program says of itself."""
    name = view.account.name.name
    if view.account.desired is not Desired.STARTED:
        return {Track.WAITING: Closed(), Track.DEAD: Closed(), Track.LOST: Closed()}
    reports = obj(status.get("reports"))
    waiting, dead = _bounded(reports.get("waiting")), _bounded(reports.get("dead"))
    oldest, error = _bounded(reports.get("oldest_since")), plain(text(reports.get("last_error")))
    late: Verdict = Well(name, f"The reports of account {name} get through again.")
    if waiting and oldest and now - oldest > settings.delivery_after:
        minutes = int(now - oldest) // 60
        why = f": {error}" if error else ""
        message = f"{waiting} reports of account {name} wait, the oldest for {minutes} minutes{why}."
        late = Finding(
            Kind.DELIVERY, name, message, f"See to its receiver (post_api); see: wxctl deliveries list {name}"
        )
    refused: Verdict = Well(name, f"No report of account {name} is refused any more.")
    if dead:
        message = f"{dead} reports of account {name} were refused by their receiver and are kept as dead letters."
        remedy = f"Mend the receiver, then send them again or give them up: wxctl deliveries list {name} --state dead"
        refused = Finding(Kind.DEAD, name, message, remedy, level=dead)
    lost: Verdict = Well(name, f"No report of account {name} was lost for a day.")
    dropped, when = _bounded(reports.get("dropped")), _bounded(reports.get("dropped_at"))
    if dropped and now - when < _LOST_SECONDS:
        message = f"Reports of account {name} are lost, {dropped} so far: too many waited for their receiver."
        remedy = f"Mend the receiver, or let the log be larger (option event_keep_bytes); see: wxctl status {name}"
        lost = Finding(Kind.LOST, name, message, remedy, level=dropped)
    damaged = _bounded(reports.get("damaged_at"))
    if damaged and now - damaged < _LOST_SECONDS:
        message = f"The event log of account {name} was damaged; {dropped} undelivered reports are lost so far."
        remedy = f"Check the disk; the damaged file is kept in /var/lib/private/wxclient; see: wxctl logs {name}"
        lost = Finding(Kind.LOST, name, message, remedy, level=dropped + 1)
    return {Track.WAITING: late, Track.DEAD: refused, Track.LOST: lost}


def _bounded(value: JsonValue) -> int:
    """Return a number that a program tells of itself, as one to reckon with."""
    return max(0, min(integer(value), _MOST))


def systemd_of(problem: str) -> Verdict:
    """Judge whether the accounts can be looked at; ``problem`` says why not."""
    if not problem:
        return Well("", "The controller sees its accounts again.")
    remedy = "Accounts run on by themselves; see: journalctl -u wxcontroller"
    return Finding(Kind.SYSTEMD, "", f"The controller can't look at its accounts: {plain(problem)}.", remedy, 60.0)
