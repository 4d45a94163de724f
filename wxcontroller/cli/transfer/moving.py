"""Moving an account: out of this machine into a file, and from a file into this machine."""

import errno
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

import click

from wxcontroller.cli.api import Api
from wxcontroller.cli.context import Session
from wxcontroller.cli.errors import BadUsage
from wxcontroller.cli.hints import command
from wxcontroller.cli.local import reload_units
from wxcontroller.cli.transfer.pack import CREDENTIALS as SECRETS
from wxcontroller.cli.transfer.pack import Packed, Unpacked, pack, secret_file, unpack
from wxcontroller.cli.transfer.passphrase import passphrase
from wxcontroller.cli.transfer.rest import lay_down, look, other_drop_ins
from wxcontroller.cli.transfer.seal import Opener, Sealer
from wxcontroller.cli.transfer.staging import Begun, abandoned, digest, finished, staging
from wxcontroller.cli.transfer.unitfiles import UnitFiles, place_of, unit_files
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
            unit = unit_files(_PATHS, account.name)
            packed = pack(sealer, _registered(name), _PATHS, int(time.time()), media, unit)
        except OSError as problem:
            raise _disk(file, problem) from None
        sealer.close()
        if look(account.name) != before:
            raise WxError(f"{account.name} was started meanwhile", "export it again while nobody starts it")
    _tell_exported(session, unit, file, packed, sealer.written)


def imported(session: Session, file: str, passphrase_file: str | None, drop_ins: bool | None) -> None:
    """Do what wxctl import is for; ``drop_ins``: whether those of the account's unit are wanted. Raises WxError."""
    api = _at_home(session)
    if file == "-" and passphrase_file == "-":  # noqa: S105 - a file's name
        raise BadUsage("both the account and the passphrase can't come from standard input", "name a file for one")
    api.health()  # it has to be there
    _take_back_what_was_left(api)
    secret = passphrase(passphrase_file, anew=False)
    with _source(file) as source, _staging() as place:
        opener = Opener(source, secret)
        try:
            found = unpack(opener, place)
            opener.finish()
        except OSError as problem:
            raise _disk(str(place), problem) from None
        unit = UnitFiles(found.manifest.name, found.drop_ins)
        _refuse_undecided(unit, drop_ins)
        if not drop_ins:
            found.drop_ins = {}
        _refuse_existing(api, found)
        account = _taken_in(api, found, place)
    if drop_ins:
        _tell_missing(unit)
    if session.json:
        told: JsonObject = {"files": found.files, "exported": found.manifest.exported, "drop_ins": [*found.drop_ins]}
        session.emit({**account, **told})
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
        descriptor, temporary = _temporary(path)
    except OSError as problem:
        raise _disk(file, problem) from None
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor, not a path
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            # Unlike a rename it overwrites nothing. With a directory, which does not matter, it follows the link.
            os.link(temporary or f"/proc/self/fd/{stream.fileno()}", path, src_dir_fd=stream.fileno())
        sync(path.parent)
    except WxError:  # some are OSErrors besides
        raise
    except FileExistsError:
        raise AccountExists(f"{file} is there already", "name another file, or remove it") from None
    except OSError as problem:
        raise _disk(file, problem) from None
    finally:
        if temporary:
            with suppress(OSError):
                Path(temporary).unlink()


def _temporary(path: Path) -> tuple[int, str]:
    """Open a new file beside ``path``, for its owner only: without a name, of which a killed export leaves nothing.

    Where the file system has no such files it has one.
    """
    try:
        return os.open(path.parent, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600), ""
    except OSError as problem:
        if problem.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            raise
        return tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)


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
    with ExitStack() as stack:
        try:
            place = stack.enter_context(staging(_PATHS))
        except OSError as problem:
            raise _disk(str(_PATHS.private_state("x").parent), problem) from None
        yield place


def _take_back_what_was_left(api: Api) -> None:
    """Undo what imports had begun that were killed."""
    try:
        with abandoned(_PATHS) as left:
            for begun in left:
                files = begun.left_files()
                for file in files:
                    file.unlink()
                if begun.left_account(_PATHS):
                    api.remove(begun.name)
                _forget_drop_ins(begun.name, files)
                click.echo(f"wxctl: an import of {begun.name} that was broken off is taken back", err=True)
    except OSError as problem:
        raise _disk(str(_PATHS.private_state("x").parent), problem) from None


def _forget_drop_ins(name: AccountName, gone: Iterable[Path]) -> None:
    """Have systemd know that drop-ins have gone."""
    place = place_of(_PATHS, name)
    if any(file.parent == place for file in gone):
        with suppress(OSError):
            place.rmdir()
        with suppress(WxError):
            reload_units()


