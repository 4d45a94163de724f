"""What wxcontroller-standby.service runs: sends bundles of accounts that have a standby host and have changed.

It goes through the accounts one after the other and ends; a timer starts it again. So there is one bundle at a time,
and the timer's pause is the shortest one between two of an account. Two more rules bound what this costs: an account
whose bundle takes long is sent seldom, and all of them together take at most a quarter of the time.

It can read what accounts have stored and reaches nothing but this host's controller, which passes sealed bundles on.
"""

import hashlib
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from wxcontroller.cli.api import Api
from wxcontroller.cli.context import DEFAULT_URL
from wxcontroller.cli.errors import Unanswered
from wxcontroller.cli.transfer.home import PATHS
from wxcontroller.cli.transfer.pack import CREDENTIALS, secret_file
from wxcontroller.cli.transfer.receiving import passphrase
from wxcontroller.cli.transfer.sending import SealedAccount
from wxcontroller.cli.transfer.snapshot import INDEX
from wxcontroller.core.account import Account
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import integer
from wxcontroller.core.materialise import AccountFiles
from wxcontroller.core.messages import NOTHING
from wxcontroller.core.paths import Paths
from wxcontroller.core.settings import load_settings
from wxcontroller.fleet.standby import SentBundle, sent_bundles, write_sent

# Of an account: a bundle takes at most a twentieth of the time. Of all of them: a quarter.
_ACCOUNT_SHARE, _SHARE = 20, 4
_LONGEST_PAUSE = 60.0


def main() -> int:
    """Send what has changed; say on standard error what could not be sent."""
    try:
        fleet = load_settings(PATHS).settings.fleet
        if fleet is None:
            return 0
        api = Api(os.environ.get("WXCTL_URL") or DEFAULT_URL)
        StandbyRound(api, PATHS, fleet.name, passphrase()).run()
    except (WxError, OSError) as problem:
        sys.stderr.write(f"{problem}\n")
        return problem.exit_code if isinstance(problem, WxError) else 1
    return 0


@dataclass(frozen=True, slots=True)
class StandbyRound:
    """One round through the accounts of this ``host``."""

    api: Api
    paths: Paths
    host: str
    passphrase: bytes
    pause: Callable[[float], None] = time.sleep

    def run(self) -> None:
        """Send a bundle of each account that has changed and whose turn it is. Raises OSError."""
        before = sent_bundles(self.paths)
        wanted = {
            account.name.instance: (account, to)
            for account in AccountFiles(self.paths).all()
            if (to := account.options.get("standby", "")) and to != self.host and account.leaving is None
        }
        sent = {instance: each for instance, each in before.items() if instance in wanted}
        write_sent(self.paths, sent)  # also says that this runs
        down: set[str] = set()
        for instance, (account, to) in wanted.items():
            bundle = sent.get(instance)
            if bundle is None or (bundle.to, bundle.epoch) != (to, account.epoch):
                bundle = SentBundle(to, account.epoch)
            sent[instance] = self._looked_after(account, bundle, down)
            if sent[instance] != before.get(instance):
                write_sent(self.paths, sent)
            if sent[instance].at != bundle.at:
                self.pause(min(_LONGEST_PAUSE, sent[instance].took * (_SHARE - 1)))

    def _looked_after(self, account: Account, bundle: SentBundle, down: set[str]) -> SentBundle:
        """Send an account's bundle, if it is due; return what is known of it then."""
        now, digest = int(time.time()), digest_of(account, self.paths)
        if digest == bundle.digest:
            return replace(bundle, changed=0, reason=NOTHING)
        bundle = replace(bundle, changed=bundle.changed or now)
        if 0 <= now - bundle.tried < bundle.took * _ACCOUNT_SHARE or bundle.to in down:
            return bundle
        # A clock that was set back must not make this bundle look older than the last one.
        made = max(now, bundle.at + 1)
        began = time.monotonic()
        sealed = SealedAccount(account, self.passphrase, made, self.host, self.paths)
        try:
            there = self.api.standby(account.name, bundle.to, sealed.pieces)
        except WxError as problem:
            problem = sealed.problem or problem
            if isinstance(problem, Unanswered):  # the others for this host can wait, too
                down.add(bundle.to)
            sys.stderr.write(f"{account.name}: {problem}\n")
            return replace(bundle, tried=now, reason=problem.text)
        took = math.ceil(time.monotonic() - began)
        size = integer(there.get("bytes"))
        return SentBundle(bundle.to, bundle.epoch, made, size, digest, now, took, 0, NOTHING)


def digest_of(account: Account, paths: Paths) -> str:
    """Return what stands for all that a bundle of an account has: another one after each change."""
    instance = account.name.instance
    found = hashlib.sha256(paths.account_file(instance).read_bytes())
    private = paths.private_state(instance)
    files = [paths.override_file(instance), *(secret_file(paths, instance, each) for each in CREDENTIALS)]
    for directory, _, names in os.walk(private):
        files += [Path(directory, name) for name in names if name != INDEX]
    for file in sorted(files):
        try:
            facts = file.lstat()
        except FileNotFoundError:
            continue
        found.update(f"{file} {facts.st_size} {facts.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return found.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
