"""An account as callers see it: its file, its unit and its client's state, side by side."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from wxcontroller import __version__
from wxcontroller.controller.accounts.statefiles import ClientState, Published
from wxcontroller.controller.accounts.units import UnitRecord
from wxcontroller.core.condition.assess import assess
from wxcontroller.core.condition.facts import LOGIN_SECONDS, NO_END, Assessment, Facts, Instant, LastEnd
from wxcontroller.core.config.options import OPTIONS
from wxcontroller.core.errors import WxError
from wxcontroller.core.heartbeats import Recent
from wxcontroller.core.jsontypes import JsonObject, integer, text
from wxcontroller.core.net import egress
from wxcontroller.core.paths import Paths
from wxcontroller.core.records.accountrecords import avatar_path
from wxcontroller.core.registry.account import Account, redacted
from wxcontroller.core.registry.loginbook import KnownLogin, marks_of
from wxcontroller.core.states import Desired, LoginState, UnitState
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import NOTHING, Text, text_fields
from wxcontroller.openwx.contract import statefile
from wxcontroller.openwx.contract.statefile import ClientFacts, Moment

_OF_THE_CODE = ("qrcode_try", "qrcode_limit", "qrcode_until")


@dataclass(frozen=True, slots=True)
class View:
    """One account at one moment. ``state`` is the client's own report; ``unreadable`` says why it is missing.

    ``published`` is the status that its process publishes, None without one and from other programs. ``loops``: its
    process keeps exiting. ``patience`` is how long a login may take. ``recent`` are its last minutes and hours, while
    it has a process that publishes them. ``until`` is when time alone changes it, by ``statefiles.uptime``. ``host``
    is this host's name in its fleet, ``also_on`` the others that have the account. ``obstacle`` is why it cannot run:
    this host cannot claim it, in a fleet with etcd, or its settings are invalid. ``port_user`` says who has its port,
    ``ended`` how its last process ended.
    """

    account: Account
    unit: UnitRecord
    state: ClientState | None = None
    unreadable: Text = NOTHING
    published: Published | None = None
    loops: bool = False
    patience: float = LOGIN_SECONDS
    recent: Recent | None = None
    until: float = field(default=math.inf, compare=False)
    host: str = ""
    also_on: str = ""
    obstacle: WxError | None = None
    port_user: Text = NOTHING
    ended: LastEnd = NO_END
    _assessed: list[tuple[float, Assessment]] = field(default_factory=list, init=False, compare=False, repr=False)

    @property
    def instance(self) -> str:
        return self.account.name.instance

    @property
    def registered(self) -> bool:
        """Whether the client exists for the HTTP contract: it should run, or does."""
        return self.account.desired is Desired.STARTED or self.unit.state.has_process

    @property
    def live(self) -> ClientState | None:
        """The client's word, if a process is up that has spoken it.

        While the unit starts, the file may still be an earlier run's.
        """
        return self.state if self.unit.has_process and not self.starting else None

    @property
    def contradictory(self) -> bool:
        """Whether unit and state file contradict each other, because one was read before the other changed.

        The file disappears with the unit's end at once, while the unit's state may be a second old.
        """
        if self.starting or self.unreadable:
            return False
        return self.unit.has_process != (self.state is not None)

    @property
    def starting(self) -> bool:
        return self.unit.has_process and self.unit.state is UnitState.ACTIVATING

    @property
    def has_ended(self) -> bool:
        """Whether its unit has failed, or systemd waits to start it again."""
        return self.unit.state is UnitState.FAILED or self.unit.sub.startswith("auto-restart")

    @property
    def login(self) -> LoginState | None:
        """The session's state; None if a running program does not report it."""
        if self.live is not None:
            return self.live.client.login
        if self.starting:
            return LoginState.INIT
        return None if self.unit.has_process else LoginState.STOPPED

    @property
    def word(self) -> str:
        """The original's word for the state, "" if a running program does not report it."""
        if self.live is not None:
            return self.live.client.word
        return self.login.word if self.login else ""

    @property
    def pid(self) -> int | None:
        return self.live.pid or None if self.live else None

    @property
    def status(self) -> Text:
        """The status as one line of text."""
        if self.live:
            return self.live.client.status
        if self.starting:
            return Text("its unit is starting")
        if self.unreadable and self.unit.has_process:
            return Text("its state cannot be read")
        if self.unit.has_process:
            return Text("its unit is running, but reports no state")
        if self.unit.sub.startswith("auto-restart"):
            return Text("its process ended; systemd will restart it")
        if self.unit.state is UnitState.FAILED:
            return Text("its unit failed")
        if self.account.desired is Desired.STARTED:
            return Text("should run, but its unit does not")
        return Text("stopped")

    @property
    def reason(self) -> Text:
        if self.live:
            return self.live.client.reason
        # While it starts, systemd keeps an earlier run's directory to itself.
        if self.unreadable and self.unit.has_process and not self.starting:
            return self.unreadable
        if self.account.desired is Desired.STARTED and not self.unit.has_process:
            if self.obstacle is not None:
                return self.obstacle.full_text
            return Text(
                "{unit} is {unit2}; see: {logs}",
                unit=self.account.name.unit,
                unit2=self.unit.words,
                logs=command("logs", self.account.name.name),
            )
        return NOTHING

    def assessment(self, now: float | None = None) -> Assessment:
        """Return the account's condition with its problems; ``now`` is in seconds since 1970."""
        now = time.time() if now is None else now
        for begin, assessment in self._assessed:
            if begin <= now < assessment.until:
                return assessment
        facts = Facts(
            self.account.name,
            self.account.desired,
            self.unit.state,
            self.unit.sub,
            Instant(now),
            self.live.client if self.live else None,
            self.unreadable,
            self.published.deliveries if self.published else None,
            redacted(self.account.options.get("post_api", "")),
            self.loops,
            __version__,
            self.patience,
            also_on=self.also_on,
            leaving=self.account.leaving.to if self.account.leaving else "",
            obstacle=self.obstacle,
            port_user=self.port_user,
            ended=self.ended,
        )
        self._assessed[:] = [(now, assess(facts))]
        return self._assessed[0][1]

    @property
    def qrcode_link(self) -> str:
        """The content of the QR code that waits to be scanned, "" when none does."""
        return self.live.qrcode_link if self.live else ""

    def counted(self, name: str) -> int:
        """Return a number that its client publishes for the controller, 0 for none."""
        return integer(self.live.assessed.get(name)) if self.live else 0

    @property
    def has_qrcode(self) -> bool:
        if self.live is None:
            return False
        # A foreign program publishes no link, but its state shows whether it has a code.
        return bool(self.live.qrcode_link) or (self.live.client.login is None and self.live.client.word == "scaning")


