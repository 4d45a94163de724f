"""The accounts on disk: their settings, the secrets of their ports, and whether they are up.

Everything is read again when a timestamp changes, whoever changed it. The files under /var/lib/wxcontroller and
/etc/wxcontroller belong to the controller and the administrator. Those in an account's runtime directory belong to
the account, which is not trusted: nothing there is followed, waited for or read without bound, and an account that
lies about its port's secret only loses its own callers.
"""

import asyncio
import contextlib
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from wxcontroller.core.errors import BadName, BadSettings, UnknownAccount, WxError, file_failed
from wxcontroller.core.files.atomic import read_foreign
from wxcontroller.core.files.filecache import Cached, Stamp, stamp_of
from wxcontroller.core.names import AccountName, is_derived, parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import Account
from wxcontroller.core.registry.accountfiles import AccountFiles as AccountFiles
from wxcontroller.core.registry.check import bad_settings
from wxcontroller.core.text.templates import N_

log = logging.getLogger(__name__)
# Minimum age before an account's files are checked again: a proxied request must not need system calls for them.
_FRESH = 0.5
_MAX_NAMES = 4096
_SECRET = re.compile(rb"[0-9a-f]{64}\n?")
_SECRET_FILE_BYTES = 256


@dataclass(slots=True)
class _Entry:
    account_file: Cached[Account | None]  # None for a file that cannot be used
    secret: Cached[str]
    problem: Cached[BadSettings | None]
    runtime: str
    account: Account | None = None  # as it was last read
    looked: float = float("-inf")
    complaint: str = ""  # logged once, not at every look


class Registry:
    """The registered accounts. Asking again within half a second costs nothing, after that a ``stat``."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._files = AccountFiles(paths)
        self._entries: dict[str, _Entry] = {}
        self._names: dict[str, str] = {}

    def resolve(self, name_or_id: str) -> str:
        """Return the instance of a name, or of an id derived from one. Raises BadName."""
        instance = self._names.get(name_or_id)
        if instance is None:
            instance = name_or_id if is_derived(name_or_id) else parse_name(name_or_id).instance
            if len(self._names) >= _MAX_NAMES:
                self._names.clear()  # names come from outside: bounded
            self._names[name_or_id] = instance
        return instance

    def name_of(self, name_or_id: str) -> AccountName:
        """Return the name that ``name_or_id`` (a name, or a registered generated id) means.

        Raises BadName, or UnknownAccount for an unassigned generated id.
        """
        if not is_derived(name_or_id):
            return parse_name(name_or_id)
        account = self.get(name_or_id)
        if account is None:
            raise UnknownAccount(N_("no account has the id {id}"), N_("wxctl list shows the accounts"), id=name_or_id)
        return account.name

    def get(self, instance: str) -> Account | None:
        """Return a registered account, None if it is missing or its file cannot be used (which is logged)."""
        now = asyncio.get_running_loop().time()
        entry = self._entries.get(instance) or self._new(instance)
        if now - entry.looked <= _FRESH:
            return entry.account
        try:
            entry.account = entry.account_file.current()
        except UnknownAccount:  # removed since the look at its stamp
            entry.account = None
        except OSError as problem:
            # May be temporary, for example without a free descriptor: keep the last known account.
            if os.path.lexists(self._paths.account_file(instance)):
                self._entries[instance] = entry  # so that the problem is logged once; unknown names are not stored
                self._complain(entry, instance, problem)
            # Only systemd has to read the administrator's file: the account is not hidden without it.
            with contextlib.suppress(WxError, OSError):
                entry.account = self._files.load(instance, overrides=False)
            return entry.account
        entry.looked, entry.complaint = now, ""
        if entry.account is None and not os.path.lexists(self._paths.account_file(instance)):
            self._entries.pop(instance, None)  # unknown names come from outside: not remembered
        else:
            self._entries[instance] = entry
        return entry.account

    def find(self, name_or_id: str) -> Account | None:
        """Return the account of a name or id, None if it is unknown or ``name_or_id`` cannot be a name."""
        try:
            return self.get(self.resolve(name_or_id))
        except BadName:
            return None

    def shown_name(self, instance: str) -> str:
        """Return the name of an account for people, its instance while no name is known."""
        account = self.get(instance)
        return account.name.name if account else instance

    def all(self) -> Mapping[str, Account]:
        """Return all registered accounts by instance, sorted by it. Raises OSError."""
        instances = self._files.instances()
        for gone in self._entries.keys() - set(instances):
            del self._entries[gone]
        return {instance: account for instance in instances if (account := self.get(instance)) is not None}

    def forget(self, instance: str) -> None:
        """Read it again at the next query, because it was changed."""
        if entry := self._entries.get(instance):
            entry.looked = float("-inf")

    def forget_all(self) -> None:
        for entry in self._entries.values():
            entry.looked = float("-inf")

    def runtime(self, instance: str) -> str:
        """Return the account's runtime directory."""
        entry = self._entries.get(instance)
        return entry.runtime if entry else str(self._paths.runtime(instance))

    def is_up(self, instance: str) -> bool:
        """Whether the account's unit has a process.

        systemd makes the runtime directory before it starts the first process of the unit, and removes it when the
        last one has ended, also between two automatic restarts. An uncached query to systemd takes 50 ms.
        """
        return os.path.isdir(self.runtime(instance))  # noqa: PTH112 - at every request

    def process(self, instance: str) -> object:
        """Return a value that changes when another process serves the account, None without one. systemd recreates
        the runtime directory, and the process writes the secret once it listens.
        """
        try:
            return self._paths.runtime(instance).stat().st_ino, stamp_of(str(self._paths.port_secret(instance)))
        except OSError:
            return None

    def secret(self, instance: str) -> str:
        """Return the secret of a registered account's port.

        "" where the program has made none: it is not ours, or just starting.
        """
        entry = self._entries.get(instance) or self._new(instance)
        try:
            return entry.secret.current() or ""
        except OSError:
            return ""

    def bad_settings(self, instance: str) -> BadSettings | None:
        """Return why the program of a registered account cannot use its settings, None if it can."""
        entry = self._entries.get(instance) or self._new(instance)
        try:
            return entry.problem.current()
        except OSError:
            return None

    def _new(self, instance: str) -> _Entry:
        paths = self._paths
        own, override, secret = (
            paths.account_file(instance),
            paths.override_file(instance),
            paths.port_secret(instance),
        )

        def load(_: Stamp) -> Account | None:
            try:
                return self._files.load(instance)
            except UnknownAccount:
                raise
            except WxError as problem:
                log.error("account %s is left out: %s", instance, problem, extra={"WX_ACCOUNT": instance})
                return None

        def read(_: Stamp) -> str:
            content = read_foreign(secret, _SECRET_FILE_BYTES)
            return content.decode().strip() if _SECRET.fullmatch(content) else ""

        def check(_: Stamp) -> BadSettings | None:
            return bad_settings(paths, instance, self.shown_name(instance))

        # Both files: the administrator's overrides decide, and change without the controller.
        return _Entry(
            Cached(load, own, override),
            Cached(read, secret, follow=False),
            Cached(check, own, override),
            str(paths.runtime(instance)),
        )

    def _complain(self, entry: _Entry, instance: str, problem: OSError) -> None:
        if entry.complaint != str(problem):
            entry.complaint = str(problem)
            log.error("account %s: %s", instance, file_failed(problem), extra={"WX_ACCOUNT": instance})
