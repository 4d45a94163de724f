"""Moving an account: out of this machine into a file, and from a file into this machine."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import click

from wxcontroller.cli.api import Api
from wxcontroller.cli.context import Session
from wxcontroller.cli.errors import BadUsage
from wxcontroller.cli.hints import command
from wxcontroller.cli.transfer.pack import Packed, Unpacked, pack, secret_file, unpack
from wxcontroller.cli.transfer.passphrase import passphrase
from wxcontroller.cli.transfer.rest import drop_ins_of, lay_down, look
from wxcontroller.cli.transfer.seal import Opener, Sealer
from wxcontroller.core.account import Account
from wxcontroller.core.errors import AccountExists, UnknownAccount, WxError
from wxcontroller.core.files import sync
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.materialise import Registry
from wxcontroller.core.names import AccountName, is_derived, parse_name
from wxcontroller.core.options import OPTIONS
from wxcontroller.core.paths import Paths

_PATHS = Paths()
_HERE = "run it as root on the account's machine"


def exported(session: Session, name: str, file: str, stop_it: bool, media: bool, passphrase_file: str | None) -> None:
    """Do what wxctl export is for. Raises WxError."""
    api = _at_home(session)
    account = _registered(name)
    _refuse_odd_output(file)
    before = look(account.name)
    if not before.quiet and not stop_it:
        raise WxError(
            f"{account.name} is {before.active}: a copy of a living account would lose messages, and its login",
            "add --stop to stop it first",
        )
    secret = passphrase(passphrase_file, anew=True)
    lay_down(api, account.name, _PATHS)
    before = look(account.name)
    with _new_file(file) as out:
        sealer = Sealer(out, secret)
        try:
            packed = pack(sealer, _registered(name), _PATHS, int(time.time()), media)
        except OSError as problem:
            raise _disk(file, problem) from None
        sealer.close()
        if look(account.name) != before:
            raise WxError(f"{account.name} was started meanwhile", "export it again while nobody starts it")
    _tell_exported(session, account.name, file, packed, sealer.written)


def imported(session: Session, file: str, passphrase_file: str | None) -> None:
    """Do what wxctl import is for. Raises WxError."""
    api = _at_home(session)
    if file == "-" and passphrase_file == "-":  # noqa: S105 - a file's name
        raise BadUsage("both the account and the passphrase can't come from standard input", "name a file for one")
    api.health()  # it has to be there
    secret = passphrase(passphrase_file, anew=False)
    with _source(file) as source, _staging() as staging:
        opener = Opener(source, secret)
        try:
            found = unpack(opener, staging)
            opener.finish()
        except OSError as problem:
            raise _disk(str(staging), problem) from None
        _refuse_existing(api, found)
        account = _taken_in(api, found)
    if session.json:
        session.emit({**account, "files": found.files, "exported": found.manifest.exported})
        return
    name = found.manifest.name.name
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(found.manifest.exported))
    click.echo(
        f"{name} is imported as it was at {when}, with port {account.get('port')}; start it: {command('start', name)}"
    )
    click.echo("  it must not run on its former machine any more, or both lose the login", err=True)


def _at_home(session: Session) -> Api:
    api = session.api()
    if not api.is_local:
        raise BadUsage(f"{api.shown} is another machine", f"accounts are exported and imported on their own: {_HERE}")
    if os.geteuid() != 0:
        raise WxError("what an account has stored can be read and written by root alone", _HERE)
    return api


def _registered(given: str) -> Account:
    instance = given if is_derived(given) else parse_name(given).instance
    try:
        return Registry(_PATHS).load(instance, overrides=False)
    except UnknownAccount:
        raise UnknownAccount(
            f"there is no account {given} on this machine", "wxctl list shows the accounts"
        ) from None


def _refuse_odd_output(file: str) -> None:
    if file == "-" and sys.stdout.isatty():
        raise BadUsage("an exported account is no text for a terminal", "name a file, or send it into a pipe")
    if file != "-" and Path(file).exists():
        raise AccountExists(f"{file} is there already", "name another file, or remove it")


@contextmanager
def _new_file(file: str) -> Iterator[IO[bytes]]:
    """Give a file to write to, which is there under its name when the block is done, whole, or not at all."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(file)
    try:
        # Readable by its owner only.
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as problem:
        raise _disk(file, problem) from None
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor, not a path
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.link(temporary, path)  # unlike a rename it overwrites nothing
        sync(path.parent)
    except WxError:  # some are OSErrors besides
        raise
    except FileExistsError:
        raise AccountExists(f"{file} is there already", "name another file, or remove it") from None
    except OSError as problem:
        raise _disk(file, problem) from None
    finally:
        with suppress(OSError):
            Path(temporary).unlink()


