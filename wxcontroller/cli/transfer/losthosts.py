"""The checks of ``wxctl adopt``: which accounts it adopts, and whether their host is lost.

That the other host is off cannot be detected: a person has to confirm it. Before that, all known facts are checked: a
host that responds and has the account keeps it.
"""

from collections.abc import Sequence
from unicodedata import normalize

from wxcontroller.cli.api import Api
from wxcontroller.cli.context import WxctlRun
from wxcontroller.cli.errors import BadUsage, MachineUnreachable, NoResponse
from wxcontroller.cli.lifecycle import confirm
from wxcontroller.cli.localtime import local_time
from wxcontroller.cli.transfer.adoption import Adoption
from wxcontroller.cli.transfer.bundles import known_bundles
from wxcontroller.cli.transfer.moving import fleet_passphrase, hold_move_lock
from wxcontroller.cli.transfer.preconditions import PATHS, at_home, disk_errors
from wxcontroller.cli.transfer.remotehost import host_named
from wxcontroller.cli.work import ActionWatch, Work, is_pattern, matches_account, run
from wxcontroller.core.commands import command
from wxcontroller.core.errors import AccountExists, AccountMoved, ControllerUnreachable, UnknownAccount, WxError
from wxcontroller.core.jsontypes import JsonObject, integer, obj, one_line
from wxcontroller.core.messages import N_, Text
from wxcontroller.core.names import AccountName, parse_name
from wxcontroller.core.settings import load_settings
from wxcontroller.fleet.standby import KeptBundle


def adopted(session: WxctlRun, names: Sequence[str], yes: bool, start: bool | None) -> None:
    """Run ``wxctl adopt``; ``start``: whether to start the accounts, None: if they ran. Raises WxError."""
    at_home(session)
    fleet = load_settings(PATHS).settings.fleet
    if fleet is None:
        raise BadUsage(N_("this host is not part of a fleet"), N_("see the table [fleet] in wxcontroller.toml(5)"))
    secret = fleet_passphrase()
    names = [normalize("NFC", pattern) for pattern in names]
    bundles = chosen_bundles(names, secret)
    with hold_move_lock():
        for instance, bundle in bundles.items():
            require_lost(bundle, fleet.name, bundle.name in names or instance in names)

        def ask(api: Api, accounts: list[AccountName]) -> None:
            if not yes:
                _ask(api, accounts, bundles)

        def act(api: Api, name: AccountName, watch: ActionWatch) -> JsonObject:
            bundle = bundles[name.instance]
            return Adoption(api, bundle, secret, start, lambda each: require_lost(each, fleet.name)).run()

        def finish(name: AccountName, result: JsonObject) -> tuple[JsonObject, Text]:
            words = N_(
                "{account} is adopted from host {host} as it was at {when}, with epoch {epoch}; its standby host is "
                "this one: name another by {command}"
            )
            bundle = bundles[name.instance]
            epoch = integer(result.get("epoch"))
            another = command("set", name.name, "standby=HOST")
            text = Text(words, account=name.name, host=bundle.host, when=_when(bundle), epoch=epoch, command=another)
            return result, text

        run(session, [bundle.name for bundle in bundles.values()], Work(act, finish), ask)


def require_lost(bundle: KeptBundle, host: str, is_named: bool = True) -> None:
    """Raise WxError if a bundle's host responds and has the account, or has moved it to another than ``host``.

    An account that it has no longer may have been removed: to restore that one, it has to be named.
    """
    name = parse_name(bundle.name)
    try:
        there = host_named(bundle.host).arrival(name)
    except (BadUsage, MachineUnreachable):  # the first: it is not in the settings any more
        return
    except (ControllerUnreachable, NoResponse) as problem:  # refused, frozen or misconfigured: its accounts may run
        raise WxError(
            N_("the machine of host {host} is running: {reason}"),
            N_(
                "turn it off if it is lost, or remove the host from [fleet.hosts] if its address is another machine's"
            ),
            host=bundle.host,
            reason=problem.text,
        ) from None
    gone = obj(there.get("gone"))
    if there.get("account") is not None:
        raise AccountExists(
            N_("host {hosts} responds and has account {account}"),
            N_("move it from there: wxctl move"),
            account=name.name,
            hosts=bundle.host,
        )
    if gone and gone.get("to") != host:
        raise AccountMoved(
            N_("account {account} has moved to host {host}"),
            N_("adopt it from a bundle of that host"),
            account=name.name,
            host=one_line(gone.get("to")),
        )
    if not is_named and not gone:
        raise UnknownAccount(
            N_("host {host} responds and no longer has account {account}"),
            N_("to restore it anyway: {command}"),
            account=name.name,
            host=bundle.host,
            command=command("adopt", name.name),
        )


def _ask(api: Api, accounts: list[AccountName], bundles: dict[str, KeptBundle]) -> None:
    from wxcontroller.cli.terminal import ago, print_rows

    chosen = [bundles[name.instance] for name in accounts]
    titles = N_("ACCOUNT"), N_("FROM"), N_("BUNDLE"), N_("AGE"), N_("EPOCH"), N_("SIZE")
    rows = [
        (each.name, each.host, _when(each), ago(each.at), str(each.epoch), f"{each.size / (1 << 20):.1f} MB")
        for each in chosen
    ]
    print_rows(titles, rows, wraps="FROM")
    hosts = ", ".join(sorted({each.host for each in chosen}))
    question = Text(
        N_(
            "Messages received since then are lost unless the host comes back. Messages that waited to be sent end "
            "as unknown. If an account still runs there, both hosts lose the login. Is {hosts} off for good?"
        ),
        hosts=hosts,
    )
    names = ", ".join(each.name for each in chosen)
    confirm(api, [], question, Text(N_("not adopted: {names}"), names=names))


def _when(bundle: KeptBundle) -> str:
    return local_time(bundle.at, "%Y-%m-%d %H:%M")


def chosen_bundles(names: Sequence[str], secret: bytes) -> dict[str, KeptBundle]:
    """Return the bundles that names and patterns mean. Raises UnknownAccount, AccountExists for one that is here."""
    with disk_errors(PATHS.standby_kept):
        kept = known_bundles(PATHS, lambda: secret)
    found: dict[str, KeptBundle] = {}
    for pattern in (normalize("NFC", name) for name in names):
        fitting = {
            instance: bundle for instance, bundle in kept.items() if matches_account(pattern, bundle.name, instance)
        }
        if not fitting and not is_pattern(pattern) and PATHS.account_file(parse_name(pattern).instance).exists():
            raise AccountExists(
                N_("account {given} is on this host already"),
                N_("start it if it does not run: {command}"),
                given=pattern,
                command=command("start", pattern),
            )
        if not fitting:
            raise UnknownAccount(
                N_("there is no standby bundle of {given} on this host"),
                N_("wxctl fleet shows the bundles"),
                given=pattern,
            )
        found |= fitting
    return found
