"""Writes the accounts' environment files: the only materialiser, used by the controller and units.

The files are the registry. Every change holds one lock, so that two starts never get the same port.
"""

import contextlib
import fcntl
import logging
import os
import secrets
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from wxcontroller.core.config.options import ANY_ADDRESS, OPTIONS, SAME, check_options
from wxcontroller.core.config.reporttargets import SETTING as TARGETS
from wxcontroller.core.config.reporttargets import Targets
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.config.tables import shown
from wxcontroller.core.errors import (
    AccountExists,
    BadEnvironmentFile,
    BadName,
    BadOption,
    OtherRoute,
    UnknownAccount,
    WxError,
    reason_of,
)
from wxcontroller.core.files.atomic import replace_file, sync
from wxcontroller.core.names import AccountName, is_derived, parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import Account
from wxcontroller.core.registry.accountfiles import AccountFiles, variables_in
from wxcontroller.core.registry.leaving import Gone, Leaving, gone_from
from wxcontroller.core.registry.porttable import PortTable
from wxcontroller.core.registry.rendering import render_account
from wxcontroller.core.states import Desired, TakeoverPolicy
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_

log = logging.getLogger(__name__)
# Another account's files stay readable for the controller's group only; they hold webhook addresses.
_MODE = 0o640
# Writing an account's file takes milliseconds, on a bad disk a second.
LOCK_SECONDS = 15.0
_LOOK_SECONDS = 0.02


