"""Checks the whole configuration: settings, template, accounts' files, tokens, targets, credentials.

It changes nothing, and finds all problems, not only the first.
"""

import errno
import os
import re
import stat
import time
import tomllib
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from wxcontroller.core.access.systemdcredentials import PLACE
from wxcontroller.core.access.tokenfile import TokenFile
from wxcontroller.core.config.envfile import parse
from wxcontroller.core.config.limits import OF_ACCOUNTS, variable_of
from wxcontroller.core.config.options import OPTIONS, Origin
from wxcontroller.core.config.settings import Settings, examine, settings_files
from wxcontroller.core.errors import BadEnvironmentFile, BadSettings, UnknownAccount, WxError, file_failed, reason_of
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.names import is_instance, parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry import account as names
from wxcontroller.core.registry.account import Account, account_from
from wxcontroller.core.registry.accountfiles import AccountFiles
from wxcontroller.core.registry.notifytargets import NotifyTargetFile, NotifyTargets
from wxcontroller.core.registry.rendering import render_account
from wxcontroller.core.text.remedycommands import command
from wxcontroller.core.text.templates import N_, Text, verbatim

T = TypeVar("T")
_OURS = re.compile(r"(MOJO_WEIXIN|WXCLIENT)_")
_LINE = re.compile(r"\bline (\d+),? column")
_CREDENTIALS = ("proxy", "webhook-secret")
# The passphrase for moving accounts, of wxcontroller-receive and wxcontroller-standby.
_MOVING = "fleet"
# Variables of accounts' files other than options.
_OTHER = frozenset(
    {
        *(names.NAME, names.PORT, names.POST_API, names.POLL_API, names.INSTANCE, names.DESIRED, names.PARAMETERS),
        *(names.EPOCH, names.LEAVING, names.ARRIVED, names.ADOPTED, names.LOGGED_OUT),
        *(f"MOJO_WEIXIN_{word}_PATH" for word in ("STATE", "QRCODE", "PID", "COOKIE")),
        *("MOJO_WEIXIN_TMPDIR", "MOJO_WEIXIN_MEDIA_DIR", "WXCLIENT_WEBHOOK_SECRET"),
    }
)


