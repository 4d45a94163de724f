"""An account as the controller's /v1 API tells it."""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TypeVar

from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, integer, obj, one_line, text
from wxcontroller.core.messages import Text, text_in
from wxcontroller.core.states import Desired, LoginState, UnitState

_E = TypeVar("_E", bound=StrEnum)


class Condition(Enum):
    """What a person wants to know of an account in one word: the unit's state first, then the login's."""

    STOPPED = "stopped"
    DOWN = "down"  # wanted, but no process
    STARTING = "starting"
    STOPPING = "stopping"
    FAILED = "failed"
    UP = "up"  # the unit runs, the login says nothing yet
    INIT = "init"
    LOADING = "loading"
    SCANNING = "scanning"
    CONFIRMING = "confirming"
    UPDATING = "updating"
    RUNNING = "running"
    OFFLINE = "offline"
    PARKED = "parked"

    @property
    def style(self) -> str:
        """A rich style for it."""
        return _STYLES.get(self, "yellow")


_STYLES = {
    Condition.RUNNING: "green",
    Condition.FAILED: "bold red",
    Condition.PARKED: "bold red",
    Condition.OFFLINE: "bold yellow",
    Condition.DOWN: "red",
    Condition.STOPPED: "dim",
}


@dataclass(frozen=True, slots=True)
class AccountView:
    """One ACCOUNT of the API. ``since`` is seconds since 1970, 0 when unknown; ``raw`` is it as it came.

    ``asks`` is the id of what it waits for a person to give, "" for nothing.
    """

    name: str
    instance: str
    unit: str
    driver: str
    desired: Desired | None
    unit_state: UnitState
    unit_sub: str
    login_state: LoginState | None
    status: Text
    since: int
    reason: Text
    pid: int
    port: int
    post_api: str
    proxy: str
    qrcode: bool
    user: str
    asks: str
    raw: JsonObject

    @property
    def condition(self) -> Condition:
        """The one word. A login state without a process is an old one, and only its giving up still counts."""
        if self.unit_state is UnitState.FAILED:
            return Condition.FAILED
        if self.unit_state is UnitState.DEACTIVATING:
            return Condition.STOPPING
        if not self.unit_state.has_process:
            if self.desired is not Desired.STARTED:
                return Condition.STOPPED
            return Condition.PARKED if self.login_state is LoginState.PARKED else Condition.DOWN
        if self.unit_state is UnitState.ACTIVATING:
            return Condition.STARTING
        if self.login_state is None:
            return Condition.UP
        return Condition(self.login_state.value)

    @property
    def words(self) -> Text:
        """Why it is so, in words: the reason when there is one, else the status line."""
        return self.reason or self.status


def account_view(value: JsonValue) -> AccountView:
    """Read an ACCOUNT. Words this version does not know count as absent: a newer controller is no error."""
    found = obj(value)
    user = field(found, "user")
    return AccountView(
        name=one_line(field(found, "name")),
        instance=one_line(field(found, "instance")),
        unit=one_line(field(found, "unit")),
        driver=one_line(field(found, "driver")),
        desired=_word(Desired, field(found, "desired")),
        unit_state=_word(UnitState, field(found, "unit_state")) or UnitState.ABSENT,
        unit_sub=one_line(field(found, "unit_sub")),
        login_state=_word(LoginState, field(found, "login_state")),
        status=text_in(found, "status"),
        since=_whole(field(found, "since")),
        reason=text_in(found, "reason"),
        pid=integer(field(found, "pid")),
        port=integer(field(found, "port")),
        post_api=one_line(field(found, "post_api")),
        proxy=one_line(field(found, "proxy")),
        asks=text(field(field(found, "input"), "id")),
        qrcode=field(found, "qrcode") is True,
        user=one_line(field(user, "name")) or one_line(field(user, "id")),
        raw=found,
    )


def _word(kind: type[_E], value: JsonValue) -> _E | None:
    try:
        return kind(text(value))
    except ValueError:
        return None


def _whole(value: JsonValue) -> int:
    return int(value) if isinstance(value, float) else integer(value)