class Materialiser:
    """Writes accounts' environment files through the template."""

    def __init__(self, paths: Paths, settings: Settings) -> None:
        self.paths = paths
        self.settings = settings
        self.registry = AccountFiles(paths)
        self._ports = PortTable(self.registry)

    def start(
        self,
        name: AccountName,
        options: Mapping[str, str],
        parameters: Mapping[str, str],
        keep: bool = False,
        runs: bool = False,
        epoch: int = 1,
    ) -> Account:
        """Register ``name`` as wanted and write its file.

        ``options`` are canonical (core/config/options.py), ``parameters`` those the answer echoes. ``keep`` merges
        them over the stored ones, otherwise they replace them. The account keeps its port; while it ``runs``, even
        outside the current range. ``epoch`` is its minimum from now on. Raises NoPort, TemplateError, BadOption (a
        value that no environment file can hold), OtherRoute (see ``stay_on_route``) or OSError; nothing is changed
        then.
        """
        with self._locked():
            existing = self._known(name.instance)
            self._refuse_departed(name, existing)
            merged = self._defaults
            echoed: dict[str, str] = {}
            if keep and existing is not None:
                # The requested parameters, not the resulting options: the current defaults apply to the others.
                merged.update(requested_options(existing.parameters))
                echoed.update(existing.parameters)
            merged.update(options)
            echoed.update(parameters)
            if runs and existing is not None:
                merged |= stay_on_route(existing, merged, options)
            self._check(name, merged)
            # A port outside today's range (the settings changed) would be refused by the slice.
            stays = existing is not None and (runs or self._in_range(existing.port))
            port = (
                existing.port
                if existing is not None and stays
                else self._ports.free(name.instance, *self._port_range)
            )
            account = existing or Account(name, port)
            account = replace(account, port=port, epoch=max(epoch, account.epoch))
            return self._write(replace(account, desired=Desired.STARTED, options=merged, parameters=echoed))

    def add(
        self,
        name: AccountName,
        options: Mapping[str, str],
        parameters: Mapping[str, str],
        epoch: int = 1,
        arrived: str = "",
        adopted: int = 0,
    ) -> Account:
        """Register a new account that is not to run yet. Raises as ``start``, and AccountExists.

        An account that has moved away may return in a later ``epoch``, else StaleEpoch is raised.
        """
        with self._locked():
            if self.paths.account_file(name.instance).exists():
                raise AccountExists(
                    N_("there is an account {account} already"),
                    N_("choose another name, or change its options"),
                    account=str(name),
                )
            self._refuse_departed(name, None, epoch)
            merged = {**self._defaults, **options}
            self._check(name, merged)
            port = self._ports.free(name.instance, *self._port_range)
            account = Account(name, port, Desired.STOPPED, merged, dict(parameters), epoch=epoch)
            account = replace(account, arrived=arrived, adopted=adopted)
            written = self._write(account)
            # After the record is written: without it and without the account, an old copy would be accepted.
            self.paths.gone_file(name.instance).unlink(missing_ok=True)
            return written

    def change(self, instance: str, set_: Mapping[str, str], unset: Collection[str], runs: bool = False) -> Account:
        """Store other options with an account; others stay, those in ``unset`` get their defaults again.

        ``set_`` are the request's values. They apply from its next start. Raises UnknownAccount, BadEnvironmentFile,
        BadOption, TemplateError, OSError, and OtherRoute for an account that ``runs``; nothing is changed then.
        """
        with self._locked():
            account = self.registry.load(instance, overrides=False)
            self._refuse_departed(account.name, account)
            # Under either name where there are two: the later one counts alone.
            other = {SAME.get(name, name) for name in (*unset, *set_)}
            kept = {key: value for key, value in account.parameters.items() if SAME.get(key, key) not in other}
            asked = {**kept, **set_}
            merged = {**self._defaults, **requested_options(asked)}
            if runs:
                merged |= stay_on_route(account, merged, {*set_, *unset})
            self._check(account.name, merged)
            return self._write(replace(account, options=merged, parameters=asked))

    def prepare(self, instance: str) -> Account:
        """Return the account of a unit that is being started, and write its file if it is missing.

        Raises as ``start``, and BadName for an id that only a generated name has: such an account must be started
        by its name once. In a fleet with etcd, raises UnknownAccount if it is missing: the account may be another
        host's, or this one has lost its files.
        """
        with self._locked():
            existing = self._known(instance)
            if existing is not None:
                return existing
            if is_derived(instance):
                raise BadName(
                    N_("no account is registered under the generated id {instance}"),
                    N_("start it by its name: wxctl start NAME"),
                    instance=instance,
                )
            name = parse_name(instance)
            self._refuse_departed(name, None)
            if self.settings.fleet is not None and self.settings.fleet.etcd is not None:
                raise UnknownAccount(
                    N_("account {account} is not on this host"),
                    N_("start it through the controller, which claims it: {command}"),
                    account=name.name,
                    command=command("start", name.name),
                )
            options = self._defaults
            account = Account(name, self._ports.free(instance, *self._port_range), Desired.STARTED, options, {})
            return self._write(account)

    def desire(self, instance: str, desired: Desired) -> Account:
        """Change only the desired state of an account. Raises UnknownAccount or BadEnvironmentFile."""
        with self._locked():
            account = self.registry.load(instance, overrides=False)
            if desired is Desired.STARTED:
                self._refuse_departed(account.name, account)
            return self._write(replace(account, desired=desired))

    def log_out(self, instance: str) -> None:
        """Make the next process of an account delete its login. Raises UnknownAccount or BadEnvironmentFile."""
        with self._locked():
            account = self.registry.load(instance, overrides=False)
            self._write(replace(account, logged_out=secrets.token_hex(8)))

    def raise_epoch(self, instance: str, epoch: int) -> None:
        """Have an account in an epoch from now on, unless it is in a later one.

        Raises UnknownAccount or BadEnvironmentFile.
        """
        with self._locked():
            account = self.registry.load(instance, overrides=False)
            if account.epoch < epoch:
                self._write(replace(account, epoch=epoch))

    def claim(self, instance: str, epoch: int) -> None:
        """Have an account in an epoch that no other host knows, as after an adoption; a move of it is forgotten.

        Raises UnknownAccount or BadEnvironmentFile.
        """
        with self._locked():
            account = self.registry.load(instance, overrides=False)
            self._write(replace(account, epoch=epoch, adopted=epoch, leaving=None, arrived=""))

    def leave(self, instance: str, leaving: Leaving | None) -> Account:
        """Mark an account as being moved away, and not to run; or with None take the mark from it.

        Raises UnknownAccount or BadEnvironmentFile.
        """
        with self._locked():
            account = self.registry.load(instance, overrides=False)
            ran = leaving is None and account.leaving is not None and account.leaving.ran
            return self._write(replace(account, leaving=leaving, desired=Desired.STARTED if ran else Desired.STOPPED))

    def has_left(self, account: Account, at: int) -> None:
        """Note where an account is that is removed here because it has moved. Raises OSError."""
        assert account.leaving is not None
        with self._locked():
            # The import there has raised its epoch by one.
            gone = Gone(account.name, account.leaving.to, account.epoch + 1, at)
            gone.write(self.paths.gone_file(account.name.instance))

    def remove(self, instance: str) -> None:
        """Remove an account: its file, a preserved unusable one, and the reservation of its port."""
        with self._locked():
            path = self.paths.account_file(instance)
            path.unlink(missing_ok=True)
            aside(path).unlink(missing_ok=True)
            sync(path.parent)  # or the account would be back after a power cut

    def apply_settings(self) -> list[str]:
        """Write the present webhook_targets and limits into all accounts' files; return the ids of the changed ones.
        A file that cannot be read or written is logged and not changed.
        """
        changed: list[str] = []
        with self._locked():
            for instance in self.registry.instances():
                try:
                    account = self.registry.load(instance, overrides=False)
                    governed = self._governed(account)
                    if governed != account:
                        before = self.paths.account_file(instance).read_bytes()
                        self._write(account)
                        # The template may set its own limits.
                        if self.paths.account_file(instance).read_bytes() != before:
                            changed.append(instance)
                except (WxError, OSError) as problem:
                    log.error("account %s keeps its %s and limits: %s", instance, TARGETS, problem)
        return changed

    def _check(self, name: AccountName, options: Mapping[str, str]) -> None:
        """Raise BadOption for options that do not fit together, or that the settings or the account's file forbid."""
        refuse_takeover(name, options)
        targets = self.settings.webhook_targets
        try:
            found = variables_in(self.paths.override_file(name.instance), root_owned=True) or {}
            own = found.get(OPTIONS[TARGETS].key)
        except OSError:
            # The administrator's file may be root's alone: systemd reads it, and the account's own process checks
            # each address again.
            return
        if own is not None:
            try:
                targets = Targets.parse(own.split())
            except ValueError as problem:
                raise BadOption(
                    N_("account {account}: {variable} {problem}"),
                    N_("correct {file}"),
                    account=str(name),
                    variable=OPTIONS[TARGETS].key,
                    problem=reason_of(problem),
                    file=self.paths.override_file(name.instance),
                ) from None
        for option in ("post_api", "poll_api"):
            targets.check(str(name), option, options.get(option, ""))

    def _refuse_departed(self, name: AccountName, account: Account | None, epoch: int = 0) -> None:
        """Raise AccountMoving for an account on its way to another host, AccountMoved for one that has gone there."""
        if account is not None and account.leaving is not None:
            raise account.leaving.refused(name.name)
        file = self.paths.gone_file(name.instance)
        if account is None and (gone := gone_from(file, name)) is not None:
            gone.refuse(file, epoch)

    def _known(self, instance: str) -> Account | None:
        try:
            return self.registry.load(instance, overrides=False)
        except UnknownAccount:
            return None
        except BadEnvironmentFile as problem:
            # The account starts with a new file; the unusable one is renamed and kept for the administrator.
            path = self.paths.account_file(instance)
            kept = aside(path)
            log.error("account %s: %s; kept as %s and replaced", instance, problem, kept)
            with contextlib.suppress(FileNotFoundError):
                path.replace(kept)
            return None

    def _write(self, account: Account) -> Account:
        """Write an account's file, with the settings applied, and return the account."""
        account = self._governed(account)
        content = render_account(account, self.paths, self.settings.template_path)
        replace_file(self.paths.account_file(account.name.instance), content.encode(), _MODE, durable=True)
        return account

    def _governed(self, account: Account) -> Account:
        """Return an account with the current settings for all accounts: webhook_targets and limits."""
        targets, limits = str(self.settings.webhook_targets), self.settings.limits.for_accounts()
        options = {name: value for name, value in account.options.items() if name != TARGETS}
        return replace(
            account,
            options={**options, TARGETS: targets} if targets else options,
            limits={name: shown(number) for name, number in limits.items()},
        )

    @property
    def _defaults(self) -> dict[str, str]:
        """The settings' options of accounts."""
        urls = {"post_api": self.settings.post_api} if self.settings.post_api else {}
        return {**self.settings.client, **urls}

    @property
    def _port_range(self) -> tuple[int, int]:
        return self.settings.backend_start_port, self.settings.backend_end_port

    def _in_range(self, port: int) -> bool:
        first, last = self._port_range
        return first <= port <= last

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.paths.accounts.mkdir(mode=0o750, parents=True, exist_ok=True)
        # Never removed: one that waits for a removed file and one that creates a new file would both have it.
        path = self.paths.accounts / ".lock"
        # Root locks it, too, in the controller's directory.
        descriptor = os.open(path, os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "rb") as lock:
            end = time.monotonic() + LOCK_SECONDS
            while True:
                try:
                    # Between processes: wxcontroller and wxclient-prepare both
                    # register accounts. The kernel releases it with the process.
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > end:
                        raise WxError(
                            N_("another process has locked the registry of accounts for more than {seconds} s"),
                            N_("find the process, and check whether it hangs: fuser -v {file}"),
                            seconds=f"{LOCK_SECONDS:g}",
                            file=path,
                        ) from None
                time.sleep(_LOOK_SECONDS)
            yield


