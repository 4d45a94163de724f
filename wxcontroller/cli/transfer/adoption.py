"""An account of a lost host, from its standby bundle on this one: what ``wxctl claim`` and takeovers have in common.

The account gets the next epoch, so that its former host, once it is back, does not log in with its copy. Waiting
messages are not sent (client/store/sendstore.py), as the former host may have sent them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.transfer.bundles import known_bundles
from wxcontroller.cli.transfer.copy.pack import Manifest
from wxcontroller.cli.transfer.copy.preconditions import PATHS, disk_errors
from wxcontroller.cli.transfer.copy.seal import Locked
from wxcontroller.cli.transfer.importing import take_in
from wxcontroller.core.errors import UnknownAccount, WxError
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.names import AccountName, parse_name
from wxcontroller.core.states import TakeoverPolicy
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_
from wxcontroller.fleet.standby import KeptBundle


@dataclass(frozen=True, slots=True)
class Adoption:
    """One account's adoption. ``require_lost`` raises WxError if the bundle's host is not lost.

    ``start``: whether to start the account, None: if it ran. ``check`` may refuse the bundle by its header.
    """

    api: Api
    bundle: KeptBundle
    passphrase: bytes = field(repr=False)
    start: bool | None
    require_lost: Callable[[KeptBundle], None]
    check: Callable[[Manifest], None] = lambda _: None

    def run(self) -> JsonObject:
        """Import the account, and start it if it is to run; return it as the controller shows it. Raises WxError."""
        name = parse_name(self.bundle.name)
        self._refuse_returned(name)
        file = PATHS.standby_bundle(name.instance)
        with disk_errors(file):
            source = file.open("rb")
        with source:
            account, found = take_in(
                self.api, source, lambda: self.passphrase, False, self._check, this_host=True, adopts=True
            )
        if self.start if self.start is not None else found.manifest.ran:
            account = started(self.api, name)
        return {**account, "from": self.bundle.host, "at": self.bundle.at}

    def _refuse_returned(self, name: AccountName) -> None:
        """Raise WxError if the host is back: the question may have been open for a long time."""
        self.require_lost(self.bundle)
        if self.api.arrival(name).get("standby_under_way") is True:
            raise WxError(
                N_("host {host} is sending a bundle of account {account}"),
                N_("turn the machine off if the host is lost, then run wxctl claim again in a minute"),
                account=self.bundle.name,
                host=self.bundle.host,
            )
        kept = known_bundles(PATHS, lambda: self.passphrase).get(name.instance, self.bundle)
        if kept != self.bundle:
            raise WxError(
                N_("host {host} has sent a newer bundle of account {account} meanwhile"),
                N_("turn the machine off if the host is lost, then run wxctl claim again"),
                account=self.bundle.name,
                host=kept.host,
            )

    def _check(self, manifest: Manifest) -> None:
        if (manifest.name.name, manifest.host) != (self.bundle.name, self.bundle.host):
            raise Locked(
                N_("this is not a standby bundle of account {account}"),
                N_("nothing was imported"),
                account=self.bundle.name,
            )
        self.check(manifest)


def started(api: Api, name: AccountName) -> JsonObject:
    """Start an account that is on this host now; return it as the controller shows it. Raises WxError."""
    try:
        return api.start(name, {}).raw
    except WxError as problem:
        raise WxError(
            N_("{account} is on this host now and does not start: {reason}"),
            N_("fix that, then: {command}"),
            account=name.name,
            reason=problem.text,
            command=command("start", name.name),
        ) from None


def taken_over(api: Api, instance: str, secret: bytes) -> JsonObject:
    """Adopt an account whose host has lost its lease in etcd, for the controller, which has claimed it there.

    The account is not started. The controller may be compromised: it can request this only for accounts with a
    takeover policy. Raises WxError.
    """
    with disk_errors(PATHS.standby_kept):
        bundle = known_bundles(PATHS, lambda: secret).get(instance)
    if bundle is None:
        raise UnknownAccount(
            N_("there is no standby bundle of {given} on this host"),
            N_("wxctl fleet shows the bundles"),
            given=instance,
        )
    return Adoption(api, bundle, secret, False, lambda _: None, refuse_held).run()


def refuse_held(manifest: Manifest) -> None:
    """Raise Locked for an account that only a person may adopt."""
    if manifest.takeover not in (TakeoverPolicy.ANY, TakeoverPolicy.SAME_EGRESS):
        raise Locked(
            N_("the bundle of account {account} does not allow a takeover (its option takeover)"),
            N_("if its host is off for good: {claim}"),
            account=manifest.name.name,
            claim=command("claim", manifest.name.name),
        )
