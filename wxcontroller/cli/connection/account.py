"""An account as returned by the controller's /v1 API."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from wxcontroller.core.condition.facts import (
    Assessment,
    Condition,
    Severity,
    assessment_of,
)
from wxcontroller.core.jsontypes import JsonObject, JsonValue, field, integer, obj, one_line, text
from wxcontroller.core.states import Desired, LoginState, UnitState
from wxcontroller.core.text.templates import Text, text_in

_E = TypeVar("_E", bound=StrEnum)
_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow"}
_QUIET_STYLES = {Condition.RUNNING: "green", Condition.STOPPED: "dim"}


@dataclass(frozen=True, slots=True)
class AccountView:
    """One ACCOUNT of the API. ``since`` is seconds since 1970 or 0; ``raw`` is the original object.

    ``asks`` is the id of the question that waits for an answer, "" for none.
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
    assessment: Assessment
    raw: JsonObject

    @property
    def condition(self) -> Condition:
        return self.assessment.condition

    @property
    def style(self) -> str:
        """A rich style for its condition."""
        return _STYLES.get(self.assessment.severity) or _QUIET_STYLES.get(self.condition, "yellow")

    @property
    def words(self) -> Text:
        """The reason of its state if there is one, else the status line."""
        return self.reason or self.status

    @property
    def headline(self) -> Text:
        """Its problem in one line, else its status."""
        advice = self.assessment.advice
        return advice.headline if advice else self.words


def account_view(value: JsonValue) -> AccountView:
    """Read an ACCOUNT. Values unknown to this version count as absent: a newer controller is not an error."""
    found = obj(value)
    user = found.get("user")
    return AccountView(
        name=one_line(found.get("name")),
        instance=one_line(found.get("instance")),
        unit=one_line(found.get("unit")),
        driver=one_line(found.get("driver")),
        desired=enum_member(Desired, found.get("desired")),
        unit_state=enum_member(UnitState, found.get("unit_state")) or UnitState.ABSENT,
        unit_sub=one_line(found.get("unit_sub")),
        login_state=enum_member(LoginState, found.get("login_state")),
        status=text_in(found, "status"),
        since=as_int(found.get("since")),
        reason=text_in(found, "reason"),
        pid=integer(found.get("pid")),
        port=integer(found.get("port")),
        post_api=one_line(found.get("post_api")),
        proxy=one_line(found.get("proxy")),
        asks=text(field(found.get("input"), "id")),
        qrcode=found.get("qrcode") is True,
        user=one_line(field(user, "name")) or one_line(field(user, "id")),
        assessment=assessment_of(found) or Assessment(Condition.UP),
        raw=found,
    )


def enum_member(kind: type[_E], value: JsonValue) -> _E | None:
    try:
        return kind(text(value))
    except ValueError:
        return None


def as_int(value: JsonValue) -> int:
    return int(value) if isinstance(value, float) else integer(value)
