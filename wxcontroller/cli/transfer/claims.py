"""The verb claim: an account runs on this host from what it has of it, after another host is lost.

That the other host is off cannot be detected: a person has to confirm it. Before that, all known facts are checked: a
host that responds and has the account keeps it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from unicodedata import normalize

from wxcontroller.cli.clierrors import BadUsage, MachineUnreachable, NoResponse
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.context import WxctlRun
from wxcontroller.cli.language import say, tell
from wxcontroller.cli.localtime import local_time
from wxcontroller.cli.transfer.adoption import Adoption, started
from wxcontroller.cli.transfer.bundles import known_bundles
from wxcontroller.cli.transfer.copy.directory import MOST_FILES, entries_below
from wxcontroller.cli.transfer.copy.pack import Manifest, manifest_in
from wxcontroller.cli.transfer.copy.passphrase import passphrase
from wxcontroller.cli.transfer.copy.preconditions import PATHS, at_home, disk_errors
from wxcontroller.cli.transfer.copy.seal import Opener
from wxcontroller.cli.transfer.importing import export_file, refuse_bundle, take_in
from wxcontroller.cli.transfer.moving import fleet_passphrase, hold_move_lock
from wxcontroller.cli.transfer.remotehost import host_named
from wxcontroller.cli.verbs.account.lifecycle import confirm
from wxcontroller.cli.work import ActionWatch, Work, is_pattern, matches_account, run
from wxcontroller.core.config.settings import load_settings
from wxcontroller.core.errors import AccountExists, AccountMoved, ControllerUnreachable, UnknownAccount, WxError
from wxcontroller.core.jsontypes import JsonObject, integer, obj, objects, one_line, text
from wxcontroller.core.names import AccountName, parse_name
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, Text
from wxcontroller.fleet.standby import KeptBundle


@dataclass(frozen=True, slots=True)
class OtherPlace:
    """Another host that may have an account, or has a standby bundle of it (``is_copy``), with the last known epoch.

    ``seen`` is when it responded last, 0 for not known, or if it responds.
    """

    host: str
    epoch: int
    seen: int = 0
    is_copy: bool = False


@dataclass(frozen=True, slots=True)
class HeldCopy:
    """What this host has of an account: a standby bundle, or else its own copy or an export. ``epoch`` and ``at`` are
    that copy's, 0 for not known. ``ran`` counts for its own copy or an export: whether the account is to be started.
    """

    name: AccountName
    kind: Text
    epoch: int
    at: int
    places: tuple[OtherPlace, ...]
    bundle: KeptBundle | None = None
    ran: bool = True

    @property
    def rivals(self) -> tuple[str, ...]:
        """The other hosts that may have the account."""
        return tuple(place.host for place in self.places if not place.is_copy)


@dataclass(frozen=True, slots=True)
class ClaimOptions:
    """What was typed beside the names. ``start``: whether to start the accounts, None: if they ran. ``file`` is an
    export.
    """

    yes: bool
    start: bool | None
    file: str | None = None
    passphrase_file: str | None = None


def claimed(session: WxctlRun, names: Sequence[str], options: ClaimOptions) -> None:
    """Run ``wxctl claim``. Raises WxError."""
    api, host, file = at_home(session), _own_name(), options.file
    if file is not None and (len(names) > 1 or is_pattern(names[0])):
        raise BadUsage(N_("a file has one account"), N_("use: wxctl claim NAME --from FILE"))
    names = [normalize("NFC", pattern) for pattern in names]
    claims = claims_of(api, names, file is not None)
    secret = cache(partial(passphrase, options.passphrase_file, is_new=False))
    if file is not None and file != "-" and not options.yes:
        with export_file(file) as stream:
            head = manifest_in(Opener(stream, secret))
        claims = {key: replace(each, epoch=head.epoch, at=head.exported) for key, each in claims.items()}
    _claim(session, host, claims, names, options, secret)


def forgotten(session: WxctlRun, lost: str, options: ClaimOptions) -> None:
    """Run ``wxctl fleet forget``: claim the accounts of a lost host that this one has. Raises WxError."""
    api, host = at_home(session), _own_name()
    if lost == host:
        raise BadUsage(N_("this is host {host}"), N_("run this on another host, which gets its accounts"), host=host)
    wanted = accounts_of(api, lost)
    with disk_errors(PATHS.standby_kept):
        kept = known_bundles(PATHS, fleet_passphrase)
    here = {
        instance: name
        for instance, (name, _) in wanted.items()
        if instance in kept or PATHS.account_file(instance).exists()
    }
    if absent := ", ".join(name for instance, (name, _) in wanted.items() if instance not in here):
        words = N_("this host has no copy of {accounts}; see wxctl fleet for copies, or use: {command}")
        from_file = command("claim", "NAME", "--from", "FILE")
        tell(Text(words, accounts=absent, command=from_file), err=True)
    if not here:
        raise UnknownAccount(
            N_("this host has no copy of any account of host {host}"),
            N_("wxctl fleet shows its accounts, and which hosts have standby copies"),
            host=lost,
        )
    found = claims_of(api, [*here.values()], False)
    claims = {instance: replace(each, ran=wanted[instance][1]) for instance, each in found.items()}
    _claim(session, host, claims, (), options)


def accounts_of(api: Api, host: str) -> dict[str, tuple[str, bool]]:
    """Return the accounts that a lost host had last: their names, and whether they are to run. Raises WxError."""
    etcd = obj(api.fleet().get("etcd"))
    if etcd:
        rows = objects(etcd.get("accounts"))
        names = {
            one_line(each.get("account")): text(each.get("desired")) for each in rows if each.get("host") == host
        }
    else:
        with disk_errors(PATHS.standby_kept):
            kept = known_bundles(PATHS, fleet_passphrase)
        names = {each.name: "started" for each in kept.values() if each.host == host}
    found = ((parse_name(name), desired) for name, desired in sorted(names.items()))
    return {name.instance: (name.name, desired == "started") for name, desired in found}


def _own_name() -> str:
    if (fleet := load_settings(PATHS).settings.fleet) is None:
        raise BadUsage(N_("this host is not part of a fleet"), N_("see the table [fleet] in wxcontroller.toml(5)"))
    return fleet.name


def _claim(
    session: WxctlRun,
    host: str,
    claims: Mapping[str, HeldCopy],
    names: Sequence[str],
    options: ClaimOptions,
    secret_of: Callable[[], bytes] = bytes,
) -> None:
    """Claim accounts on this ``host`` after one question; ``names`` are those that were typed. Raises WxError."""
    start = options.start
    with hold_move_lock():
        for each in claims.values():
            is_named = each.name.name in names or each.name.instance in names
            _require_lost(each, host, is_named)

        def ask(api: Api, accounts: list[AccountName]) -> None:
            asked = [claims[name.instance] for name in accounts if claims[name.instance].rivals]
            if asked and not options.yes:
                _ask(api, host, asked)

        def act(api: Api, name: AccountName, watch: ActionWatch) -> JsonObject:
            each = claims[name.instance]
            if each.bundle is not None:
                secret = fleet_passphrase()
                return Adoption(api, each.bundle, secret, start, lambda _: _require_lost(each, host)).run()
            _require_lost(each, host)
            if options.file is not None:
                account = _from_file(api, name, options.file, secret_of)
            else:
                # One that only this host has, as far as is known, is as it was.
                account = api.claim(name) if each.rivals else api.arrival(name)
            return started(api, name) if (each.ran if start is None else start) else account

        def finish(name: AccountName, result: JsonObject) -> tuple[JsonObject, Text]:
            epoch = integer(result.get("epoch"))
            if (bundle := claims[name.instance].bundle) is None:
                words = N_("{account} is on this host now, with epoch {epoch}")
                return result, Text(words, account=name.name, epoch=epoch)
            words = N_(
                "{account} is on this host now as it was on {host} at {when}, with epoch {epoch}; its standby host "
                "is this one: name another by {command}"
            )
            another, when = command("set", name.name, "standby=HOST"), _when(bundle.at)
            return result, Text(words, account=name.name, host=bundle.host, when=when, epoch=epoch, command=another)

        run(session, [each.name.name for each in claims.values()], Work(act, finish), ask)


def claims_of(api: Api, names: Sequence[str], is_file: bool) -> dict[str, HeldCopy]:
    """Return what this host has of the accounts that names and patterns mean. Raises UnknownAccount."""
    with disk_errors(PATHS.standby_kept):
        kept = known_bundles(PATHS, fleet_passphrase)
    found: dict[str, HeldCopy] = {}
    for pattern in (normalize("NFC", name) for name in names):
        if not is_pattern(pattern) and (is_file or PATHS.account_file(parse_name(pattern).instance).exists()):
            name = parse_name(pattern)
            known = api.claimable(name)
            kind = Text(N_("an export")) if is_file else Text(N_("a copy"))
            at = 0 if is_file else _changed(name)
            found[name.instance] = HeldCopy(name, kind, integer(known.get("epoch")), at, _places(known))
            continue
        fitting = [bundle for instance, bundle in kept.items() if matches_account(pattern, bundle.name, instance)]
        if not fitting:
            raise UnknownAccount(
                N_("this host has no copy of account {given}"),
                N_("wxctl fleet shows which hosts have standby copies; from an export: {command}"),
                given=pattern,
                command=command("claim", pattern, "--from", "FILE"),
            )
        for bundle in fitting:
            name = parse_name(bundle.name)
            places = _places(api.claimable(name))
            if bundle.host not in {place.host for place in places if not place.is_copy}:
                places = (OtherPlace(bundle.host, bundle.epoch), *places)
            kind = Text(N_("a standby copy"))
            found[name.instance] = HeldCopy(name, kind, bundle.epoch, bundle.at, places, bundle)
    return found


def _places(known: JsonObject) -> tuple[OtherPlace, ...]:
    return tuple(
        OtherPlace(
            one_line(each.get("host")), integer(each.get("epoch")), integer(each.get("down_since")), key == "copies"
        )
        for key in ("rivals", "copies")
        for each in objects(known.get(key))
    )


def _changed(name: AccountName) -> int:
    """Return when the copy of an account on this host has changed last, 0 for none. Raises WxError."""
    place = PATHS.private_state(name.instance)
    with disk_errors(place):
        return int(max((facts.st_mtime for _, facts in entries_below(name, place, MOST_FILES)), default=0))


def _from_file(api: Api, name: AccountName, file: str, secret: Callable[[], bytes]) -> JsonObject:
    """Import an exported account whose other hosts are lost. Raises WxError."""

    def check(manifest: Manifest) -> None:
        refuse_bundle(manifest)
        if manifest.name.instance != name.instance:
            raise BadUsage(
                N_("{file} is an export of account {account}"),
                N_("use: {command}"),
                file=file,
                account=manifest.name.name,
                command=command("claim", manifest.name.name, "--from", file),
            )

    with export_file(file) as stream:
        account, _ = take_in(api, stream, secret, False, check, this_host=True, adopts=True)
    return account


def _require_lost(claim: HeldCopy, host: str, is_named: bool = True) -> None:
    """Raise WxError if one of the other hosts responds and has the account."""
    if claim.bundle is not None:
        require_lost(claim.bundle, host, is_named)
        return
    for rival in claim.rivals:
        _there(rival, claim.name)  # the controller of this host knows which copies of others count


def require_lost(bundle: KeptBundle, host: str, is_named: bool = True, seen: Collection[str] = ()) -> None:
    """Raise WxError if a bundle's host responds and has the account, or the one to which it has moved it.

    An account that it has no longer may have been removed: to restore that one, it has to be named. ``seen`` are the
    hosts that have moved it on.
    """
    name = parse_name(bundle.name)
    if (there := _there(bundle.host, name)) is None:
        return
    gone = obj(there.get("gone"))
    if there.get("account") is not None:
        raise AccountExists(
            N_("host {hosts} responds and has account {account}"),
            N_("use it there, or move it from there: {command}"),
            account=name.name,
            hosts=bundle.host,
            command=command("move", name.name, host),
        )
    if gone and (to := one_line(gone.get("to"))) not in (host, *seen):
        if to in _reachable_names():
            require_lost(replace(bundle, host=to), host, is_named, (*seen, bundle.host))
            return
        raise AccountMoved(
            N_("account {account} has moved to host {host}, which is not in the settings"),
            N_("use it there, or add the host; if it is off for good, delete {file} on host {source}"),
            account=name.name,
            host=to,
            file=PATHS.gone_file(name.instance),
            source=bundle.host,
        )
    if not is_named and not gone:
        raise UnknownAccount(
            N_("host {host} responds and no longer has account {account}"),
            N_("to restore it anyway: {command}"),
            account=name.name,
            host=bundle.host,
            command=command("claim", name.name),
        )


def _reachable_names() -> set[str]:
    fleet = load_settings(PATHS).settings.fleet
    return {each.name for each in fleet.hosts if each.url} if fleet is not None else set()


def _there(host: str, name: AccountName) -> JsonObject | None:
    """Return what a host answers about an account, None if its machine does not respond. Raises WxError."""
    try:
        return host_named(host).arrival(name)
    except (BadUsage, MachineUnreachable):  # the first: it is not in the settings any more
        return None
    except (ControllerUnreachable, NoResponse) as problem:  # refused, frozen or misconfigured: its accounts may run
        raise WxError(
            N_("the machine of host {host} is running: {reason}"),
            N_(
                "turn it off if it is lost, or remove the host from [fleet.hosts] if its address is another machine's"
            ),
            host=host,
            reason=problem.text,
        ) from None


def _ask(api: Api, own: str, claims: list[HeldCopy]) -> None:
    from wxcontroller.cli.output.terminal import ago, print_rows

    titles = N_("ACCOUNT"), N_("HOST"), N_("HAS"), N_("EPOCH"), N_("AS OF"), N_("AGE")
    there = {True: N_("a standby copy"), False: N_("the account, as far as is known")}
    rows = list[tuple[str, ...]]()
    for each in claims:
        facts = [(own, str(each.kind), each.epoch, each.at)]
        facts += [(place.host, say(there[place.is_copy]), place.epoch, place.seen) for place in each.places]
        rows += [
            (each.name.name, host, has, str(epoch or "-"), _when(at) if at else "-", ago(at) or "-")
            for host, has, epoch, at in facts
        ]
    print_rows(titles, rows, wraps="HAS")
    for each in claims:
        for place in each.places:
            if place.is_copy and place.epoch > each.epoch:
                words = N_("host {host} has a later copy of {account}: claim the account there instead")
                tell(Text(words, host=place.host, account=each.name.name), err=True)
    hosts = ", ".join(sorted({host for each in claims for host in each.rivals}))
    question = Text(
        N_(
            "Messages received since then are lost unless the host comes back. Messages that waited to be sent end "
            "as unknown, and reports that waited may be delivered twice. If an account still runs there, both hosts "
            "lose the login. Is {hosts} off for good?"
        ),
        hosts=hosts,
    )
    names = ", ".join(each.name.name for each in claims)
    confirm(api, [], question, Text(N_("not claimed: {names}"), names=names))


def _when(at: int) -> str:
    return local_time(at, "%Y-%m-%d %H:%M")
