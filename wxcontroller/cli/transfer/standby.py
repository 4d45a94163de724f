"""The program of wxcontroller-standby.service: sends bundles of accounts that have a standby host and have changed.

It looks at all accounts, sends the bundles that are due one after the other and ends; a timer starts it again. So
there is one bundle at a time, and the timer's pause is the shortest one between two of an account. Two more rules
bound what this costs, also when sending fails: an account whose bundle takes long is sent seldom, and after each
bundle there is a pause.

Accounts and other hosts may be compromised. A problem of one of them does not delay other accounts: it is recorded as
the reason why that account has no newer bundle, each bundle has a time limit, and the ones that were tried longest
ago come first.

It has an account's files read by a unit with the account's user (``exportunit``), and can connect only to this host's
controller, which forwards sealed bundles.
"""

import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from wxcontroller.cli.clierrors import NoResponse
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.context import DEFAULT_URL
from wxcontroller.cli.transfer.bundles import SPARE_BYTES
from wxcontroller.cli.transfer.copy.changes import BundleFacts, bundle_facts
from wxcontroller.cli.transfer.copy.exportunit import OpenReader, read_by_unit
from wxcontroller.cli.transfer.copy.preconditions import PATHS, disk_problem
from wxcontroller.cli.transfer.receiving import passphrase
from wxcontroller.cli.transfer.sending import SealedAccount
from wxcontroller.core.config.settings import load_settings
from wxcontroller.core.errors import AccountExists, StaleEpoch, UnknownAccount, WxError
from wxcontroller.core.jsontypes import JsonObject, integer, obj
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import Account
from wxcontroller.core.registry.accountfiles import AccountFiles
from wxcontroller.core.text.templates import N_
from wxcontroller.fleet.standby import SentBundle, sent_bundles, write_sent

# The bundles of one account take at most a twentieth of the time, all bundles together a quarter, if they are quick.
_ACCOUNT_SHARE, _SHARE = 20, 4
_LONGEST_PAUSE = 60.0
# Then the next round checks all accounts again, to know which of them have changed.
_ROUND_SECONDS = 600.0
# An unchanged account is sent again after this time: its standby host may have lost the bundle.
_RESEND_SECONDS = 86400
# The slowest connection, and the longest that a bundle may take: less than the service may run.
_BASE_SECONDS, _SLOWEST, _MAX_SECONDS = 600.0, 256 << 10, 5 * 3600.0


def main() -> int:
    """Send changed accounts; report failures on standard error."""
    try:
        fleet = load_settings(PATHS).settings.fleet
        if fleet is None:
            raise WxError(N_("this host is not part of a fleet"), N_("see the table [fleet] in wxcontroller.toml(5)"))
        api = Api(os.environ.get("WXCTL_URL") or DEFAULT_URL)
        StandbyRound(api, PATHS, fleet.name, passphrase()).run()
    except (WxError, OSError) as problem:
        sys.stderr.write(f"{problem}\n")
        return problem.exit_code if isinstance(problem, WxError) else 1
    return 0


