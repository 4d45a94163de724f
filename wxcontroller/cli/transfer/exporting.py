"""Export an account to a file."""

import errno
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from wxcontroller.cli.clierrors import BadUsage
from wxcontroller.cli.context import WxctlRun
from wxcontroller.cli.language import tell
from wxcontroller.cli.transfer.copy.pack import CREDENTIALS as SECRETS
from wxcontroller.cli.transfer.copy.pack import Packed, pack, secret_file
from wxcontroller.cli.transfer.copy.passphrase import passphrase
from wxcontroller.cli.transfer.copy.preconditions import PATHS, at_home, disk_errors
from wxcontroller.cli.transfer.copy.quiescing import look, other_drop_ins, stop_and_disable
from wxcontroller.cli.transfer.copy.seal import Sealer
from wxcontroller.cli.transfer.copy.unitfiles import UnitFiles, place_of, unit_files
from wxcontroller.core.errors import AccountExists, UnknownAccount, WxError
from wxcontroller.core.files.atomic import sync
from wxcontroller.core.names import is_derived, parse_name
from wxcontroller.core.registry.account import Account
from wxcontroller.core.registry.accountfiles import AccountFiles
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, Text, Value


def exported(
    session: WxctlRun, name: str, file: str, stop_it: bool, media: bool, passphrase_file: str | None
) -> None:
    """Export an account, as ``wxctl export``. Raises WxError."""
    api = at_home(session)
    account = registered(name)
    refuse_odd_output(file)
    before = look(account.name)
    if not before.quiet and not stop_it:
        raise WxError(
            N_("{account} is {active}; a copy of a running account would lose messages and its login"),
            N_("add --stop to stop it first"),
            account=str(account.name),
            active=before.active,
        )
    secret = passphrase(passphrase_file, is_new=True)
    stop_and_disable(api, account.name, PATHS)
    before = look(account.name)
    with new_file(file) as out:
        sealer = Sealer(out, secret)
        with disk_errors(file):
            unit = unit_files(PATHS, account.name)
            # Read again: stopping it has changed its record.
            packed = pack(sealer, registered(name), PATHS, int(time.time()), media, unit)
        sealer.close()
        # If it was started and stopped meanwhile, only its InvocationID shows it. Checked within the block, so that
        # the file gets no name.
        if look(account.name) != before:
            raise WxError(
                N_("{account} was started meanwhile"),
                N_("export it again, without starting it meanwhile"),
                account=str(account.name),
            )
    tell_exported(session, unit, file, packed, sealer.written)


def registered(name_or_id: str) -> Account:
    instance = name_or_id if is_derived(name_or_id) else parse_name(name_or_id).instance
    try:
        return AccountFiles(PATHS).load(instance, overrides=False)
    except UnknownAccount:
        raise UnknownAccount(
            N_("there is no account {given} on this machine"), N_("wxctl list shows the accounts"), given=name_or_id
        ) from None


def refuse_odd_output(file: str) -> None:
    if file == "-" and sys.stdout.isatty():
        raise BadUsage(
            N_("an exported account is binary data, not for a terminal"), N_("name a file, or redirect the output")
        )
    if file != "-" and Path(file).exists():
        raise already_there(file)


def already_there(file: str) -> AccountExists:
    return AccountExists(N_("{file} exists already"), N_("name another file, or remove it"), file=file)


@contextmanager
def new_file(file: str) -> Iterator[IO[bytes]]:
    """Yield a file to write to, which gets its name only when the block is complete."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(file)
    with disk_errors(file):
        descriptor, temporary = _temporary(path)
    try:
        with disk_errors(file):
            with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor, not a path
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
                try:
                    # Unlike a rename it overwrites nothing. With a directory, which does not matter, it follows the
                    # link.
                    os.link(temporary or f"/proc/self/fd/{stream.fileno()}", path, src_dir_fd=stream.fileno())
                except FileExistsError:
                    raise already_there(file) from None
            sync(path.parent)
    finally:
        if temporary:
            with suppress(OSError):
                Path(temporary).unlink()


def _temporary(path: Path) -> tuple[int, str]:
    """Open a new file next to ``path``, for its owner only: without a name, so that a killed export leaves nothing.

    On a file system without such files it has a name.
    """
    try:
        return os.open(path.parent, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600), ""
    except OSError as problem:
        # What file systems without O_TMPFILE answer, see open(2).
        if problem.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            raise
        return tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)


def tell_exported(session: WxctlRun, unit: UnitFiles, file: str, packed: Packed, written: int) -> None:
    name = unit.name
    encrypted, named = (
        unit.encrypted(PATHS),
        unit.named(str(secret_file(PATHS, name.instance, each)) for each in SECRETS),
    )
    if session.json and file != "-":
        session.emit(
            {
                "name": name.name,
                "file": file,
                "bytes": written,
                "files": packed.files,
                "login_file": packed.login_file,
                "left_out": list(packed.left_out),
                "drop_ins": list(unit.files),
                "encrypted_credentials": list(encrypted),
                "named_files": list(named),
            }
        )

    def warn(words: str, /, **values: Value) -> None:
        tell("wxctl: {account}: {words}", err=True, account=str(name), words=Text(words, **values))

    for each in packed.left_out:
        warn(N_("{item} is not a plain file of the account and is left out"), item=each)
    for each in unit.odd:
        warn(N_("{item} is not a regular file and is left out"), item=each)
    for each in other_drop_ins(name, place_of(PATHS, name)):
        warn(N_("its unit's {item} is not in it"), item=each)
    for each in named:
        warn(N_("a drop-in of its unit refers to {item}, which is not included; copy it, too"), item=each)
    for each in encrypted:
        warn(
            N_(
                "THE ENCRYPTED CREDENTIAL {item} IS NOT IN IT: no other machine can open it. Encrypt "
                "it there, by systemd-creds(1), before the account is started, or it runs "
                "without"
            ),
            item=each,
        )
    if not packed.login_file:
        warn(N_("it has stored no login: it needs a scan where it is imported"))
    if session.json:
        return
    what = (
        Text("{files} files, {count} drop-ins of its unit", files=packed.files, count=len(unit.files))
        if unit.files
        else Text("{files} files", files=packed.files)
    )
    if file == "-":
        tell("{account} is exported: {what}", err=True, account=str(name), what=what)
    else:
        tell("{account} is exported to {file}: {what}", account=str(name), file=file, what=what)
    tell(
        "  it stays stopped here: run it on one machine only, or both lose the login; when it runs there: {command}",
        err=True,
        command=command("remove", name.name),
    )