def _refuse_undecided(unit: UnitFiles, wanted: bool | None) -> None:
    if unit.files and wanted is None:
        raise BadUsage(
            f"{unit.name} has drop-ins of its unit, which systemd obeys as root: " + "; ".join(unit.shown()),
            "add --drop-ins to put them in place, or --no-drop-ins to leave them out",
        )


def _tell_missing(unit: UnitFiles) -> None:
    """Say what the drop-ins of an imported account name and that is not here."""
    name = unit.name.name
    for each in unit.encrypted(_PATHS):
        if not each.startswith("/") or not Path(each).exists():
            click.echo(
                f"wxctl: {name}: its encrypted credential {each} did not move with it: encrypt it here, by "
                "systemd-creds(1), before the account is started",
                err=True,
            )
    for each in unit.named():
        if not Path(each).exists():
            click.echo(f"wxctl: {name}: a drop-in of its unit names {each}, which is not here", err=True)


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
    for file in (_PATHS.private_state(name.instance), *_to_put(found)):
        if file.exists() or file.is_symlink():
            raise AccountExists(
                f"{file} is there already, of an earlier {name}",
                f"move it away; or: systemctl start wxclient-purge@{name.instance}",
            )


def _to_put(found: Unpacked) -> dict[Path, tuple[bytes, int]]:
    """Return the files that are put in place, with their modes."""
    name = found.manifest.name
    files = dict[Path, tuple[bytes, int]]()
    if found.override:
        files[_PATHS.override_file(name.instance)] = (found.override, 0o640)
    for each, secret in found.secrets.items():
        files[secret_file(_PATHS, name.instance, each)] = (secret, 0o600)
    for each, content in found.drop_ins.items():
        files[place_of(_PATHS, name) / each] = (content, 0o644)
    return files


def _taken_in(api: Api, found: Unpacked, place: Path) -> JsonObject:
    """Put everything where it belongs, or nothing. systemd gives the state to the account's user at its start."""
    name, made = found.manifest.name, list[Path]()
    files, options = _to_put(found), _options(found.manifest.parameters)
    registered = False
    try:
        Begun(name, {str(file): digest(content) for file, (content, _) in files.items()}, digest(options)).note(place)
        for file, (content, mode) in files.items():
            _put(file, content, mode, made)
        if found.drop_ins:
            reload_units()
        account = api.add(name, options).raw
        registered = True
        os.rename(found.state, _PATHS.private_state(name.instance))  # noqa: PTH104 - it must not be a copy
        sync(_PATHS.private_state(name.instance).parent)
        finished(place)
    except BaseException as problem:
        for file in made:
            with suppress(OSError):
                file.unlink()
        _forget_drop_ins(name, made)
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
    path.parent.mkdir(mode=0o755, exist_ok=True)
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


def _tell_exported(session: Session, unit: UnitFiles, file: str, packed: Packed, written: int) -> None:
    name = unit.name
    encrypted, named = (
        unit.encrypted(_PATHS),
        unit.named(str(secret_file(_PATHS, name.instance, each)) for each in SECRETS),
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

    def warn(words: str) -> None:
        click.echo(f"wxctl: {name}: {words}", err=True)

    for each in packed.left_out:
        warn(f"{each} is no plain file of the account's own, and is left out")
    for each in unit.odd:
        warn(f"{each} is no plain drop-in, and is left out")
    for each in other_drop_ins(name, place_of(_PATHS, name)):
        warn(f"its unit's {each} is not in it")
    for each in named:
        warn(f"a drop-in of its unit names {each}, which is not in it: take it along")
    for each in encrypted:
        warn(
            f"THE ENCRYPTED CREDENTIAL {each} IS NOT IN IT: no other machine can open it. Encrypt it anew there, by "
            "systemd-creds(1), before the account is started, or it runs without"
        )
    if not packed.login_file:
        warn("it has stored no login: it needs a scan where it is imported")
    if session.json:
        return
    drop_ins = f", {len(unit.files)} drop-ins of its unit" if unit.files else ""
    words = (
        f"{name} is exported to {file}: {packed.files} files{drop_ins}"
        if file != "-"
        else f"{name} is exported: {packed.files} files{drop_ins}"
    )
    click.echo(words, err=file == "-")
    click.echo(
        "  it stays stopped here: run it on one machine only, or both lose the login; "
        f"when it runs there: {command('remove', name.name)}",
        err=True,
    )
