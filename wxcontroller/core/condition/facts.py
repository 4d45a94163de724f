"""The input and the result of an assessment."""

import math
from dataclasses import dataclass
from dataclasses import field as field_of
from enum import StrEnum

from wxcontroller.core.condition.deliverystate import DeliveryState
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import (
    JsonObject,
    JsonValue,
    field,
    integer,
    items,
    obj,
    one_line,
    text,
    whole_seconds,
)
from wxcontroller.core.names import AccountName
from wxcontroller.core.states import Desired, LoginState, UnitState
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, NOTHING, Text, text_fields, text_in

# A login takes seconds, and is retried while WeChat's servers or the network do not respond. After this time the
# cause probably needs someone to fix it.
LOGIN_SECONDS = 20 * 60.0
# A failure of WeChat's servers or the network that is shorter than this needs no attention.
STALLED_SECONDS = 60.0


class Condition(StrEnum):
    """The condition of an account: the unit's state takes precedence over the login's."""

    STOPPED = "stopped"  # should not run, and has no process
    DOWN = "down"  # should run, but has no process
    FAILED = "failed"  # its unit has failed
    RESTARTING = "restarting"  # its process ended unexpectedly, systemd is restarting it
    STARTING = "starting"  # its unit is starting
    STOPPING = "stopping"  # its unit is stopping
    UP = "up"  # its program runs and reports no state
    UNREADABLE = "unreadable"  # its state file cannot be read
    INIT = "init"  # its program is starting
    LOADING = "loading"  # logging in
    SCANNING = "scanning"  # shows a QR code to scan
    CONFIRMING = "confirming"  # waits for the phone to confirm
    UPDATING = "updating"  # logged in, loading contacts
    RUNNING = "running"  # WeChat has responded within the last minute
    OFFLINE = "offline"  # logged in, but WeChat has not responded lately
    PARKED = "parked"  # has stopped trying until someone intervenes
    INPUT = "input"  # waits for an answer
    UNREACHABLE = "unreachable"  # its host does not respond


class Severity(StrEnum):
    """The severity of a condition. From WARNING on, the account needs attention."""

    OK = "ok"
    NOTICE = "notice"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        return _RANKS[self]

    @property
    def is_trouble(self) -> bool:
        return self in (Severity.WARNING, Severity.ERROR)


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


class Code(StrEnum):
    """Identifies a problem for programs. The comment gives severity and condition."""

    DOWN = "unit-down"  # error: it should run, but has no process
    FAILED = "unit-failed"  # error: the unit has failed
    OBSTACLE = "cannot-run"  # error: the unit has failed, and would again: bad settings, or another host has it
    CRASH_LOOP = "crash-loop"  # error: systemd restarted it three times within ten minutes
    RESTARTING = "unit-restarting"  # warning: the process ended unexpectedly, systemd is restarting it
    NO_STATE = "no-state"  # warning: the program runs and reports no state
    UNREADABLE = "state-unreadable"  # warning: the state file cannot be read
    LOGIN_STUCK = "login-stuck"  # warning, error after `after` of `[alerts]`: a login that WeChat does not answer
    OFFLINE = "offline"  # error: logged in, but WeChat has not responded lately
    PARKED = "parked"  # error: it has stopped trying until someone intervenes
    INPUT = "needs-decision"  # error: it waits for an answer that only a person may give
    SCAN = "needs-scan"  # warning: it shows a QR code
    CONFIRM = "needs-confirmation"  # warning: it waits for the phone to confirm the login
    MOVING = "moving"  # notice: it is stopped, on its way to another host
    OLD_CODE = "old-code"  # notice: the process runs another version than is installed
    PORT_TAKEN = "port-taken"  # warning: the account works, but another program has its port
    STORE = "cannot-store"  # error: incoming messages cannot be written to disk
    DAMAGED = "log-damaged"  # error: the event log was damaged and replaced within the last day
    LOST = "reports-lost"  # error: reports were lost within the last day, as the log was full
    DEAD = "dead-letters"  # warning, error while new ones arrive: dead letters not replayed, purged or acknowledged
    WEBHOOK = "webhook-failing"  # warning: the webhook has been failing for half a minute
    RESTRICTED = "person-restricted"  # warning: WeChat accepts messages for a person and shows none of them
    LIMITED = "sends-limited"  # warning: WeChat refused sends, so they are limited for a day
    MEDIA_REFUSED = "media-refused"  # warning: WeChat does not let the account send media
    HOST = "host-unreachable"  # error: the account is on another host, which does not respond
    DUPLICATE = "duplicate-name"  # error: another host has an account of the same name
    LATE = "reports-late"  # warning: a report has been waiting for 15 minutes without an error


