"""The result of a check, and the data that all checks share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import TypeAlias

from wxcontroller.cli.connection.account import AccountView
from wxcontroller.cli.connection.api import Api
from wxcontroller.core.config.checklist import DoctorCheck
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import Account
from wxcontroller.core.registry.check import Level
from wxcontroller.core.text.templates import Text


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line. ``remedy`` is for problems and notices."""

    level: Level
    what: str
    message: str | Text
    remedy: str | Text = ""

    def as_json(self) -> JsonObject:
        """Return it for programs."""
        return {
            "level": self.level.value,
            "check": self.what,
            "message": str(self.message),
            "remedy": str(self.remedy),
        }


def ok(message: Text, what: str = "") -> CheckResult:
    return CheckResult(Level.OK, what, message)


def warn(message: Text, remedy: Text, what: str = "") -> CheckResult:
    return CheckResult(Level.WARN, what, message, remedy)


def fail(message: Text, remedy: Text, what: str = "") -> CheckResult:
    return CheckResult(Level.FAIL, what, message, remedy)


@dataclass(slots=True)
class CheckTarget:
    """The state of the machine as far as it could be read. ``away`` is why the controller does not respond, if so."""

    api: Api
    paths: Paths = Paths()
    settings: Settings = field(default_factory=Settings)
    away: WxError | None = None
    views: list[AccountView] = field(default_factory=list)
    registered: list[Account] = field(default_factory=list)
    is_root: bool = True

    @property
    def answering(self) -> Api:
        """The controller's API. Raises WxError while it does not answer."""
        if self.away is not None:
            raise self.away
        return self.api


Check: TypeAlias = Callable[[CheckTarget], Iterator[CheckResult]]


# The code of each check; a module adds its own when it is imported.
CHECKS: dict[DoctorCheck, Check] = {}


def check(item: DoctorCheck, well: Text | None = None) -> Callable[[Check], Check]:
    """Register a function as the code of a check. If it yields nothing, the result is ``well``. A check that raises
    WxError could not run: another one reports that systemd or the controller does not respond.
    """
    what = item.title

    def named(look: Check) -> Check:
        @wraps(look)
        def results(target: CheckTarget) -> Iterator[CheckResult]:
            has_found = False
            try:
                for each in look(target):
                    has_found = True
                    yield replace(each, what=each.what or what)
            except WxError:
                return
            if well is not None and not has_found:
                yield ok(well, what)

        CHECKS[item] = results
        return results

    return named
