"""Map assessments to alerts: which kind of alert an issue is, and how long it must last.

``core.condition`` finds the problems and their messages. This module keeps no state.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from wxcontroller.controller.accounts.view import View
from wxcontroller.core.alerts import Kind, plain
from wxcontroller.core.condition.facts import Assessment, Code, Condition, Issue
from wxcontroller.core.config.alertsettings import AlertSettings
from wxcontroller.core.config.fleetsettings import RENEW_CERTIFICATE
from wxcontroller.core.states import Desired
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, NOTHING, Text

if TYPE_CHECKING:
    from wxcontroller.controller.hosts.hostowners import HostOwners

# A push login without a code is usually confirmed at once.
_CONFIRM_SECONDS = 20.0
# A renewal that failed is repeated within this time; accounts stop 15 s after the last one.
_LEASE_SECONDS = 5.0
# A member that is restarted responds again within this time.
_MEMBER_SECONDS = 60.0
# Listed among the problems, but not alerted, or not yet.
_NEVER = float("inf")


class Track(StrEnum):
    """Independent areas of trouble. Each has at most one problem at a time."""

    LOGIN = "login"
    WAITING = "waiting"  # reports
    DEAD = "dead"
    LOST = "lost"
    STORE = "store"
    PORT = "port"
    PERSON = "person"  # a person it sends to
    LIMIT = "limit"  # of its sends
    MEDIA = "media"  # that it sends
    DISK = "disk"
    SYSTEMD = "systemd"
    HOSTS = "hosts"  # the others of the fleet
    STANDBYS = "standbys"
    ETCD = "etcd"
    HELD = "held"  # accounts of lost hosts
    TAKEN_OVER = "taken-over"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem. An alert is due when it has lasted ``hold`` seconds, and again when ``level`` rises. ``first``: it
    may be part of a first login, and is alerted only if all was well before. ``pending``: becomes a problem only
    after a time.
    """

    kind: Kind
    account: str
    message: Text
    remedy: Text
    hold: float = 0.0
    level: int = 0
    first: bool = False
    pending: bool = False
    code: str = ""


@dataclass(frozen=True, slots=True)
class Healthy:
    """No problem. ``message`` is sent where a problem was reported before."""

    account: str
    message: Text


@dataclass(frozen=True, slots=True)
class Ignored:
    """The account is not wanted: no alerts, and earlier problems are forgotten."""


# None: unknown; the last verdict stays.
Verdict: TypeAlias = Problem | Healthy | Ignored | None

KINDS: Mapping[str, tuple[Track, Kind]] = {
    Code.DOWN: (Track.LOGIN, Kind.FAILED),
    Code.FAILED: (Track.LOGIN, Kind.FAILED),
    Code.OBSTACLE: (Track.LOGIN, Kind.FAILED),
    Code.CRASH_LOOP: (Track.LOGIN, Kind.FAILED),
    Code.RESTARTING: (Track.LOGIN, Kind.OFFLINE),
    Code.NO_STATE: (Track.LOGIN, Kind.OFFLINE),
    Code.UNREADABLE: (Track.LOGIN, Kind.OFFLINE),
    Code.LOGIN_STUCK: (Track.LOGIN, Kind.OFFLINE),
    Code.OFFLINE: (Track.LOGIN, Kind.OFFLINE),
    Code.SCAN: (Track.LOGIN, Kind.SCAN),
    Code.CONFIRM: (Track.LOGIN, Kind.CONFIRM),
    Code.PARKED: (Track.LOGIN, Kind.PARKED),
    Code.INPUT: (Track.LOGIN, Kind.PARKED),
    Code.WEBHOOK: (Track.WAITING, Kind.DELIVERY),
    Code.LATE: (Track.WAITING, Kind.DELIVERY),
    Code.DEAD: (Track.DEAD, Kind.DEAD),
    Code.LOST: (Track.LOST, Kind.LOST),
    Code.DAMAGED: (Track.LOST, Kind.LOST),
    Code.STORE: (Track.STORE, Kind.DISK),
    Code.RESTRICTED: (Track.PERSON, Kind.RESTRICTED),
    Code.LIMITED: (Track.LIMIT, Kind.LIMIT),
    Code.MEDIA_REFUSED: (Track.MEDIA, Kind.LIMIT),
    Code.PORT_TAKEN: (Track.PORT, Kind.PORT),
    Code.DUPLICATE: (Track.DUPLICATE, Kind.DUPLICATE),
}
_OF_DELIVERIES = {
    Track.WAITING: N_("Account {account}: reports are delivered again."),
    Track.DEAD: N_("Account {account}: no unacknowledged dead letters are left."),
    Track.LOST: N_("Account {account}: no report has been lost for a day."),
    Track.STORE: N_("Account {account}: incoming messages can be stored again."),
}


