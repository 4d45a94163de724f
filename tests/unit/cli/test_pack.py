"""Archives of accounts are complete and consistent, and take no other files; leftovers of killed imports."""

import contextlib
import io
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.readers import reader_of
from tests.unit.cli.conftest import ROOT
from wxcontroller.cli.transfer.copy.pack import Unpacked, pack, secret_file, unpack
from wxcontroller.cli.transfer.copy.seal import Locked
from wxcontroller.cli.transfer.copy.staging import PREFIX, abandoned
from wxcontroller.cli.transfer.copy.unitfiles import UnitFiles
from wxcontroller.core.errors import WxError
from wxcontroller.core.names import parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import Account

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

ACCOUNT = Account(parse_name("小店"), 3000, parameters={"lang": "en_US", "post_api": "http://h/in?key=1"}, epoch=3)
INSTANCE = ACCOUNT.name.instance


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths(tmp_path / "root")
    state = found.private_state(INSTANCE)
    (state / "media/2026").mkdir(parents=True)
    (state / "events.db").write_bytes(b"SQLite" * 50_000)
    (state / "empty").touch()
    (state / "media/2026/图.jpg").write_bytes(b"jpeg")
    (state / found.cookie_file(INSTANCE).name).write_text("{}")
    return found


def packed(paths: Paths) -> bytes:
    out = io.BytesIO()
    pack(out, ACCOUNT, paths, 1795600000, media=True, read=reader_of(paths))
    return out.getvalue()


def unpacked(content: bytes, tmp_path: Path) -> Unpacked:
    staging = tmp_path / f"staging-{len(list(tmp_path.iterdir()))}"
    staging.mkdir()
    return unpack(io.BytesIO(content), staging)


def files(place: Path) -> dict[str, bytes]:
    return {str(file.relative_to(place)): file.read_bytes() for file in place.rglob("*") if file.is_file()}