class Level(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem in a file. ``line`` 0 and ``key`` "": with the file as a whole."""

    level: Level
    file: Path
    message: Text
    remedy: Text
    key: str = ""
    line: int = 0

    @property
    def place(self) -> str:
        """File, line and key as people write them."""
        return str(self.file) + (f":{self.line}" if self.line else "") + (f": {self.key}" if self.key else "")

    def as_json(self) -> JsonObject:
        """Return it for programs."""
        where: JsonObject = {"file": str(self.file), "line": self.line or None, "key": self.key or None}
        return {"level": self.level.value, **where, "message": str(self.message), "remedy": str(self.remedy)}


def check_configuration(paths: Paths) -> list[Finding]:
    """Return all problems, files in order. A file or directory that cannot be read is one finding.

    Raises PermissionError for a directory that only root or the controller may look into.
    """
    loaded, problems = examine(settings_files(paths))
    found, settings = [finding(paths.settings_file, problem) for problem in problems], loaded.settings
    if not found:
        found = [_notice(notice) for notice in loaded.notices]
        found += template(paths, settings)
    for part in (
        _accounts(paths, settings),
        _tokens(paths),
        agents_and_targets(paths),
        _credentials(paths, settings),
    ):
        try:
            found.extend(part)
        except OSError as problem:  # of a directory; problems of its files are reported with the files
            if isinstance(problem, PermissionError) and os.geteuid() != 0:
                raise
            found.append(unreadable(Path(problem.filename), problem))
    return list(dict.fromkeys(found))  # several parts look at the accounts' directory


def _notice(notice: Text) -> Finding:
    path, key = Path(str(notice.values["file"])), str(notice.values["key"])
    return Finding(Level.WARN, path, _part(notice, "problem"), Text("remove it"), key, line_of(path, key))


def template(paths: Paths, settings: Settings) -> Iterator[Finding]:
    example = Account(parse_name("example"), settings.backend_start_port, options=settings.client)
    try:
        render_account(example, paths, settings.template_path)
    except WxError as problem:
        yield finding(settings.template_path, problem)
        return


def _accounts(paths: Paths, settings: Settings) -> Iterator[Finding]:
    registry, ports = AccountFiles(paths), defaultdict[int, list[str]](list)
    instances = registry.instances()
    for instance in instances:
        file = paths.account_file(instance)
        account = yield from _account(paths, instance)
        if account is None:
            continue
        ports[account.port].append(instance)
        if not settings.backend_start_port <= account.port <= settings.backend_end_port:
            yield Finding(
                Level.WARN,
                file,
                Text(
                    "the port {port} is outside {low} to {high}",
                    port=account.port,
                    low=settings.backend_start_port,
                    high=settings.backend_end_port,
                ),
                Text(
                    "stop the account and start it again: it gets another one; wxctl stop {account}",
                    account=account.name.name,
                ),
                names.PORT,
                line_of(file, names.PORT),
            )
    for port, several in ports.items():
        for instance in several[1:]:
            file = paths.account_file(instance)
            yield Finding(
                Level.FAIL,
                file,
                Text("the port {port} is also that of {other}", port=port, other=several[0]),
                Text("give one of them another: remove the line from the override file, or the account"),
                names.PORT,
                line_of(file, names.PORT),
            )
    if paths.overrides.is_dir():
        group = paths.overrides.stat().st_gid  # the controller's
        for file in sorted(paths.overrides.glob("*.env")):
            # Files that we cannot read either are findings already, or become one below.
            facts = file.stat() if os.access(file, os.R_OK) else None
            if facts and not facts.st_mode & (0o044 if facts.st_gid == group else 0o004):
                yield Finding(
                    Level.FAIL,
                    file,
                    Text("the controller cannot read it"),
                    verbatim(f"chgrp wxcontroller {file}; chmod 640 {file}"),
                )
            if file.stem not in instances:
                # Before an account's first start, this is normal.
                if not is_instance(file.stem):
                    yield Finding(
                        Level.FAIL,
                        file,
                        Text("its name is not an instance id, so it is never read"),
                        Text("wxctl list --json shows ids"),
                    )
                elif (yield from _variables(file)) is not None:
                    yield Finding(
                        Level.WARN, file, Text("no account has this id"), Text("remove it, or start the account")
                    )


def _account(paths: Paths, instance: str) -> Generator[Finding, None, Account | None]:
    """Yield the problems of an account's own files; return the account, None if they cannot be used."""
    file = paths.account_file(instance)
    own = yield from _variables(file)
    more = yield from _variables(paths.override_file(instance))
    if own is None or more is None:
        return None
    try:
        return account_from({**own, **more}, str(file))
    except BadEnvironmentFile as problem:
        yield finding(file, problem)
        return None


def bad_settings(paths: Paths, instance: str, name: str) -> BadSettings | None:
    """Return why an account's program does not accept its settings (exit status 78), None if the files are valid.

    Files that the caller may not read are left out: systemd reads them as root.
    """
    for found in _account(paths, instance):
        if found.level is Level.FAIL and os.access(found.file, os.R_OK):
            remedy = Text(
                N_("{remedy}; then start the account again: {start}"),
                remedy=found.remedy,
                start=command("start", name),
            )
            return BadSettings(Text("{place}: {one}", place=found.place, one=found.message), remedy)
    return None


def _variables(file: Path) -> Generator[Finding, None, dict[str, str] | None]:
    """Yield the problems of one file of variables; return them, None if they cannot be read."""
    try:
        content = file.read_text(encoding="utf-8")
        found = parse(content, str(file))
    except FileNotFoundError:
        return {}
    except PermissionError as problem:
        yield unreadable(file, problem, verbatim(f"chgrp wxcontroller {file}; chmod 640 {file}"))
        return None
    except OSError as problem:
        yield unreadable(file, problem)
        return None
    except UnicodeDecodeError:
        yield Finding(Level.FAIL, file, Text("is not UTF-8 text"), Text("save it as UTF-8"))
        return None
    except BadEnvironmentFile as problem:
        yield finding(file, problem, str(_part(problem.text, "problem").values.get("key", "")))
        return None
    checks: dict[str, tuple[Callable[[str], object], str]] = {
        variable_of(name): (limit.kind.number, limit.meaning) for name, limit in OF_ACCOUNTS.items()
    } | {
        option.key: (option.kind.check, option.meaning)
        for option in OPTIONS.values()
        if option.origin is not Origin.IGNORED
    }
    for name, value in found.items():
        line = line_of(file, name)
        if name in checks:
            check, meaning = checks[name]
            try:
                check(value)
            except ValueError as problem:
                remedy = Text("its meaning: {meaning}", meaning=Text(meaning))
                yield Finding(Level.FAIL, file, reason_of(problem), remedy, name, line)
        elif _OURS.match(name) and name not in _OTHER and not name.startswith("MOJO_WEIXIN_CONTROLLER"):
            yield Finding(Level.WARN, file, Text("unknown variable"), Text("wxclient(8) lists them"), name, line)
    for number, text in enumerate(content.split("\n"), 1):
        stripped = text.strip()
        if stripped and stripped[0] not in "#;" and "=" not in stripped and content.count('"') == 0:
            yield Finding(
                Level.WARN,
                file,
                Text("the line has no = and is ignored"),
                Text("write it as NAME=value"),
                "",
                number,
            )
    return found


def _tokens(paths: Paths) -> Iterator[Finding]:
    file = paths.tokens_file
    yield from tokens_file_access(paths)
    tokens = yield from _read(file, TokenFile(file).read)
    if tokens is None:
        return
    instances, now = set(AccountFiles(paths).instances()), time.time()  # also those whose files cannot be read
    for token in tokens.by_id.values():
        for name in () if token.expired(now) else token.accounts:
            if parse_name(name).instance not in instances:
                yield Finding(
                    Level.WARN,
                    file,
                    Text(
                        "the token {token} is bound to the account {account}, which does not exist; it is valid "
                        "for the next account of that name",
                        token=token.name,
                        account=name,
                    ),
                    Text("wxctl token revoke {id}, unless that account is to be added", id=token.id),
                )


def _read(file: Path, read: Callable[[], T]) -> Generator[Finding, None, T | None]:
    """Yield the problems of a file of tokens; return its content, None if it cannot be used."""
    try:
        return read()
    except BadSettings as problem:
        yield finding(file, problem)
    except PermissionError:
        pass  # reported before, or the user may not read it
    except OSError as problem:
        yield unreadable(file, problem, Text("restore the file, or remove it and create new tokens"))
    return None


def agents_and_targets(paths: Paths) -> Iterator[Finding]:
    """The files of tokens that the controller writes: those of iLink agents and of notification targets."""
    yield from _read(paths.ilink_tokens, TokenFile(paths.ilink_tokens).read)
    file = paths.notify_targets
    targets, registry = (yield from _read(file, NotifyTargetFile(file).read)) or NotifyTargets(), AccountFiles(paths)
    for target in targets.by_name.values():
        try:
            driver = None if target.removed else registry.load(target.instance).driver
        except UnknownAccount:
            driver = None
        except (WxError, OSError):
            continue  # a finding of the account's
        if driver == target.driver:
            continue
        why = (
            Text("account {account} was removed", account=target.account)
            if driver is None
            else Text("account {account} now uses driver {driver}", account=target.account, driver=driver)
        )
        yield Finding(
            Level.WARN,
            file,
            Text("notifications to the target {target} are refused: {why}", target=target.name, why=why),
            Text("wxctl target remove {target}; add it again if it is needed", target=target.name),
        )


def tokens_file_access(paths: Paths) -> Iterator[Finding]:
    """Check that only root can write the tokens file, and only the controller can read it."""
    file = paths.tokens_file
    try:
        facts, place = file.stat(), file.parent.stat()
    except OSError:
        return
    if not stat.S_ISREG(facts.st_mode):
        return  # cannot be read as tokens
    # In a copied system the owner of the copy is in root's place.
    root = 0 if paths.root == Path("/") else place.st_uid
    group = paths.overrides.stat().st_gid if paths.overrides.is_dir() else facts.st_gid  # the controller's
    mode = facts.st_mode & 0o777
    right = verbatim(f"chown root:wxcontroller {file}; chmod 640 {file}")
    if facts.st_uid != root or mode & 0o022:
        who = Text("others") if mode & 0o022 else Text("user {user}", user=facts.st_uid)
        yield Finding(
            Level.FAIL,
            file,
            Text("{who} can write to it (mode {mode}) and grant anyone access", who=who, mode=f"{mode:04o}"),
            verbatim(f"{right}; wxctl token list"),
        )
    if mode & 0o007:
        yield Finding(Level.FAIL, file, Text("everyone can read it (mode {mode})", mode=f"{mode:04o}"), right)
    if facts.st_gid != group or not mode & 0o040:
        yield Finding(
            Level.FAIL,
            file,
            Text("the controller cannot read it (mode {mode}): all requests are refused", mode=f"{mode:04o}"),
            right,
        )
    if place.st_mode & 0o022:
        words = Text(
            "others can write to it (mode {mode}) and place files there", mode=f"{place.st_mode & 0o777:04o}"
        )
        yield Finding(
            Level.FAIL, file.parent, words, verbatim(f"chown root:root {file.parent}; chmod 755 {file.parent}")
        )


def _credentials(paths: Paths, settings: Settings) -> Iterator[Finding]:
    place = paths.root / PLACE.relative_to("/")
    try:
        files = sorted(place.iterdir())
    except (FileNotFoundError, PermissionError):  # they are root's
        return
    instances = set(AccountFiles(paths).instances())
    others = {_MOVING, settings.tls_certificate, settings.tls_key}
    if settings.fleet is not None:
        others |= settings.fleet.credentials
    for file in files:
        instance, dot, name = file.name.rpartition(".")
        if name == "cred" or file.name in others:  # cred: encrypted, for a drop-in of the admin's
            continue
        if name not in _CREDENTIALS:
            yield Finding(
                Level.WARN,
                file,
                Text("is not a credential of accounts"),
                Text("it is {names}", names=" or ".join(_CREDENTIALS)),
            )
            continue
        if dot and instance not in instances:
            yield Finding(
                Level.WARN,
                file,
                Text("there is no account {instance}", instance=instance),
                Text("remove it, or start the account"),
            )
        try:
            content = file.read_bytes()
            if file.stat().st_mode & 0o077:
                yield Finding(Level.FAIL, file, Text("others can read it"), verbatim(f"chmod 600 {file}"))
            value = content.decode().strip()
            if name == "proxy" and value:
                OPTIONS["proxy"].kind.check(value)
        except (UnicodeDecodeError, ValueError) as problem:
            yield Finding(Level.FAIL, file, reason_of(problem), Text("correct it"))
        except OSError as problem:
            yield unreadable(file, problem)


def unreadable(file: Path, problem: OSError, remedy: Text | None = None) -> Finding:
    if remedy is None:
        misplaced = problem.errno in (errno.EISDIR, errno.ENOTDIR, errno.ELOOP)
        remedy = Text("rename it") if misplaced else file_failed(problem).remedy_text
    return Finding(Level.FAIL, file, Text("cannot be read: {reason}", reason=reason_of(problem)), remedy)


def finding(file: Path, problem: WxError, key: str = "") -> Finding:
    """Return a problem's text. A file and key that it names itself are more exact than those where it was found."""
    file, message = Path(str(problem.text.values.get("file", file))), _part(problem.text, "problem")
    if not key and (key := str(problem.text.values.get("key", ""))):
        message = _part(message, "problem")
    line = _LINE.search(str(message))
    number = int(line[1]) if line else line_of(file, key) if key else 0
    return Finding(Level.FAIL, file, message, problem.remedy_text, key, number)


def _part(text: Text, name: str) -> Text:
    """Return the text wrapped in another one, without the parts that are shown elsewhere; else the whole text."""
    part = text.values.get(name)
    return part if isinstance(part, Text) else text


def line_of(file: Path, key: str) -> int:
    """Return the number of the line on which a key is set, 0 when it is not found.

    A key of a table in a TOML file is given as TABLE.KEY; of one that cannot be found, such as a quoted key with a
    dot, it is the line of its table. In a file of variables the last line counts.
    """
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 0
    if file.suffix == ".toml":
        keys = key.split(".")
        return next(filter(None, (toml_line(lines, keys[:count]) for count in range(len(keys), 0, -1))), 0)
    pattern = re.compile(rf"\s*{re.escape(key)}\s*=")
    return max((number for number, line in enumerate(lines, 1) if pattern.match(line)), default=0)


def toml_line(lines: list[str], keys: list[str]) -> int:
    """Return the number of the line that first sets a key. The parser decides, because the name may also occur in
    another table or in a multi-line text.
    """
    candidates = [number for number, line in enumerate(lines, 1) if keys[-1] in line or "\\" in line]  # or escapes
    for begins in candidates:
        for end in range(begins, len(lines) + 1):
            try:
                found: object = tomllib.loads("\n".join(lines[:end]))
            except (tomllib.TOMLDecodeError, RecursionError):
                continue  # within a value of several lines
            for key in keys:
                found = found.get(key) if isinstance(found, dict) else None
            if found is not None:
                return begins
            break
    return 0
