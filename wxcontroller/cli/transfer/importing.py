"""Import an account from a file."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO

from wxcontroller.cli.clierrors import BadUsage, file_problems
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.connection.systemd import reload_units
from wxcontroller.cli.context import WxctlRun
from wxcontroller.cli.language import tell
from wxcontroller.cli.localtime import local_time
from wxcontroller.cli.transfer.bundles import drop_bundle
from wxcontroller.cli.transfer.copy.pack import Manifest, Unpacked, secret_file, unpack
from wxcontroller.cli.transfer.copy.passphrase import passphrase
from wxcontroller.cli.transfer.copy.preconditions import PATHS, at_home, disk_errors, disk_problem, leaving_of
from wxcontroller.cli.transfer.copy.seal import Opener
from wxcontroller.cli.transfer.copy.staging import Begun, abandoned, digest, finished, staging
from wxcontroller.cli.transfer.copy.unitfiles import UnitFiles, place_of
from wxcontroller.core.config.options import OPTIONS
from wxcontroller.core.errors import AccountExists, WxError
from wxcontroller.core.files.atomic import sync
from wxcontroller.core.jsontypes import JsonObject, field, integer, items, one_line
from wxcontroller.core.names import AccountName
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_


def imported(session: WxctlRun, file: str, passphrase_file: str | None, drop_ins: bool | None) -> None:
    """Run ``wxctl import``; ``drop_ins``: whether to install those of the account's unit. Raises WxError."""
    api = at_home(session)
    if file == "-" and passphrase_file == "-":  # noqa: S105 - a file's name
        raise BadUsage(
            N_("the account and the passphrase cannot both come from standard input"), N_("use --output FILE")
        )
    with export_file(file) as source:
        secret = partial(passphrase, passphrase_file, is_new=False)
        account, found = take_in(api, source, secret, drop_ins, refuse_bundle)
    if drop_ins:
        tell_missing(UnitFiles(found.manifest.name, found.drop_ins))
    if session.json:
        extra: JsonObject = {"files": found.files, "exported": found.manifest.exported, "drop_ins": [*found.drop_ins]}
        session.emit({**account, **extra})
        return
    name = found.manifest.name.name
    when = local_time(found.manifest.exported, "%Y-%m-%d %H:%M")
    tell(
        "{account} is imported as it was at {when}, with port {port}; start it: {command}",
        account=name,
        when=when,
        port=integer(account.get("port")),
        command=command("start", name),
    )
    tell("  it must no longer run on its former machine, or both lose the login", err=True)


def take_in(
    api: Api,
    source: IO[bytes],
    secret: Callable[[], bytes],
    drop_ins: bool | None,
    check: Callable[[Manifest], None] = lambda _: None,
    this_host: bool = False,
    adopts: bool = False,
) -> tuple[JsonObject, Unpacked]:
    """Import an exported account atomically; return it as the controller shows it.

    ``drop_ins``: whether those of its unit are wanted; None: refuse an account that has some. ``check`` may refuse it
    by its header. An account of its name is refused that any host of the fleet has, with ``this_host`` only this one.
    ``adopts``: its host is lost. Raises WxError.
    """
    api.health()  # it has to be there
    undo_interrupted_imports(api)
    with _staging() as place:
        opener = Opener(source, secret)
        with disk_errors(place):
            found = unpack(opener, place, lambda name: refuse_existing(api, name, this_host))
            opener.finish()
        check(found.manifest)
        refuse_undecided(UnitFiles(found.manifest.name, found.drop_ins), drop_ins)
        if not drop_ins:
            found.drop_ins = {}
        refuse_files(found.manifest.name, files_to_write(found))
        account = install_account(api, found, place, adopts)
    with suppress(OSError):  # it is older than the copy here, and refused
        drop_bundle(PATHS, found.manifest.name)
    return account, found