def test_packed_directory_is_restored_completely(paths: Paths, tmp_path: Path) -> None:
    for file, content in (
        (paths.override_file(INSTANCE), b"A=1\n"),
        (secret_file(paths, INSTANCE, "proxy"), b"socks5://h:1\n"),
        (secret_file(paths, "other", "proxy"), b"not this one"),
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    os.utime(paths.private_state(INSTANCE) / "events.db", (1_700_000_000, 1_700_000_000))
    found = unpacked(packed(paths), tmp_path)
    assert found.manifest.name == ACCOUNT.name
    assert found.manifest.parameters == ACCOUNT.parameters
    assert (found.manifest.exported, found.manifest.media, found.manifest.epoch) == (1795600000, True, 3)
    assert (found.override, found.secrets) == (b"A=1\n", {"proxy": b"socks5://h:1\n"})
    assert files(found.state) == files(paths.private_state(INSTANCE))
    assert (found.state / "events.db").stat().st_mtime == 1_700_000_000
    modes = {file.stat().st_mode & 0o777 for file in found.state.rglob("*")}
    assert modes == {0o600, 0o700}


def test_links_pipes_and_other_users_files_are_not_packed(paths: Paths, tmp_path: Path) -> None:
    state, secret = paths.private_state(INSTANCE), tmp_path / "secret"
    secret.write_text("not yours")
    (state / "soft").symlink_to(secret)
    (state / "media/hard").hardlink_to(secret)
    (state / "dir").symlink_to(tmp_path)
    os.mkfifo(state / "pipe")
    deep = state.joinpath(*(f"{number}{'图' * 84}" for number in range(7)))
    deep.mkdir(parents=True)
    os.mkfifo(deep / "图")
    (state / "foreign").write_text("x")
    os.chown(state / "foreign", 4711, 4711)
    out = io.BytesIO()
    done = pack(out, ACCOUNT, paths, 0, media=True, read=reader_of(paths))
    [long, *others] = sorted(done.left_out)
    assert long.startswith("state/0图图")
    assert others == ["state/dir", "state/foreign", "state/media/hard", "state/pipe", "state/soft"]
    assert done.files == 4
    assert b"not yours" not in out.getvalue()


def test_symlinked_state_directory_is_not_followed(paths: Paths) -> None:
    state = paths.private_state(INSTANCE)
    state.rename(paths.root / "elsewhere")
    state.symlink_to(paths.root / "elsewhere")
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        packed(paths)


def archive(*members: tuple[str, bytes | str | None]) -> bytes:
    """Make an archive of files (bytes), links (str: to where) and directories (None), after a right manifest."""
    out = io.BytesIO()
    manifest = {"format": 1, "name": "alice", "parameters": {}, "version": "2", "exported": 1, "media": True}
    with tarfile.open(fileobj=out, mode="w") as made:
        for name, content in (("account.json", json.dumps(manifest).encode()), *members):
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
                made.addfile(member, io.BytesIO(content))
            else:
                member.type = tarfile.DIRTYPE if content is None else tarfile.SYMTYPE
                member.linkname = content or ""
                made.addfile(member)
    return out.getvalue()


@pytest.mark.parametrize(
    "member",
    [
        ("state/../../etc/passwd", b"x"),
        ("/etc/passwd", b"x"),
        ("etc/passwd", b"x"),
        ("credentials/tokens", b"x"),
        ("state", b"x"),
        ("state/link", "/etc/passwd"),
        ("state/dir", None),
        ("state/" + "d/" * 30 + "x", b"x"),
        ("override.env", b"x" * 2_000_000),
    ],
)
def test_archives_with_forbidden_entries_are_rejected(tmp_path: Path, member: tuple[str, bytes | str | None]) -> None:
    with pytest.raises(Locked, match="unexpected"):
        unpacked(archive(("state/good", b"1"), member), tmp_path)
    outside = [file for file in tmp_path.rglob("*") if file.is_file() and file.name != "good"]
    assert outside == []


def test_bundle_cannot_write_files_beside_the_drop_ins(paths: Paths, tmp_path: Path) -> None:
    for name in ("../x.conf", "x", "a/b.conf", ""):
        out = io.BytesIO()
        unit = UnitFiles(ACCOUNT.name, {name: b"[Service]\n"})
        pack(out, ACCOUNT, paths, 1, True, unit, read=reader_of(paths))
        with pytest.raises(Locked):
            unpacked(out.getvalue(), tmp_path)


def test_database_of_a_running_account_is_copied_consistently(paths: Paths, tmp_path: Path) -> None:
    state = paths.private_state(INSTANCE)
    (state / "events.db").unlink()
    writer = subprocess.Popen([sys.executable, "-c", _WRITER], stdout=subprocess.PIPE, cwd=state)
    assert writer.stdout is not None
    lines = writer.stdout

    class Slow(io.BytesIO):
        """Takes each of the first pieces only when the account has written more, and begun its log again."""

        def write(self, content: "ReadableBuffer", /) -> int:
            if self.tell() < 300_000:
                lines.readline()
            return super().write(content)

    try:
        last = [int(lines.readline()) for _ in range(10)][-1]
        out = Slow()
        pack(out, ACCOUNT, paths, 1795600000, True, read=reader_of(paths))
    finally:
        writer.kill()
        writer.communicate()
    found = unpacked(out.getvalue(), tmp_path)
    assert not (found.state / "events.db-shm").exists()
    assert files(found.state)["media/2026/图.jpg"] == b"jpeg"
    with contextlib.closing(sqlite3.connect(found.state / "events.db")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows, ones, newest = copy.execute("SELECT COUNT(*), SUM(half = 1), MAX(number) FROM notes").fetchone()
    assert (rows, ones) == (2 * newest, newest)  # both halves of each transaction
    assert newest >= last


@pytest.fixture
def database(paths: Paths) -> Iterator[sqlite3.Connection]:
    """The account's own connection to its database."""
    file = paths.private_state(INSTANCE) / "events.db"
    file.unlink()
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as account:
        account.execute("PRAGMA journal_mode=WAL")
        account.execute("CREATE TABLE notes (text TEXT)")
        yield account


def test_a_log_restarted_during_a_copy_invalidates_the_copy(paths: Paths, database: sqlite3.Connection) -> None:
    """All of it was in the database, so that readers do not keep it: an older page would win over a newer."""
    database.executemany("INSERT INTO notes VALUES (?)", [("x" * 3000,)] * 400)
    database.execute("PRAGMA wal_checkpoint").fetchall()

    class Busy(io.BytesIO):
        """The account writes as soon as the first part of its log is copied."""

        def write(self, content: "ReadableBuffer", /) -> int:
            if any(magic in bytes(content) for magic in (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")):
                database.execute("INSERT INTO notes VALUES ('y')")
            return super().write(content)

    with pytest.raises(WxError, match="while it was read"):
        pack(Busy(), ACCOUNT, paths, 1795600000, True, read=reader_of(paths))


_WRITER = """
import itertools, sqlite3, sys
db = sqlite3.connect("events.db", isolation_level=None, timeout=60)
db.execute("PRAGMA journal_mode=WAL")
db.execute("PRAGMA wal_autocheckpoint=20")
db.execute("CREATE TABLE notes (number INTEGER, half INTEGER, text TEXT)")
for number in itertools.count(1):
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO notes VALUES (?, 1, ?)", (number, "x" * 3000))
    db.execute("INSERT INTO notes VALUES (?, 2, ?)", (number, "y" * 3000))
    db.execute("COMMIT")
    if number % 20 == 0:
        print(number, flush=True)
"""


# --- staging

# An import that is killed: it locks its directory, notes the files that it will write, and waits.
_KILLED = """
import pathlib, sys
from wxcontroller.cli.transfer.copy.staging import Begun, digest, staging
from wxcontroller.core.names import parse_name
from wxcontroller.core.paths import Paths
with staging(Paths(pathlib.Path(sys.argv[1]))) as place:
    (place / "state").mkdir()
    Begun(parse_name("alice"), {sys.argv[2]: digest(b"mine")}, digest({"lang": "en_US"})).note(place)
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_only_killed_imports_are_cleaned_up(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    private = paths.private_state("x").parent
    for place in (paths.accounts, paths.overrides, private):
        place.mkdir(parents=True)
    command = [sys.executable, "-c", _KILLED, str(paths.root), str(paths.override_file("alice"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        with abandoned(paths) as begun:
            assert begun == []
        [place] = private.glob(f"{PREFIX}*")
        running.kill()
    with abandoned(paths) as begun:
        assert [each.name.name for each in begun] == ["alice"]
        assert place.exists()
    assert not place.exists()
