"""Accounts that are moved: what is in the bundle, once it is unlocked."""

import io
import json
import tarfile
import tempfile
from pathlib import Path

from tests.fuzz.target import Target, fit
from wxcontroller.cli.transfer.pack import unpack


def _bundle(data: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="wxfuzz-") as place:
        outside = Path(place, "outside")
        staging = Path(place, "staging")
        outside.mkdir()
        staging.mkdir()
        try:
            found = unpack(io.BytesIO(data), staging)
            fit(found.manifest.name)
        finally:
            assert {path.name for path in Path(place).iterdir()} == {"outside", "staging"}
            assert not any(outside.iterdir())
            assert not any(path.is_symlink() for path in staging.rglob("*"))


def _seed() -> bytes:
    manifest = {"format": 1, "name": "alice", "version": "2.0.0", "parameters": {"lang": "en_US"}, "exported": 5}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in (("account.json", json.dumps(manifest).encode()), ("state/media/a.jpg", b"x" * 10)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


TARGETS = (Target("bundles of accounts", _bundle, (_seed(),)),)