def refuse_bundle(manifest: Manifest) -> None:
    if manifest.host:
        raise BadUsage(
            N_("this is a standby bundle of account {account} from host {host}"),
            N_("use on the standby host: {command}"),
            account=manifest.name.name,
            host=manifest.host,
            command=command("claim", manifest.name.name),
        )


@contextmanager
def export_file(file: str) -> Iterator[IO[bytes]]:
    """Open a file that ``wxctl export`` wrote, "-" for standard input. Raises WxError."""
    if file == "-":
        yield sys.stdin.buffer
        return
    with file_problems(N_("{file} cannot be read: {reason}"), N_("name a file that wxctl export wrote"), file=file):
        stream = Path(file).open("rb")  # noqa: SIM115 - errors in the block are not this file's
    with stream:
        yield stream


@contextmanager
def _staging() -> Iterator[Path]:
    with ExitStack() as stack:
        with disk_errors(PATHS.private_state("x").parent):
            place = stack.enter_context(staging(PATHS))
        yield place


def undo_interrupted_imports(api: Api) -> None:
    """Undo imports that were killed halfway."""
    with disk_errors(PATHS.private_state("x").parent), abandoned(PATHS) as left:
        for begun in left:
            files = begun.left_files()
            for file in files:
                file.unlink()
            if begun.left_account(PATHS):
                api.remove(begun.name)
            forget_drop_ins(begun.name, files)
            tell("wxctl: undid an interrupted import of {account}", err=True, account=str(begun.name))


def forget_drop_ins(name: AccountName, gone: Iterable[Path]) -> None:
    """Reload systemd's units after drop-ins were deleted."""
    place = place_of(PATHS, name)
    if any(file.parent == place for file in gone):
        with suppress(OSError):
            place.rmdir()
        with suppress(WxError):
            reload_units()


def refuse_undecided(unit: UnitFiles, wanted: bool | None) -> None:
    if unit.files and wanted is None:
        raise BadUsage(
            N_("{unit} has drop-ins of its unit, which systemd obeys as root: {shown}"),
            N_("add --drop-ins to install them, or --no-drop-ins to omit them"),
            unit=str(unit.name),
            shown="; ".join(unit.shown()),
        )


def tell_missing(unit: UnitFiles) -> None:
    """Warn about files that the drop-ins of an imported account name and that do not exist here."""
    name = unit.name.name
    for each in unit.encrypted(PATHS):
        if not each.startswith("/") or not Path(each).exists():
            tell(
                "wxctl: {account}: its encrypted credential {item} did not move with it: encrypt it "
                "here, by systemd-creds(1), before the account is started",
                err=True,
                account=name,
                item=each,
            )
    for each in unit.named():
        if not Path(each).exists():
            tell(
                "wxctl: {account}: a drop-in of its unit names {item}, which is not here",
                err=True,
                account=name,
                item=each,
            )


def refuse_existing(api: Api, name: AccountName, this_host: bool) -> None:
    """Refuse an account that is here already, before anything of it is unpacked. Raises AccountExists."""
    host = host_of(api, name, this_host)
    if host == "" and (leaving := leaving_of(name)) is not None:
        raise leaving.refused(name.name)
    if host == "" and not this_host and (others := rivals_of(api, name)):
        raise AccountExists(
            N_("account {account} is on this host already, and was last on host {host}"),
            N_("use it there; if that host is off for good, instead of wxctl import: {command}"),
            account=str(name),
            host=", ".join(others),
            command=command("claim", name.name),
        )
    if host == "":
        raise AccountExists(
            N_("there is an account {account} already"),
            N_("remove it first: {command}"),
            account=str(name),
            command=command("remove", name.name),
        )
    if host is not None:
        raise AccountExists(
            N_("account {account} is on host {host}"),
            N_("use it there; if that host is off for good, instead of wxctl import: {command}"),
            account=str(name),
            host=host,
            command=command("claim", name.name, "--from", "FILE"),
        )
    refuse_files(name, (PATHS.private_state(name.instance),))