@dataclass(frozen=True, slots=True)
class ClientReport:
    """The content of an account's state file.

    ``login`` is None for a foreign program, which gives only the original's ``word``. ``since`` is seconds
    since 1970, 0 when unknown; ``asks`` the id of the question that waits for an answer; ``version`` "" for unknown.
    ``restricted`` are people to whom WeChat shows no sends, None if unknown. ``limit_24h`` is a limit of sends in a
    day, learned from refusals, which applies until ``limit_24h_until``; 0 for none. ``media_refused`` is the time
    since which WeChat refuses media, 0 if it does not. ``ended`` is why it stopped, or "". ``port_error`` is why it
    cannot use its port, None from a program without a socket of its own.
    """

    login: LoginState | None
    word: str = ""
    status: Text = NOTHING
    reason: Text = NOTHING
    since: int = 0
    asks: str = ""
    version: str = ""
    restricted: int | None = None
    limit_24h: int = 0
    limit_24h_until: int = 0
    media_refused: int = 0
    ended: str = ""
    port_error: Text | None = None

    @property
    def why(self) -> Text:
        return self.reason or self.status


def client_of(content: JsonObject) -> ClientReport:
    """Read a state file's content, including invalid content."""
    try:
        login = LoginState(text(content.get("login_state")))
    except ValueError:
        login = None
    return ClientReport(
        login,
        one_line(content.get("state")),
        text_in(content, "status"),
        text_in(content, "reason"),
        whole_seconds(content.get("state_since")),
        one_line(field(content.get("input"), "id")),
        one_line(content.get("version")),
        _number(content.get("restricted")),
        _number(content.get("limit_24h")) or 0,
        whole_seconds(content.get("limit_24h_until")),
        whole_seconds(content.get("media_refused")),
        one_line(content.get("ended")),
        text_in(content, "port_error") if "port_error" in content else None,
    )


def _number(value: JsonValue) -> int | None:
    return max(0, min(integer(value), 1 << 40)) if isinstance(value, int) and not isinstance(value, bool) else None


@dataclass(frozen=True, slots=True)
class LastEnd:
    """The end of an account's last process: since when it has none (seconds since 1970, 0 for unknown), ``how`` it
    ended, and its last line in the journal.
    """

    since: int = 0
    how: Text = NOTHING
    line: str = ""

    @property
    def words(self) -> Text:
        """How it ended, NOTHING if that is unknown."""
        if not self.line:
            return self.how
        line = Text(N_("last error: {line}"), line=self.line)
        return Text("{how}, {line}", how=self.how, line=line) if self.how else line


NO_END = LastEnd()