def verdicts_of(view: View, booting: bool, settings: AlertSettings, now: float) -> dict[Track, Verdict]:
    """Return the finding about an account for alerts, ``now`` in seconds since 1970.

    ``booting``: the controller still brings accounts up after a boot, so one that is down was not stopped by hand.
    """
    if view.account.desired is not Desired.STARTED:
        own = (Track.LOGIN, Track.PORT, Track.PERSON, Track.LIMIT, Track.MEDIA, Track.DUPLICATE)
        tracks = (*own, *_OF_DELIVERIES)
        return dict.fromkeys(tracks, Ignored())
    name, assessment = view.account.name.name, view.assessment(now)
    found: dict[Track, Verdict] = {Track.LOGIN: without_issue(name, assessment, settings)}
    if view.published is not None:
        found |= {track: Healthy(name, Text(words, account=name)) for track, words in _OF_DELIVERIES.items()}
    if view.host:
        found[Track.DUPLICATE] = Healthy(
            name, Text(N_("Account {account} no longer exists on other hosts."), account=name)
        )
    if view.live is not None and view.live.client.port_error is not None:
        found[Track.PORT] = Healthy(name, Text(N_("Account {account} has its port."), account=name))
    if view.live is not None and view.live.client.restricted is not None:
        found[Track.PERSON] = Healthy(
            name, Text(N_("Account {account}: WeChat shows its messages again."), account=name)
        )
        found[Track.LIMIT] = Healthy(
            name, Text(N_("Account {account}: its messages are no longer limited."), account=name)
        )
        found[Track.MEDIA] = Healthy(
            name, Text(N_("Account {account}: WeChat accepts its media again."), account=name)
        )
    for issue in assessment.issues:
        if not issue.severity.is_trouble or issue.code not in KINDS:
            continue
        track, kind = KINDS[issue.code]
        found[track] = finding(view, issue, kind, _hold(issue, booting, settings, now))
    return found


def finding(view: View, issue: Issue, kind: Kind, hold: float) -> Problem:
    name = view.account.name.name
    # If WeChat has ever answered this process, it was logged in and is now logged out. Else a login is in progress.
    first = kind in (Kind.SCAN, Kind.CONFIRM) and (view.live is None or not view.live.heard)
    message = Text(N_("Account {account}: {what}."), account=name, what=issue.headline)
    return Problem(kind, name, message, issue.remedy, hold, issue.level, first, code=issue.code)


def _hold(issue: Issue, booting: bool, settings: AlertSettings, now: float) -> float:
    """Return how long an issue must last before an alert, in seconds."""
    match issue.code:
        case Code.DOWN:
            # Else an administrator has stopped the unit by systemctl.
            return settings.after if booting else _NEVER
        case Code.WEBHOOK | Code.LATE:
            return 0.0 if now - issue.since > settings.delivery_after else _NEVER
        case Code.CONFIRM:
            return _CONFIRM_SECONDS
        case Code.RESTARTING | Code.NO_STATE | Code.UNREADABLE | Code.LOGIN_STUCK | Code.OFFLINE | Code.PORT_TAKEN:
            return settings.after
    return 0.0


def without_issue(name: str, assessment: Assessment, settings: AlertSettings) -> Verdict:
    """Return the verdict on a login without a problem: healthy if it runs, else in progress."""
    if assessment.condition is Condition.RUNNING:
        return Healthy(name, Text(N_("Account {account} is running again."), account=name))
    state = Text(assessment.condition.value)
    message = Text(N_("Account {account} is not running yet: {state}."), account=name, state=state)
    remedy = Text(N_("see: {command}"), command=command("status", name))
    # Its age is kept: an account that keeps changing between such states does not start either.
    return Problem(Kind.OFFLINE, name, message, remedy, settings.after, pending=True, code="not-up")


def systemd_of(problem: str) -> Verdict:
    """Judge whether the accounts' state can be read; ``problem`` says why not."""
    if not problem:
        return Healthy("", Text(N_("The controller sees its accounts again.")))
    message = Text(N_("The controller cannot see its accounts: {reason}."), reason=plain(problem))
    remedy = Text(N_("accounts keep running; see: journalctl -u wxcontroller"))
    return Problem(Kind.SYSTEMD, "", message, remedy, 60.0, code="systemd-unreachable")


