"""The verb qr: the code to scan, on the terminal or in a file."""

import io
from pathlib import Path

import click

from wxcontroller.cli.clierrors import BadUsage, file_problems
from wxcontroller.cli.context import WxctlRun, name_argument
from wxcontroller.cli.language import tell
from wxcontroller.cli.verbhelp import verb
from wxcontroller.core.errors import WxError
from wxcontroller.core.files.atomic import replace_file
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_

_KINDS = ("svg", "png")


@verb("Show the QR code to scan, or write it to a file.", "wxctl qr alice", "wxctl qr alice --output alice.png")
@name_argument
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write it to FILE, which ends in .svg or .png, instead of drawing it.",
)
def qr(session: WxctlRun, name: str, output: Path | None) -> None:
    """Show the QR code that logs an account in.

    It is valid for a few minutes; the account then shows another one. Anyone who has the code can start a login, so
    FILE is readable only by you.
    """
    if output is not None and output.suffix.lower().lstrip(".") not in _KINDS:
        raise BadUsage(
            N_("{output}: only .svg and .png files can be written"), N_("end the name in .svg or .png"), output=output
        )
    api, account = session.account(name)
    link = api.qr_link(account)
    if output is not None:
        unwritable = N_("{output} cannot be written: {reason}")
        with file_problems(unwritable, N_("choose another directory"), kind=WxError, output=output):
            replace_file(output, image(link, output.suffix.lower().lstrip(".")))
    if session.json:
        session.emit({"link": link})
    elif output is not None:
        tell("wrote the QR code of {account} to {output}", account=account.name, output=output)
    else:
        from wxcontroller.cli.output.terminal import console, qr_text, too_small

        target = console()
        code = qr_text(link, target.color_system is not None)
        if target.is_terminal and (small := too_small(code, target, below=2)):
            raise WxError(
                N_("{account}: {small}"),
                N_("enlarge it, or: {command}"),
                account=account.name,
                small=small,
                command=command("qr", account.name, "--output", "qr.svg"),
            )
        target.print(code, end="")
        if target.is_terminal:
            tell("scan it with WeChat on the phone of {account}", err=True, account=account.name)


def image(link: str, kind: str) -> bytes:
    import segno

    buffer = io.BytesIO()
    segno.make(link, error="m", micro=False).save(buffer, kind=kind, scale=8, border=4, light="white")
    return buffer.getvalue()