def host_of(api: Api, name: AccountName, this_host: bool) -> str | None:
    """Return the host that has an account, "" for this one; None if none has. ``this_host``: look only here."""
    if this_host:
        return None if api.arrival(name).get("account") is None else ""
    # The list has the accounts of hosts that do not respond, too.
    found = next((account for account in api.accounts() if account.name == name.name), None)
    if found is None:
        return None
    host = one_line(found.raw.get("host"))
    return "" if host == one_line(api.fleet().get("name")) else host


def rivals_of(api: Api, name: AccountName) -> tuple[str, ...]:
    """Return the other hosts that may have an account, none without a fleet. Raises WxError."""
    if api.fleet().get("name") is None:
        return ()
    return tuple(one_line(field(each, "host")) for each in items(api.claimable(name).get("rivals")))


def refuse_files(name: AccountName, files: Iterable[Path]) -> None:
    for file in files:
        if file.exists() or file.is_symlink():
            raise AccountExists(
                N_("{file} of an earlier account {account} exists already"),
                N_("move it away, or run: systemctl start wxclient-purge@{instance}"),
                file=file,
                account=str(name),
                instance=name.instance,
            )


def files_to_write(found: Unpacked) -> dict[Path, tuple[bytes, int]]:
    """Return the files to write, with their modes."""
    name = found.manifest.name
    files = dict[Path, tuple[bytes, int]]()
    if found.override:
        files[PATHS.override_file(name.instance)] = (found.override, 0o640)
    for each, secret in found.secrets.items():
        files[secret_file(PATHS, name.instance, each)] = (secret, 0o600)
    for each, content in found.drop_ins.items():
        files[place_of(PATHS, name) / each] = (content, 0o644)
    return files


def install_account(api: Api, found: Unpacked, place: Path, adopts: bool) -> JsonObject:
    """Install all of the account, or nothing. systemd gives the state to the account's user at its start."""
    name, made = found.manifest.name, list[Path]()
    files, options = files_to_write(found), _options(found.manifest.parameters)
    registered = False
    try:
        # The plan before the first step: if this is killed, the next import finds by it what to undo.
        Begun(name, {str(file): digest(content) for file, (content, _) in files.items()}, digest(options)).note(place)
        for file, (content, mode) in files.items():
            write_new(file, content, mode, made)
        if found.drop_ins:
            reload_units()
        # One more than on its former host, to distinguish that host's later events and sends from those here.
        epoch = found.manifest.epoch + 1
        adopted = epoch if adopts else found.manifest.adopted
        account = api.add(name, options, epoch, found.manifest.move, adopted).raw
        registered = True
        # Last: once the state is in place, an interrupted import is complete and is not undone (``abandoned``).
        os.rename(found.state, PATHS.private_state(name.instance))  # noqa: PTH104 - it must not be a copy
        sync(PATHS.private_state(name.instance).parent)
        finished(place)
    except BaseException as problem:
        for file in made:
            with suppress(OSError):
                file.unlink()
        forget_drop_ins(name, made)
        if registered:
            with suppress(WxError):
                api.remove(name)
        if isinstance(problem, OSError) and not isinstance(problem, WxError):
            raise disk_problem(PATHS.private_state(name.instance), problem) from None
        raise
    return account


def _options(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the options among an account's start parameters; scripts also send others, such as client=NAME."""
    kept = {key: value for key, value in parameters.items() if key in OPTIONS}
    if lost := sorted(parameters.keys() - kept.keys() - {"client"}):
        tell("wxctl: ignored, because this version has no such options: {lost}", err=True, lost=", ".join(lost))
    return kept


def write_new(path: Path, content: bytes, mode: int, made: list[Path]) -> None:
    """Write a new file, with its directory's group."""
    path.parent.mkdir(mode=0o755, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # follows no link
    made.append(path)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchown(stream.fileno(), -1, path.parent.stat().st_gid)
        os.fchmod(stream.fileno(), mode)
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    for directory in (path.parent, path.parent.parent):  # the first may be new
        sync(directory)
