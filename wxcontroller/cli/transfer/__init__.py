"""The verbs export and import: an account moves to another machine with all it has, in one encrypted file."""

import click

from wxcontroller.cli.context import FILE, Session, global_options, name_argument
from wxcontroller.cli.verbs import Verb

_PASSPHRASE = click.option(
    "--passphrase-file",
    metavar="FILE",
    type=FILE,
    help="Read the passphrase from the first line of FILE, - for standard input, in place of asking.",
)


@click.command(
    cls=Verb,
    short_help="Write an account into an encrypted file, to move it.",
    examples=(
        "wxctl export alice alice.wxaccount --stop",
        "wxctl export alice - --stop --passphrase-file key >alice.wxaccount",
    ),
)
@name_argument
@click.argument("file", metavar="FILE", type=FILE)
@click.option("--stop", "stop_it", is_flag=True, help="Stop the account first, if it runs.")
@click.option("--no-media", is_flag=True, help="Leave out received pictures and the like.")
@_PASSPHRASE
@global_options
@click.pass_obj
def export(
    session: Session, name: str, file: str, stop_it: bool, no_media: bool, passphrase_file: str | None
) -> None:
    """Write an account with its options, login, events and media into FILE (- for standard output), encrypted.

    Its override file and credentials in /etc/wxcontroller go with it, and the drop-ins of its unit. Encrypted
    credentials can't: each is named. It must not run, and stays stopped: two machines with one login lose it. Run it
    as root. FILE is never overwritten.
    """
    from wxcontroller.cli.transfer.exporting import exported  # much to import, for this verb alone

    exported(session, name, file, stop_it, not no_media, passphrase_file)


@click.command(
    "import",
    cls=Verb,
    short_help="Take an exported account in.",
    examples=(
        "wxctl import alice.wxaccount",
        "wxctl import alice.wxaccount --passphrase-file key",
    ),
)
@click.argument("file", metavar="FILE", type=FILE)
@click.option(
    "--drop-ins/--no-drop-ins",
    default=None,
    help="Put the drop-ins of its unit in place, or not; one is needed when there are any.",
)
@_PASSPHRASE
@global_options
@click.pass_obj
def import_(session: Session, file: str, drop_ins: bool | None, passphrase_file: str | None) -> None:
    """Take in an account from FILE (- for standard input), as wxctl export wrote it. It is not started.

    Nothing is overwritten: it is refused (8) when an account of that name, or anything of one, is here. All of it is
    taken in or nothing. Drop-ins of its unit, which systemd obeys as root, are put in place only with --drop-ins.
    Run it as root, with the controller running.
    """
    from wxcontroller.cli.transfer.importing import imported

    imported(session, file, passphrase_file, drop_ins)