@dataclass(slots=True)
class StandbyRound:
    """One round through the accounts of this ``host``."""

    api: Api
    paths: Paths
    host: str
    passphrase: bytes
    pause: Callable[[float], None] = time.sleep
    read: OpenReader = read_by_unit
    _sent: dict[str, SentBundle] = field(init=False, default_factory=dict)
    _due: dict[str, BundleFacts] = field(init=False, default_factory=dict)
    _down: set[str] = field(init=False, default_factory=set)  # hosts that do not respond

    def run(self) -> None:
        """Send a bundle of each account that has changed and whose turn it is. Raises OSError."""
        before = sent_bundles(self.paths)
        for instance in AccountFiles(self.paths).instances():
            self._look(instance, before.get(instance))
        # Only after all were checked: its time is that of the last complete check.
        self._note()
        end = time.monotonic() + _ROUND_SECONDS
        for instance in sorted(self._due, key=lambda each: self._sent[each].tried):
            if time.monotonic() < end and self._has_turn(self._sent[instance]):
                self._serve(instance)

    def _look(self, instance: str, bundle: SentBundle | None) -> None:
        """Determine whether an account needs a bundle; ``bundle`` is its last one."""
        now = int(time.time())
        try:
            account = AccountFiles(self.paths).load(instance)
            if not (to := standby_host(account)) or to == self.host:
                return
            if bundle is None or not is_of(bundle, account):
                bundle = SentBundle(to, account.epoch, changed=now)
            look = bundle_facts(account, self.paths)
        except UnknownAccount:  # removed since the listing
            return
        except (WxError, OSError) as problem:
            if bundle is not None:
                self._sent[instance] = self._failed(instance, bundle, problem)
            return
        self._sent[instance] = bundle
        # A negative age means that the clock was set back. The bundle then counts as old: otherwise the account would
        # wait until the clock has caught up.
        is_old = not 0 <= now - bundle.tried < _RESEND_SECONDS
        if bundle.changed or bundle.digest != look.digest or is_old:
            self._sent[instance] = replace(bundle, changed=bundle.changed or now)
            self._due[instance] = look

    def _has_turn(self, bundle: SentBundle) -> bool:
        # A clock that was set back must not hold it up.
        is_soon = 0 <= int(time.time()) - bundle.tried < bundle.took * _ACCOUNT_SHARE
        return not is_soon and bundle.to not in self._down

    def _serve(self, instance: str) -> None:
        """Try to send an account's bundle, note the result, and pause."""
        bundle = replace(self._sent[instance], tried=int(time.time()))
        self._sent[instance] = bundle
        self._note()  # first: one that ends this program is tried last by the next round
        began = time.monotonic()
        try:
            bundle = self._deliver(instance, bundle)
        except (WxError, OSError) as problem:
            bundle = self._failed(instance, bundle, problem)
        took = time.monotonic() - began
        self._sent[instance] = replace(bundle, took=max(1, math.ceil(took)))
        self._note()
        self.pause(min(_LONGEST_PAUSE, took * (_SHARE - 1)))

    def _deliver(self, instance: str, bundle: SentBundle) -> SentBundle:
        """Send an account's bundle; return it. Raises WxError and OSError."""
        account, look = AccountFiles(self.paths).load(instance), self._due[instance]
        if not is_of(bundle, account):  # changed since it was looked at: the next round knows
            return bundle
        require_acceptance(self.api.arrival(account.name, bundle.to), account, bundle.to, look.size)
        # A clock that was set back must not make this bundle look older than the last one.
        made = max(bundle.tried, bundle.at + 1)
        sealed = SealedAccount(
            account, self.passphrase, made, self.host, self.paths, has_run=bundle.files > 0, read=self.read
        )
        seconds = min(_MAX_SECONDS, _BASE_SECONDS + look.size / _SLOWEST)
        try:
            there = self.api.standby(account.name, bundle.to, lambda: in_time(sealed.pieces(), seconds, bundle.to))
        except WxError as problem:
            raise sealed.problem or problem from None
        size, files = integer(there.get("bytes")), sealed.packed.files
        return replace(bundle, at=made, size=size, digest=look.digest, files=files, changed=0, why={})

    def _failed(self, instance: str, bundle: SentBundle, problem: WxError | OSError) -> SentBundle:
        """Return the note for a bundle that could not be made or sent."""
        if isinstance(problem, NoResponse):  # the others for this host can wait, too
            self._down.add(bundle.to)
        if not isinstance(problem, WxError):
            problem = disk_problem(problem.filename or self.paths.private_state(instance), problem)
        sys.stderr.write(f"{instance}: {problem}\n")
        return replace(bundle, changed=bundle.changed or int(time.time()), why=problem.text.as_json())

    def _note(self) -> None:
        try:
            write_sent(self.paths, self._sent)
        except OSError as problem:  # a full disk here is when the bundles are needed most
            sys.stderr.write(f"{disk_problem(self.paths.standby_sent, problem)}\n")


def standby_host(account: Account) -> str:
    """Return the host that is to have an account's bundles, "" for none."""
    return account.options.get("standby", "") if account.leaving is None else ""


def is_of(bundle: SentBundle, account: Account) -> bool:
    """Return whether a bundle is for the host and of the epoch that the account has now."""
    return (bundle.to, bundle.epoch) == (standby_host(account), account.epoch)


def require_acceptance(there: JsonObject, account: Account, to: str, size: int) -> None:
    """Raise WxError for a bundle that its host would refuse, according to its answer about the account."""
    name = account.name.name
    if there.get("receiving") is not True:
        raise WxError(
            N_("host {host} does not receive bundles"),
            N_("run there as root: systemctl enable --now wxcontroller-receive.socket"),
            host=to,
        )
    if there.get("account") is not None:
        raise AccountExists(
            N_("host {host} has an account {account}, too"),
            N_("remove it on one of the hosts"),
            host=to,
            account=name,
        )
    if integer(obj(there.get("gone")).get("epoch")) > account.epoch:
        raise StaleEpoch(
            N_("account {account} has moved away from host {host} in a later epoch"),
            N_("see: wxctl fleet"),
            account=name,
            host=to,
        )
    if integer(there.get("free")) < size + SPARE_BYTES:
        raise WxError(
            N_("host {host} has only {free} MB of free disk space, too little for the bundle"),
            N_("free some space there"),
            host=to,
            free=integer(there.get("free")) >> 20,
        )


def in_time(pieces: Iterable[bytes], seconds: float, to: str) -> Iterator[bytes]:
    """Yield the bytes sent to a host. Raises NoResponse once that takes too long."""
    end = time.monotonic() + seconds
    for piece in pieces:
        if time.monotonic() > end:
            raise NoResponse(
                N_("sending a bundle to host {host} took longer than {seconds} seconds"),
                N_("check the connection to it"),
                host=to,
                seconds=int(seconds),
            )
        yield piece


if __name__ == "__main__":
    sys.exit(main())
