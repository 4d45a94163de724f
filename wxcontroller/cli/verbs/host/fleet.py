"""The verb fleet: the other hosts whose accounts the controller shows."""

import contextlib

import click
from click.shell_completion import CompletionItem

from wxcontroller.cli.context import WxctlRun, global_options
from wxcontroller.cli.language import say, tell
from wxcontroller.cli.localtime import local_time
from wxcontroller.cli.verbhelp import VerbGroup
from wxcontroller.core.errors import WxError
from wxcontroller.core.jsontypes import JsonObject, integer, items, obj, objects, one_line, text
from wxcontroller.core.text.templates import N_, Text, text_in


@click.group(
    cls=VerbGroup,
    invoke_without_command=True,
    subcommand_metavar="[COMMAND] [ARGS]...",
    short_help="Show the other hosts and their state.",
    examples=("wxctl fleet", "wxctl fleet --json", "wxctl fleet join", "wxctl fleet forget host-b"),
)
@click.pass_context
def fleet(ctx: click.Context) -> None:
    """Show the other hosts of the fleet, accounts that exist on more than one host, standby bundles, and owners.

    Exits with status 1 if a host is not reachable, an account exists twice, a standby bundle is too old, or, in a
    fleet with etcd, this host cannot claim accounts, one that is to run has no owner, a member is down, or a
    certificate for etcd expires within 30 days.
    """
    if ctx.invoked_subcommand is None:
        _show(ctx.obj)


fleet.params += global_options()


