"""What an admin has added to an account's unit: what of it moves, and what is told of the rest."""

import io
from pathlib import Path

import pytest

from tests.unit.cli.test_pack import ACCOUNT, INSTANCE
from wxcontroller.cli.transfer.pack import pack, unpack
from wxcontroller.cli.transfer.seal import Locked
from wxcontroller.cli.transfer.unitfiles import place_of, unit_files
from wxcontroller.core.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths(tmp_path)
    place_of(found, ACCOUNT.name).mkdir(parents=True)
    return found


def drop_in(paths: Paths, name: str, content: str) -> None:
    (place_of(paths, ACCOUNT.name) / name).write_text(content)


def test_plain_drop_ins_move_and_nothing_else(paths: Paths, tmp_path: Path) -> None:
    drop_in(paths, "override.conf", "[Service]\nMemoryMax=1G\n")
    drop_in(paths, "notes.txt", "x")
    (place_of(paths, ACCOUNT.name) / "masked.conf").symlink_to("/dev/null")
    found = unit_files(paths, ACCOUNT.name)
    assert dict(found.files) == {"override.conf": b"[Service]\nMemoryMax=1G\n"}
    assert [Path(each).name for each in found.odd] == ["masked.conf", "notes.txt"]
    assert found.shown() == ["MemoryMax=1G"]
    out = io.BytesIO()
    pack(out, ACCOUNT, paths, 1, True, found)
    out.seek(0)
    staging = tmp_path / "staging"
    staging.mkdir()
    assert unpack(out, staging).drop_ins == dict(found.files)


def test_a_bundle_puts_no_other_file_beside_the_drop_ins(paths: Paths, tmp_path: Path) -> None:
    for number, name in enumerate(("../x.conf", "x", "a/b.conf", "")):
        out = io.BytesIO()
        found = unit_files(paths, ACCOUNT.name)
        pack(out, ACCOUNT, paths, 1, True, type(found)(ACCOUNT.name, {name: b"[Service]\n"}))
        out.seek(0)
        staging = tmp_path / f"staging{number}"
        staging.mkdir()
        with pytest.raises(Locked):
            unpack(out, staging)


def test_what_they_name_is_told(paths: Paths) -> None:
    secrets = paths.root / "etc/wxcontroller/credentials"
    secrets.mkdir(parents=True)
    (secrets / f"{INSTANCE}.proxy.cred").touch()
    (secrets / "other.proxy.cred").touch()
    drop_in(
        paths,
        "a.conf",
        "[Service]\n# ExecStartPre=/etc/comment\nEnvironmentFile=-/etc/more/%i.env\n"
        "ExecStartPre=+/usr/bin/true /srv/x\\\n  --file=/srv/y\nLoadCredential=proxy:/etc/carried\n"
        "LoadCredentialEncrypted=key:/etc/key.cred\nLoadCredentialEncrypted=short\n"
        "SetCredentialEncrypted=inline: AAAA\nReadWritePaths=/run/x /var/lib/wxclient\n",
    )
    found = unit_files(paths, ACCOUNT.name)
    assert found.named(["/etc/carried"]) == [f"/etc/more/{INSTANCE}.env", "/srv/x", "/srv/y"]
    assert found.encrypted(paths) == [
        str(secrets / f"{INSTANCE}.proxy.cred"),
        "/etc/key.cred",
        "/etc/credstore.encrypted/short",
        "inline (SetCredentialEncrypted= of a drop-in)",
    ]