@contextmanager
def _source(file: str) -> Iterator[IO[bytes]]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = Path(file).open("rb")  # noqa: SIM115 - what fails in the block is no fault of this file
    except OSError as problem:
        raise BadUsage(f"{file} can't be read: {problem.strerror}", "name a file made by: wxctl export") from None
    with stream:
        yield stream


@contextmanager
def _staging() -> Iterator[Path]:
    """Give a directory beside the accounts' own, on their file system, which is gone after the block."""
    parent = _PATHS.private_state("x").parent
    try:
        parent.parent.mkdir(mode=0o700, exist_ok=True)  # as systemd makes it
        parent.mkdir(mode=0o755, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=".import-", dir=parent))
    except OSError as problem:
        raise _disk(str(parent), problem) from None
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _refuse_existing(api: Api, found: Unpacked) -> None:
    name = found.manifest.name
    try:
        api.account(name)
    except UnknownAccount:
        pass
    else:
        raise AccountExists(
            f"there is an account {name} already", f"remove it before: {command('remove', name.name)}"
        )
    files = [_PATHS.private_state(name.instance)]
    files += [_PATHS.override_file(name.instance)] if found.override else []
    files += [secret_file(_PATHS, name.instance, each) for each in found.secrets]
    for file in files:
        if file.exists() or file.is_symlink():
            raise AccountExists(
                f"{file} is there already, of an earlier {name}",
                f"move it away; or: systemctl start wxclient-purge@{name.instance}",
            )


def _taken_in(api: Api, found: Unpacked) -> JsonObject:
    """Put everything where it belongs, or nothing. systemd gives the state to the account's user at its start."""
    name, made = found.manifest.name, list[Path]()
    registered = False
    try:
        if found.override:
            _put(_PATHS.override_file(name.instance), found.override, 0o640, made)
        for each, secret in found.secrets.items():
            _put(secret_file(_PATHS, name.instance, each), secret, 0o600, made)
        account = api.add(name, _options(found.manifest.parameters)).raw
        registered = True
        os.rename(found.state, _PATHS.private_state(name.instance))  # noqa: PTH104 - it must not be a copy
        sync(_PATHS.private_state(name.instance).parent)
    except BaseException as problem:
        for file in made:
            with suppress(OSError):
                file.unlink()
        if registered:
            with suppress(WxError):
                api.remove(name)
        if isinstance(problem, OSError) and not isinstance(problem, WxError):
            raise _disk(str(_PATHS.private_state(name.instance)), problem) from None
        raise
    return account


def _options(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the options among what an account was started with; scripts also say other things, as client=NAME."""
    kept = {key: value for key, value in parameters.items() if key in OPTIONS}
    if lost := sorted(parameters.keys() - kept.keys() - {"client"}):
        click.echo(f"wxctl: without effect, as they are no options here: {', '.join(lost)}", err=True)
    return kept


def _put(path: Path, content: bytes, mode: int, made: list[Path]) -> None:
    """Write a new file, with its directory's group."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    made.append(path)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchown(stream.fileno(), -1, path.parent.stat().st_gid)
        os.fchmod(stream.fileno(), mode)
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _disk(place: str, problem: OSError) -> WxError:
    return WxError(
        f"{place}: {problem.strerror or problem}", "see to the disk and whose it is; nothing was left there"
    )


def _tell_exported(session: Session, name: AccountName, file: str, packed: Packed, written: int) -> None:
    if session.json and file != "-":
        session.emit(
            {
                "name": name.name,
                "file": file,
                "bytes": written,
                "files": packed.files,
                "login_file": packed.login_file,
                "left_out": list(packed.left_out),
            }
        )
    for each in packed.left_out:
        click.echo(f"wxctl: {name}: {each} is no plain file of the account's own, and is left out", err=True)
    for each in drop_ins_of(name):
        click.echo(f"wxctl: {name}: its unit's {each} is not in it", err=True)
    if not packed.login_file:
        click.echo(f"wxctl: {name} has stored no login: it needs a scan where it is imported", err=True)
    if session.json:
        return
    words = (
        f"{name} is exported to {file}: {packed.files} files"
        if file != "-"
        else f"{name} is exported: {packed.files} files"
    )
    click.echo(words, err=file == "-")
    click.echo(
        "  it stays stopped here: run it on one machine only, or both lose the login; "
        f"when it runs there: {command('remove', name.name)}",
        err=True,
    )
