"""The commands export, import, move and claim: transfer a whole account to another machine, encrypted.

All four use the same bundle, which ``copy`` makes and reads. Root opens none of an account's files: a unit reads
them, also while the account runs. ``exporting`` writes a bundle to a file, ``sending`` to another host
(``remotehost``). ``importing`` is atomic. ``adoption`` imports the account of a lost host, and ``claims`` has the
verb claim. ``moving`` has the steps of a move, in an order in which an account never runs on two hosts: start there,
or with ``cli.transfer.copy.pack`` for the contents of an account.

Two programs of root, run by units of systemd, are also here: ``standby`` sends bundles to standby hosts,
``receiving`` imports or stores (``bundles``) bundles from other hosts. They trust neither the accounts' directories
nor the controllers that forward bundles.
"""

import click
from click.shell_completion import CompletionItem

from wxcontroller.cli.clierrors import BadUsage
from wxcontroller.cli.context import FILE, WxctlRun, complete_name, name_argument
from wxcontroller.cli.verbhelp import verb
from wxcontroller.core.text.templates import N_

_PASSPHRASE = click.option(
    "--passphrase-file",
    metavar="FILE",
    type=FILE,
    help="Read the passphrase from the first line of FILE, - for standard input, instead of asking for it.",
)


@verb(
    "Export an account to an encrypted file.",
    "wxctl export alice alice.wxaccount --stop",
    "wxctl export alice - --stop --passphrase-file key >alice.wxaccount",
)
@name_argument
@click.argument("file", metavar="FILE", type=FILE)
@click.option("--stop", "stop_it", is_flag=True, help="Stop the account first, if it runs.")
@click.option("--no-media", is_flag=True, help="Leave out received media.")
@_PASSPHRASE
def export(
    session: WxctlRun, name: str, file: str, stop_it: bool, no_media: bool, passphrase_file: str | None
) -> None:
    """Export an account with its options, login, events and media to the encrypted file FILE (- for standard
    output).

    The export includes the account's override file and credentials in /etc/wxcontroller and the drop-ins of its
    unit. Encrypted credentials cannot be exported; wxctl lists them. The account must be stopped and stays
    stopped: running it on two machines would lose its login. Run this as root. FILE is never overwritten.
    """
    from wxcontroller.cli.transfer.exporting import exported  # much to import, for this verb alone

    exported(session, name, file, stop_it, not no_media, passphrase_file)


@verb(
    "Import an exported account.",
    "wxctl import alice.wxaccount",
    "wxctl import alice.wxaccount --passphrase-file key",
)
@click.argument("file", metavar="FILE", type=FILE)
@click.option(
    "--drop-ins/--no-drop-ins",
    default=None,
    help="Install the drop-ins of its unit, or leave them out; required when the export contains any.",
)
@_PASSPHRASE
def import_(session: WxctlRun, file: str, drop_ins: bool | None, passphrase_file: str | None) -> None:
    """Import an account from FILE (- for standard input) written by wxctl export. The account is not started.

    Nothing is overwritten: the import is refused (8) if an account of that name, or any of its files, exists
    here. The import is all or nothing. Drop-ins of its unit, which systemd applies as root, are installed only
    with --drop-ins. Run this as root while the controller is running.
    """
    from wxcontroller.cli.transfer.importing import imported

    imported(session, file, passphrase_file, drop_ins)


@verb(
    "Move accounts to another host of the fleet.",
    "wxctl move alice host-b",
    "wxctl move 'shop-*' host-b",
    "wxctl move alice --undo",
)
@click.argument("names", nargs=-1, required=True, metavar="NAME... HOST", shell_complete=complete_name)
@click.option("--undo", is_flag=True, help="Undo an interrupted move, unless the account has been started there.")
@click.option(
    "--leave-behind",
    is_flag=True,
    help="Move without drop-ins of the unit and encrypted credentials, which cannot move.",
)
def move(session: WxctlRun, names: tuple[str, ...], undo: bool, leave_behind: bool) -> None:
    """Move accounts to HOST, a host in [fleet] of the settings, with options, login, events, queues and media.

    Each account is stopped here, sent encrypted, started there and then removed here, with its files in /etc. It is
    stopped only if HOST has enough space. An interrupted move leaves the account stopped: run the same command again
    to finish the move, or undo it. Run this as root on the account's host.
    """
    from wxcontroller.cli.transfer.moving import moved, undone

    if undo:
        undone(session, names)
    elif len(names) < 2:
        raise BadUsage(N_("no host is given"), N_("use: wxctl move NAME HOST"))
    else:
        moved(session, names[:-1], names[-1], leave_behind)


def _complete_bundle(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the accounts of the standby bundles, to root."""
    from wxcontroller.cli.transfer.copy.preconditions import PATHS
    from wxcontroller.fleet.standby import kept_bundles

    try:
        kept = kept_bundles(PATHS).values()
    except OSError:
        return []
    return [CompletionItem(each.name, help=each.host) for each in kept if each.name.startswith(incomplete)]


@verb(
    "Run accounts here whose other host is lost.",
    "wxctl claim alice",
    "wxctl claim 'shop-*' --yes",
    "wxctl claim alice --from alice.wxaccount",
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=_complete_bundle)
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation. The lost host must be off.")
@click.option(
    "--start/--no-start",
    default=None,
    help="Start the accounts, or leave them stopped; otherwise those that ran are started.",
)
@click.option(
    "--from", "file", metavar="FILE", type=FILE, help="Take the account from a file that wxctl export wrote."
)
@_PASSPHRASE
def claim(
    session: WxctlRun,
    names: tuple[str, ...],
    yes: bool,
    start: bool | None,
    file: str | None,
    passphrase_file: str | None,
) -> None:
    """Have accounts run on this host, from what it has of them: an account that is registered here and that another
    host had last, a standby copy, or an export. Use it after the other host is lost for good.

    The command shows which hosts may have the accounts or have standby copies, with their epochs and ages, and
    asks whether the lost hosts are off. Messages received since the copy was made are lost unless that host comes
    back. Queued messages are marked unknown and are not sent: the lost host may already have sent them. Each
    account gets an epoch after all that are known; a host that comes back delivers its reports and does not start
    its copy. Refused (8) while another host responds and has the account, or has a lease in etcd. Run this as
    root on the host that is to run the account.
    """
    from wxcontroller.cli.transfer.claims import ClaimOptions, claimed

    claimed(session, names, ClaimOptions(yes, start, file, passphrase_file))
