"""The WeChat users of this host's accounts, so that no two accounts use the same one.

Running accounts find out about each other (see the routes' claims). A stopped one cannot answer, and its credentials
are private to it. So the controller keeps this book of what running accounts publish in their state files, and all
accounts read it before they use a login. It holds marks only, which are hashes of ids.

An entry outlasts the account's process and a change of its route: the credentials stay on its disk, too. It goes with
a logout, with another login and with the account. If two accounts have the same mark, the entry belongs to the
running one: WeChat has ended the other's session. A login that ends before the controller has looked is not noticed.
"""

import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field

from wxcontroller.core.errors import reason_of
from wxcontroller.core.files.atomic import read_foreign, replace_file
from wxcontroller.core.files.filecache import TOKENS_FILE_BYTES
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, kept_json, obj, one_line, text
from wxcontroller.core.paths import Paths

log = logging.getLogger(__name__)
_MODE = 0o640
# A route has one or two; this bounds accounts that publish anything else.
_MAX_MARKS = 8


@dataclass(frozen=True, slots=True)
class KnownLogin:
    """The login of the account called ``account``: other accounts recognize it by its ``marks``."""

    account: str
    marks: tuple[str, ...]


@dataclass(slots=True)
class LoginBook:
    """The controller's side of the book, by instance."""

    paths: Paths
    _logins: dict[str, KnownLogin] = field(default_factory=dict)
    _loaded: bool = False
    _complaint: str = ""

    def look(self, live: Mapping[str, KnownLogin], registered: Set[str]) -> None:
        """Record the logins of running accounts, and drop those of removed ones. Raises nothing."""
        self._load()
        taken = {mark for login in live.values() for mark in login.marks}
        found = {
            instance: KnownLogin(login.account, tuple(mark for mark in login.marks if mark not in taken))
            for instance, login in self._logins.items()
            if instance in registered and instance not in live
        }
        self._keep({**found, **live})

    def forget(self, instance: str) -> None:
        """Drop an account's login: it has logged out. Raises nothing."""
        self._load()
        self._keep({**self._logins, instance: KnownLogin("", ())})

    def _load(self) -> None:
        if not self._loaded:
            self._logins, self._loaded = read(self.paths), True

    def _keep(self, logins: dict[str, KnownLogin]) -> None:
        logins = {instance: login for instance, login in logins.items() if login.marks}
        if logins == self._logins:
            return
        listed: JsonObject = {
            instance: {"account": login.account, "marks": [*login.marks]} for instance, login in logins.items()
        }
        try:
            replace_file(self.paths.logins, json.dumps(listed).encode(), _MODE)
        except OSError as problem:
            if str(problem) != self._complaint:
                log.error("cannot publish which account uses which WeChat user: %s", reason_of(problem))
            self._complaint = str(problem)
        else:
            self._logins, self._complaint = logins, ""


def read(paths: Paths) -> dict[str, KnownLogin]:
    """Return the book, by instance; a file that is missing or damaged is an empty one."""
    try:
        kept = kept_json(read_foreign(paths.logins, TOKENS_FILE_BYTES))
    except OSError:
        return {}
    return {
        instance: KnownLogin(one_line(text(obj(entry).get("account"))), marks_of(obj(entry).get("marks")) or ())
        for instance, entry in kept.items()
    }


def marks_of(value: JsonValue) -> tuple[str, ...] | None:
    """Return the marks that an account publishes, None when it publishes none."""
    if not isinstance(value, list):
        return None
    found: Iterable[str] = (text(mark) for mark in items(value)[:_MAX_MARKS])
    return tuple(mark for mark in found if re.fullmatch("[0-9a-f]{64}", mark))


def holder(paths: Paths, own: str) -> Callable[[str], str]:
    """Return a function from a mark to its account's name, "" for none or the instance ``own``. It reads files."""

    def find(mark: str) -> str:
        others = (login for instance, login in read(paths).items() if instance != own)
        return next((login.account for login in others if mark in login.marks), "")

    return find