def _complete_host(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the other hosts in the settings."""
    from wxcontroller.cli.transfer.copy.preconditions import PATHS
    from wxcontroller.core.config.settings import load_settings

    with contextlib.suppress(OSError, WxError):
        if (found := load_settings(PATHS).settings.fleet) is not None:
            return [CompletionItem(each.name) for each in found.hosts if each.name.startswith(incomplete)]
    return []


@fleet.verb(
    "Set up a fleet of hosts with an etcd.", "wxctl fleet init host-a=192.0.2.10 host-b=192.0.2.11 host-c=192.0.2.12"
)
@click.argument("hosts", nargs=-1, required=True, metavar="NAME=ADDRESS...")
@click.option("--renew", is_flag=True, help="Make new certificates of the same authority; the others join again.")
def init(session: WxctlRun, hosts: tuple[str, ...], renew: bool) -> None:
    """Set up this host, the first one named, and make a token for each of the others, an odd number in all.

    Each host becomes a member of etcd, serves its API with TLS at its address, and knows the other hosts; all have
    scope admin at each other. The command makes the authority, certificates, users and passwords, prints the tokens,
    and waits until enough other hosts have joined. After an interruption, run it again. Run it as root.
    """
    from wxcontroller.cli.verbs.host.fleetsetup import begun

    begun(session, hosts, renew)


@fleet.verb("Join the fleet that another host has set up.", "wxctl fleet join", "wxctl fleet join <host-b.token")
def join(session: WxctlRun) -> None:
    """Set up this host with the token that wxctl fleet init has printed for it: paste it, or give it on standard
    input. Run it as root.
    """
    from wxcontroller.cli.verbs.host.fleetsetup import joined

    joined(session)


@fleet.verb("Run the accounts of a lost host here.", "wxctl fleet forget host-b", "wxctl fleet forget host-b --yes")
@click.argument("host", shell_complete=_complete_host)
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation. The lost host must be off.")
@click.option(
    "--start/--no-start",
    default=None,
    help="Start the accounts, or leave them stopped; otherwise those that ran are started.",
)
def forget(session: WxctlRun, host: str, yes: bool, start: bool | None) -> None:
    """Claim all accounts of HOST, which is lost for good, of which this host has a copy; see wxctl claim.

    The command shows the accounts and the age of their copies, and asks once. In a fleet with etcd, it also lists
    the accounts of which this host has no copy. Run it as root on the host that is to run the accounts. Then remove
    HOST from [fleet.hosts] on all hosts.
    """
    from wxcontroller.cli.transfer.claims import ClaimOptions, forgotten

    forgotten(session, host, ClaimOptions(yes, start))


def _show(session: WxctlRun) -> None:
    """Show the fleet. Raises WxError, and Exit if there is a problem."""
    found = session.api().fleet()
    standbys = objects(found.get("standbys"))
    hosts, duplicates = objects(found.get("hosts")), items(found.get("duplicates"))
    if session.json:
        session.emit(found)
    elif found.get("name") is None:
        tell("this host is not part of a fleet; see the table [fleet] in wxcontroller.toml(5)", err=True)
    else:
        tell("this host is {host}", host=one_line(found.get("name")))
        if hosts:
            _print(hosts)
        for each in map(obj, duplicates):
            words = Text(
                N_("account {account} exists on more than one host: {hosts}"),
                account=one_line(each.get("account")),
                hosts=", ".join(map(one_line, items(each.get("hosts")))),
            )
            click.echo(say(words))
        if standbys:
            _print_standbys(standbys)
    is_late = any(standby.get("stale") is True for standby in standbys)
    etcd = obj(found.get("etcd"))
    if etcd and not session.json:
        _print_owners(etcd)
    is_down = any(host.get("state") != "up" for host in hosts)
    is_unowned = bool(etcd.get("reason") or _ending(etcd)) or any(
        obj(each).get("reason") for key in ("accounts", "members") for each in items(etcd.get(key))
    )
    if not session.json and (duplicates or is_late or is_down or is_unowned):
        raise click.exceptions.Exit(WxError.exit_code)


def _print(hosts: list[JsonObject]) -> None:
    from wxcontroller.cli.output.terminal import ago, print_rows  # a slow import, needed only for people

    titles = N_("HOST"), N_("STATE"), N_("SINCE"), N_("ACCOUNTS"), N_("VERSION"), N_("URL"), N_("REASON")
    rows = [
        (
            one_line(host.get("name")),
            text(host.get("state")),
            ago(integer(host.get("since"))),
            text(host.get("accounts")),
            one_line(host.get("version")),
            one_line(host.get("url")),
            say(text_in(host, "reason")),
        )
        for host in hosts
    ]
    print_rows(titles, rows, wraps="REASON")


def _print_standbys(standbys: list[JsonObject]) -> None:
    from wxcontroller.cli.output.terminal import ago, print_rows

    titles = N_("STANDBY OF"), N_("FROM"), N_("TO"), N_("EPOCH"), N_("AGE"), N_("SIZE"), N_("REASON")
    rows: list[tuple[str, ...]] = []
    for standby in standbys:
        age = ago(integer(standby.get("at"))) or "-"
        rows.append(
            (
                *(one_line(standby.get(key)) for key in ("account", "from", "to")),
                text(standby.get("epoch")),
                f"{age} !" if standby.get("stale") is True else age,
                f"{integer(standby.get('bytes')) / (1 << 20):.1f} MB",
                say(text_in(standby, "reason")),
            )
        )
    click.echo()
    print_rows(titles, rows, wraps="REASON")


def _print_owners(etcd: JsonObject) -> None:
    from wxcontroller.cli.output.terminal import print_rows

    click.echo()
    if reason := text_in(etcd, "reason"):
        tell("etcd: {reason}", reason=reason)
    else:
        tell(
            "etcd: this host has a lease; accounts run {seconds} s without another renewal",
            seconds=integer(etcd.get("permit_seconds")),
        )
    _print_members(objects(etcd.get("members")), objects(etcd.get("certificates")), integer(etcd.get("quorum")))
    for each in _ending(etcd):
        tell(
            "a certificate for etcd expires on {day}: {of}; see: wxctl doctor",
            of=one_line(each.get("of")),
            day=_day(each),
        )
    titles = N_("LEASE OF"), N_("OWNS"), N_("CAPACITY"), N_("EGRESS"), N_("LABELS"), N_("VERSION")
    rows = [
        (
            one_line(host.get("name")),
            text(host.get("owned")),
            text(host.get("capacity")) or "-",
            one_line(host.get("egress")) or "-",
            " ".join(map(one_line, items(host.get("labels")))),
            one_line(host.get("version")),
        )
        for host in objects(etcd.get("hosts"))
    ]
    print_rows(titles, rows, wraps="LABELS")
    accounts = objects(etcd.get("accounts"))
    if accounts:
        click.echo()
        _print_outlooks(accounts)
    unowned = [
        (
            one_line(account.get("account")),
            one_line(account.get("host")),
            text(account.get("epoch")),
            say(text_in(account, "reason")),
        )
        for account in accounts
        if account.get("reason")
    ]
    if unowned:
        click.echo()
        print_rows((N_("NO OWNER"), N_("LAST HOST"), N_("EPOCH"), N_("REASON")), unowned, wraps="REASON")


def _print_members(members: list[JsonObject], certificates: list[JsonObject], quorum: int) -> None:
    from wxcontroller.cli.output.terminal import print_rows

    if not members:  # the controller has just started
        return
    ends = {one_line(each.get("of")): _day(each) for each in certificates}
    rows = [
        (
            url := one_line(member.get("url")),
            say(N_("down") if member.get("reason") else N_("leader") if member.get("leader") else N_("follower")),
            text(member.get("behind")) or "-",
            ends.pop(url, "-"),
            say(text_in(member, "reason")),
        )
        for member in members
    ]
    for each in certificates:
        if (of := one_line(each.get("of"))) in ends and each.get("ending") is not True:
            tell("etcd: {of} expires on {day}", of=of, day=_day(each))
    up, count = sum(not member.get("reason") for member in members), len(members)
    tell("etcd: {up} of {count} members can be used; a quorum is {quorum}", up=up, count=count, quorum=quorum)
    titles = N_("MEMBER OF ETCD"), N_("ROLE"), N_("LAG"), N_("CERTIFICATE ENDS"), N_("REASON")
    print_rows(titles, rows, wraps="REASON")
    click.echo()


def _day(certificate: JsonObject) -> str:
    return local_time(integer(certificate.get("ends")), "%Y-%m-%d")


def _ending(etcd: JsonObject) -> list[JsonObject]:
    return [
        certificate for each in items(etcd.get("certificates")) if (certificate := obj(each)).get("ending") is True
    ]


def _print_outlooks(accounts: list[JsonObject]) -> None:
    from wxcontroller.cli.output.terminal import ago, print_rows

    titles = N_("ACCOUNT"), N_("HOST"), N_("TAKEOVER"), N_("BUNDLE AGE"), N_("IF THE HOST IS LOST")
    rows: list[tuple[str, ...]] = []
    for account in accounts:
        words = say(text_in(account, "outlook"))
        if taken := one_line(account.get("taken_from")):
            words = say(
                Text(N_("{outlook}; taken over from {host}"), outlook=text_in(account, "outlook"), host=taken)
            )
        names = (one_line(account.get(key)) for key in ("account", "host", "policy"))
        rows.append((*names, ago(integer(account.get("bundle_at"))) or "-", words or "-"))
    print_rows(titles, rows, wraps="IF THE HOST IS LOST")