def account_json(view: View, assessment: Assessment | None = None) -> JsonObject:
    """Return the ACCOUNT object of /v1, with the assessment of this moment or the given one."""
    live, account = view.live, view.account
    user: JsonObject | None = dict(live.user) if live and live.user else None
    return {
        "name": account.name.name,
        "host": view.host or None,
        "instance": view.instance,
        "unit": account.name.unit,
        "driver": account.driver,
        "epoch": account.epoch,
        "leaving": account.leaving.as_json() if account.leaving else None,
        "arrived": account.arrived or None,
        "desired": account.desired.value,
        "unit_state": view.unit.state.value,
        "unit_sub": view.unit.sub,
        "login_state": view.login.value if view.login else None,
        "state": view.word or None,
        **text_fields(status=view.status, reason=view.reason),
        "since": (live.client.since if live else view.ended.since) or None,
        "input": live.asks.as_json() if live and live.asks else None,
        "pid": view.pid,
        "port": account.port,
        "post_api": redacted(account.options.get("post_api", "")),
        "proxy": egress.shown(account.options.get("proxy", "")),
        "qrcode": view.has_qrcode,
        "qrcode_number": live.qrcode_number if live and view.has_qrcode else None,
        **{key: view.counted(key) or None if view.has_qrcode else None for key in _OF_THE_CODE},
        "user": user,
        "avatar": avatar_path(account.name.name, text(user.get("id"))) if user else None,
        "start_time": live.start_time or None if live else None,
        **(view.recent.as_json() if view.recent else {"heartbeats": None, "hourly_messages": None}),
        **(assessment or view.assessment()).as_json(),
    }


def logins_of(views: Iterable[View]) -> dict[str, KnownLogin]:
    """Return the logins that running accounts publish, by instance."""
    found: dict[str, KnownLogin] = {}
    for view in views:
        marks = marks_of(view.live.assessed.get("login_marks")) if view.live else None
        if marks is not None:
            found[view.instance] = KnownLogin(view.account.name.name, marks)
    return found


def stand_in_state(view: View, paths: Paths) -> JsonObject:
    """Return a complete STATE (openwx-api 4.4) for a client whose process has not written one, or that has none."""
    account, instance = view.account, view.instance
    facts = ClientFacts(
        account=account.name.name,
        version=__version__,
        pid=0,
        start_time=0,
        driver=account.driver,
        set_options=account.options,
        defaults={option.name: option.default for option in OPTIONS.values()},
        paths={
            "tmpdir": str(paths.runtime(instance)),
            "media_dir": str(paths.media(instance)),
            "cookie_path": str(paths.cookie_file(instance)),
            "qrcode_path": str(paths.qrcode_file(instance)),
            "pid_path": str(paths.pid_file(instance)),
            "state_path": str(paths.state_file(instance)),
        },
    )
    moment = Moment(view.login or LoginState.STOPPED, None, 0, view.status, view.reason)
    content = statefile.render(facts, moment)
    for hidden in (*statefile.FOR_CONTROLLER, "qrcode_link"):
        del content[hidden]
    unknown: JsonObject = {"pid": None, "start_time": None, "state_since": None}
    return {
        **content,
        **unknown,
        "unit": account.name.unit,
        "unit_state": view.unit.state.value,
        "unit_sub": view.unit.sub,
        "port": account.port,
    }