class Instant:
    """The time of an assessment, in seconds since 1970.

    Checks compare times only through it, so it knows ``until`` when all comparisons have the same result.
    """

    __slots__ = ("now", "until")

    def __init__(self, now: float) -> None:
        self.now = now
        self.until = math.inf

    def has_passed(self, when: float) -> bool:
        if self.now >= when:
            return True
        self.until = min(self.until, when)
        return False

    def minutes_since(self, when: float) -> int:
        """Return the whole minutes."""
        number = int((self.now - when) // 60)
        self.until = min(self.until, when + 60 * (number + 1))
        return number


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of an account at one time.

    ``client`` and ``deliveries`` are None if unknown, ``unreadable`` says why the state file could not be used.
    ``webhook`` is post_api without secrets. ``loops``: its process has crashed repeatedly. ``installed`` is the
    version that a restart would run. ``patience`` is how long a login may take, at most LOGIN_SECONDS. ``also_on``
    are the other hosts that have an account of its name, or ""; ``leaving`` is the host to which it is being moved,
    or "". ``obstacle`` is why it cannot run: bad settings, or another host that owns it. ``port_user`` says who has
    its port, if known; ``ended`` how its last process ended, while its unit has failed or keeps being restarted.
    """

    name: AccountName
    desired: Desired | None
    unit: UnitState
    sub: str
    instant: Instant
    client: ClientReport | None = None
    unreadable: Text = NOTHING
    deliveries: DeliveryState | None = None
    webhook: str = ""
    loops: bool = False
    installed: str = ""
    patience: float = LOGIN_SECONDS
    also_on: str = ""
    leaving: str = ""
    obstacle: WxError | None = None
    port_user: Text = NOTHING
    ended: LastEnd = NO_END

    @property
    def restarts(self) -> bool:
        """Whether systemd waits to start the unit again."""
        return self.sub.startswith("auto-restart")

    @property
    def has_process(self) -> bool:
        return self.unit.has_process and not self.restarts

    @property
    def wanted(self) -> bool:
        return self.desired is Desired.STARTED

    def wxctl(self, verb: str, *options: str) -> str:
        """Return a command about this account, to be put into a remedy."""
        return command(verb, self.name.name, *options)

    def wxctl_set(self, *options: str) -> str:
        """Return the commands that set options of this account and let them take effect."""
        return f"{self.wxctl('set', *options)} && {self.wxctl('restart')}"


def minutes(number: int) -> Text:
    """Return a duration as text."""
    return Text("{n} minute", "{n} minutes", n=number) if number > 0 else Text(N_("under a minute"))


@dataclass(frozen=True, slots=True)
class Issue:
    """A problem: ``headline`` describes it (without the account's name), ``remedy`` the solution.

    ``since`` is seconds since 1970, 0 for unknown. ``level`` rises when the problem gets worse.
    """

    code: str  # a Code, or a newer controller's
    severity: Severity
    headline: Text
    remedy: Text
    since: int = 0
    level: int = 0

    @property
    def full_text(self) -> Text:
        """The problem and its remedy."""
        return Text(N_("{what}; {remedy}"), what=self.headline, remedy=self.remedy)

    def as_json(self) -> JsonObject:
        """Return it rendered in English and as templates with values."""
        texts = text_fields(message=self.headline, remedy=self.remedy)
        values: JsonObject = {}
        for each in (self.headline, self.remedy):
            values |= obj(each.as_json()["values"])
        return {
            "code": str(self.code),
            "severity": self.severity.value,
            "since": self.since or None,
            "values": values,
            **texts,
        }


@dataclass(frozen=True, slots=True)
class Assessment:
    """An account's condition and its problems, the worst first.

    It stays valid until ``until`` (seconds since 1970) unless a fact other than the time changes.
    """

    condition: Condition
    issues: tuple[Issue, ...] = ()
    until: float = field_of(default=math.inf, compare=False)

    @property
    def severity(self) -> Severity:
        return self.issues[0].severity if self.issues else Severity.OK

    @property
    def advice(self) -> Issue | None:
        """The issue to look at first."""
        return self.issues[0] if self.issues else None

    def as_json(self) -> JsonObject:
        """Return its members of an ACCOUNT."""
        issues: list[JsonValue] = [issue.as_json() for issue in self.issues]
        return {
            "condition": self.condition.value,
            "severity": self.severity.value,
            "advice": issues[0] if issues else None,
            "issues": issues,
        }


def assessment_of(content: JsonObject) -> Assessment | None:
    """Read the assessment in an ACCOUNT, None if it is missing or written by a later version."""
    try:
        condition = Condition(text(content.get("condition")))
    except ValueError:
        return None
    return Assessment(condition, tuple(issue_of(obj(issue)) for issue in items(content.get("issues"))))


def issue_of(content: JsonObject) -> Issue:
    try:
        severity = Severity(text(content.get("severity")))
    except ValueError:
        severity = Severity.WARNING
    headline, remedy = text_in(content, "message"), text_in(content, "remedy")
    return Issue(text(content.get("code")), severity, headline, remedy, whole_seconds(content.get("since")))