def hosts_of(unreachable: Mapping[str, Text], settings: AlertSettings) -> Verdict:
    """Judge the other hosts of a fleet; ``unreachable`` are the reasons by host."""
    if not unreachable:
        return Healthy("", Text(N_("All other hosts respond again.")))
    names = ", ".join(unreachable)
    reason = next(iter(unreachable.values()))
    message = Text(N_("Not responding: host {hosts} ({reason})."), hosts=names, reason=reason)
    remedy = Text(N_("check the controller there: systemctl status wxcontroller; all hosts: wxctl fleet"))
    return Problem(Kind.HOST, "", message, remedy, settings.after, len(unreachable), code="host-unreachable")


def standbys_of(late: Mapping[str, Text], settings: AlertSettings) -> Verdict:
    """Judge the standby bundles of accounts; ``late`` are the reasons of those that are too old, by account."""
    if not late:
        return Healthy("", Text(N_("All standby bundles are recent again.")))
    message = Text(N_("The standby bundle is too old: {accounts}."), accounts=", ".join(late))
    if reason := next((each for each in late.values() if each), NOTHING):
        message = Text("{what} {reason}", what=message, reason=reason)
    remedy = Text(N_("see: wxctl fleet; journalctl -u wxcontroller-standby"))
    return Problem(Kind.STANDBY, "", message, remedy, settings.after, len(late), code="standby-stale")


def etcd_of(ownership: "HostOwners") -> Verdict:
    """Judge whether this host can claim accounts, and will be able to."""
    trouble, members, ending = ownership.trouble, ownership.members, ownership.ending
    down = {url: why for url, why in members.items() if why}
    if ending and not trouble and not down:
        of, end = min(ending.items(), key=lambda each: each[1])
        words = N_("A certificate for etcd expires on {day}: {of}. Then all accounts that depend on it stop.")
        message = Text(words, of=of, day=day_of(end))
        return Problem(
            Kind.ETCD, "", message, Text(RENEW_CERTIFICATE), _MEMBER_SECONDS, len(ending), code="etcd-certificate"
        )
    if down and not trouble:
        url, why = next(iter(down.items()))
        words = N_(
            "{down} of {count} members of etcd are down; without a majority all accounts stop ({url}: {reason})."
        )
        message = Text(words, down=len(down), count=len(members), url=url, reason=why)
        remedy = Text(N_("repair or replace the member; see: journalctl -u etcd on its host"))
        return Problem(Kind.ETCD, "", message, remedy, _MEMBER_SECONDS, len(down), code="etcd-member")
    if not trouble:
        return Healthy("", Text(N_("This host can claim its accounts again.")))
    message = Text(N_("This host cannot claim its accounts: {reason}."), reason=trouble)
    remedy = Text(N_("see: wxctl fleet; systemctl status wxcontroller-keeper; etcdctl endpoint status --cluster"))
    return Problem(Kind.ETCD, "", message, remedy, _LEASE_SECONDS, code="etcd-trouble")


def day_of(moment: int) -> str:
    """Return the day of a moment, in UTC as in certificates."""
    return time.strftime("%Y-%m-%d", time.gmtime(moment))


def held_of(held: Mapping[str, Text], settings: AlertSettings) -> Verdict:
    """Judge the accounts of lost hosts that no host takes over; ``held`` are the reasons by account."""
    if not held:
        return Healthy("", Text(N_("No account of a lost host is held any more.")))
    names, reason = ", ".join(held), next(iter(held.values()))
    message = Text(N_("Held because the host is lost: {accounts} ({reason})."), accounts=names, reason=reason)
    remedy = Text(N_("repair the host, or see: wxctl fleet; wxctl claim"))
    return Problem(Kind.TAKEOVER, "", message, remedy, settings.after, len(held), code="held")


def taken_over_of(taken: Mapping[str, str]) -> Verdict:
    """Judge whether this host has taken accounts over lately; ``taken`` are their hosts of before by account."""
    if not taken:
        return Healthy("", Text(N_("This host has not taken over an account recently.")))
    hosts = ", ".join(sorted(set(taken.values())))
    message = Text(N_("Taken over from host {hosts}: {accounts}."), accounts=", ".join(taken), hosts=hosts)
    remedy = Text(N_("name another standby host for each: wxctl set NAME standby=HOST; see: wxctl fleet"))
    return Problem(Kind.TAKEOVER, "", message, remedy, 0.0, len(taken), code="taken-over")
