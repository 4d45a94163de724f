"""Durable writes, each below a directory of its name: ``python3 -m tests.unit.durability.writes DIRECTORY``."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, cast

from tests.readers import reader_of
from wxcontroller.cli.connection.api import Api
from wxcontroller.cli.transfer import exporting, importing
from wxcontroller.cli.transfer.copy.pack import Manifest, Unpacked, pack, unpack
from wxcontroller.client.store.database.recovery import KnownLog, recover
from wxcontroller.client.store.database.schema import SCHEMA
from wxcontroller.core.access import tokenfile
from wxcontroller.core.access.rights import Scope
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.jsontypes import JsonObject
from wxcontroller.core.names import parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import Account
from wxcontroller.core.registry.materialise import Materialiser
from wxcontroller.core.states import Desired

NAME = parse_name("alice")
TEMPLATE = Path(__file__).parents[3] / "etc/client.env.j2"


def _made(*places: Path) -> None:
    for place in places:
        place.mkdir(parents=True, exist_ok=True)


def registry(paths: Paths) -> None:
    _made(paths.accounts)
    settings = Settings(template_path=TEMPLATE, backend_start_port=20000, backend_end_port=20999)
    one = Materialiser(paths, settings)
    one.add(NAME, {}, {})
    one.change(NAME.instance, {"lang": "en_US"}, ())
    one.desire(NAME.instance, Desired.STARTED)


def removed(paths: Paths) -> None:
    _made(paths.accounts)
    paths.account_file(NAME.instance).write_text("A=1\n")
    Materialiser(paths, Settings(template_path=TEMPLATE)).remove(NAME.instance)


def access_tokens(paths: Paths) -> None:
    _made(paths.tokens_file.parent)
    file = tokenfile.TokenFile(paths.tokens_file)
    for name in ("one", "two"):
        file.add(tokenfile.minted(name, Scope.READ, (NAME.name,), None)[1])
    file.unbind(NAME.name)
    file.revoke("one")


def unpacked(paths: Paths) -> None:
    state = paths.private_state(NAME.instance)
    _made(state / "media", paths.root / "staging")
    (state / "events.db").write_bytes(b"SQLite")
    (state / "media" / "a.jpg").write_bytes(b"jpeg")
    archive = io.BytesIO()
    pack(archive, Account(NAME, 3000), paths, 0, media=True, read=reader_of(paths))
    archive.seek(0)
    unpack(archive, paths.root / "staging")


def imported(paths: Paths) -> None:
    class Controller:
        """Registers an account; what that is like is another write."""

        raw: ClassVar[JsonObject] = {}

        def add(self, *_: object) -> "Controller":
            return self

    staging = paths.root / "staging"
    _made(staging / "state", paths.overrides.parent, paths.private_state("x").parent)
    unpacked = Unpacked(Manifest(NAME, {}, "2", 0, media=True), staging / "state", override=b"A=1\n")
    vars(importing)["PATHS"] = paths
    importing.install_account(cast("Api", Controller()), unpacked, staging, adopts=False)


def exported(paths: Paths) -> None:
    with exporting.new_file(str(paths.root / "alice.wxpack")) as out:
        out.write(b"content")


def recovered(paths: Paths) -> None:
    (paths.root / "events.db").write_bytes(b"no database" * 1000)
    recover(paths.root / "events.db", SCHEMA, KnownLog())


WRITES: dict[str, Callable[[Paths], None]] = {
    made.__name__: made for made in (registry, removed, access_tokens, unpacked, imported, exported, recovered)
}

if __name__ == "__main__":
    for name, write in WRITES.items():
        place = Path(sys.argv[1]) / name
        place.mkdir()
        write(Paths(place))
