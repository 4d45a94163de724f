"""The registered accounts, as their files say, read once per change of a file."""

import asyncio
import logging
import os
from collections.abc import Mapping
from typing import TypeAlias

from wxcontroller.core.account import Account
from wxcontroller.core.errors import BadName, UnknownAccount, WxError
from wxcontroller.core.materialise import Registry
from wxcontroller.core.names import AccountName, is_derived, parse_name
from wxcontroller.core.paths import Paths

log = logging.getLogger(__name__)

Stamp: TypeAlias = tuple[int, int, int]
# Between two looks at one account's files; a proxied request must not cost system calls of its own.
_FRESH = 0.5
_MOST_NAMES = 4096


class KnownAccounts:
    """A view of the registry that costs a ``stat`` where nothing changed, and nothing when asked again at once."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._registry = Registry(paths)
        self._accounts: dict[str, Account] = {}
        self._stamps: dict[str, tuple[Stamp, Stamp | None]] = {}
        self._looked: dict[str, float] = {}
        self._names: dict[str, str] = {}
        self._complaints: dict[str, str] = {}  # told once, not at every try

    def resolve(self, given: str) -> str:
        """Return the instance that a name, or an id made from one, stands for. Raises BadName."""
        instance = self._names.get(given)
        if instance is None:
            instance = given if is_derived(given) else parse_name(given).instance
            if len(self._names) >= _MOST_NAMES:
                self._names.clear()  # names come from outside: bounded
            self._names[given] = instance
        return instance

    def name_of(self, given: str) -> AccountName:
        """Return the name that ``given`` (a name, or a registered generated id) means.

        Raises BadName, or UnknownAccount for a generated id that nobody has.
        """
        if not is_derived(given):
            return parse_name(given)
        account = self.get(given)
        if account is None:
            raise UnknownAccount(f"no account has the id {given}", "wxctl list shows the accounts")
        return account.name

    def get(self, instance: str) -> Account | None:
        """Return a registered account, None when there is none or when its file can't be used (then it is logged)."""
        now = asyncio.get_running_loop().time()
        if now - self._looked.get(instance, float("-inf")) > _FRESH:
            self._look(instance)
            if instance in self._stamps:  # unknown names come from outside: not remembered
                self._looked[instance] = now
        return self._accounts.get(instance)

    def find(self, given: str) -> Account | None:
        """Return the account of a name or id, None when there is none or ``given`` can't be a name."""
        try:
            return self.get(self.resolve(given))
        except BadName:
            return None

    def all(self) -> Mapping[str, Account]:
        """Return all registered accounts by instance, sorted by it."""
        instances = self._registry.instances()
        for gone in self._accounts.keys() - set(instances):
            self._drop(gone)
        return {instance: account for instance in instances if (account := self.get(instance)) is not None}

    def forget(self, instance: str) -> None:
        """Look anew at the next question: something was changed."""
        self._looked.pop(instance, None)

    def _look(self, instance: str) -> None:
        own = _stamp(str(self._paths.account_file(instance)))
        if own is None:
            self._drop(instance)
            return
        stamps = (own, _stamp(str(self._paths.override_file(instance))))
        if self._stamps.get(instance) == stamps:
            return
        try:
            self._accounts[instance] = self._registry.load(instance)
        except UnknownAccount:
            self._drop(instance)
            return
        except OSError as problem:
            # May pass, as when no descriptor is left: what was known stays, and the file is read again.
            if self._complaints.get(instance) != str(problem):
                self._complaints[instance] = str(problem)
                log.error("account %s: its file can't be read: %s", instance, problem, extra={"WX_ACCOUNT": instance})
            return
        except WxError as problem:
            self._accounts.pop(instance, None)
            log.error("account %s is left out: %s", instance, problem, extra={"WX_ACCOUNT": instance})
        self._stamps[instance] = stamps
        self._complaints.pop(instance, None)

    def _drop(self, instance: str) -> None:
        self._accounts.pop(instance, None)
        self._stamps.pop(instance, None)
        self._looked.pop(instance, None)
        self._complaints.pop(instance, None)


def _stamp(path: str) -> Stamp | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - hundreds of times a second
    except OSError:
        return None
    return (found.st_ctime_ns, found.st_ino, found.st_size)