def stay_on_route(account: Account, options: Mapping[str, str], named: Collection[str]) -> dict[str, str]:
    """Return the option ``driver`` of an account that runs: its route changes only while it is stopped.

    Raises OtherRoute if ``options`` have another one because a request ``named`` it. A changed default applies from
    the next start.
    """
    wanted = options.get("driver", OPTIONS["driver"].default)
    if wanted != account.driver and "driver" in named:
        raise OtherRoute(
            N_("account {account} is running with driver={driver}; its driver changes only while it is stopped"),
            N_("stop it first: wxctl stop {account}"),
            account=account.name.name,
            driver=account.driver,
        )
    return {"driver": account.driver} if wanted != account.driver else {}


def aside(path: Path) -> Path:
    """Return the path at which the damaged file of an account is kept."""
    return path.with_suffix(".env.broken")


def requested_options(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the options among stored parameters; one that has become invalid since is left out, and logged."""
    found: dict[str, str] = {}
    for name, value in parameters.items():
        if name in OPTIONS:
            try:
                found.update(check_options([(name, value)]).options)
            except BadOption as problem:
                log.warning("a stored option is no longer valid: %s", problem)
    return found


def refuse_takeover(name: AccountName, options: Mapping[str, str]) -> None:
    """Raise BadOption for takeover by any host if the route's login is bound to an address."""
    driver = options.get("driver", OPTIONS["driver"].default)
    if options.get("takeover") == TakeoverPolicy.ANY and driver not in ANY_ADDRESS:
        raise BadOption(
            N_(
                "account {account}: takeover=any is only for driver=ilink, because WeChat ties a web session to its "
                "address"
            ),
            N_("use takeover=same-egress or takeover=hold"),
            account=str(name),
        )
