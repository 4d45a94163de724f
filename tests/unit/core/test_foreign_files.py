"""Root reads files that the controller and accounts write: plain ones of limited size, and no links."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from wxcontroller.core.access.porttokens import publish
from wxcontroller.core.access.tokenfile import Tokens
from wxcontroller.core.config.settings import Settings
from wxcontroller.core.errors import WxError
from wxcontroller.core.names import parse_name
from wxcontroller.core.paths import Paths
from wxcontroller.core.registry.account import Account, variables_of
from wxcontroller.core.registry.accountfiles import AccountFiles
from wxcontroller.core.registry.leaving import gone_from
from wxcontroller.core.registry.materialise import Materialiser
from wxcontroller.core.states import Desired
from wxcontroller.fleet.standby import sent_bundles

NAME = parse_name("alice")
_ACCOUNT = "".join(f'{key}="{value}"\n' for key, value in variables_of(Account(NAME, 3000), Paths()).items())


def load(paths: Paths) -> object:
    return AccountFiles(paths).load("alice")


def gone(paths: Paths) -> object:
    return gone_from(paths.gone_file("alice"), NAME)


def sent(paths: Paths) -> object:
    return sent_bundles(paths)


def published(paths: Paths) -> object:
    publish(paths, Tokens())
    return True


READERS: dict[str, tuple[Callable[[Paths], Path], str, Callable[[Paths], object]]] = {
    "registry": (lambda paths: paths.account_file("alice"), _ACCOUNT, load),
    "moved away": (lambda paths: paths.gone_file("alice"), '{"to": "b", "epoch": 2}', gone),
    "tokens for accounts": (lambda paths: paths.port_tokens, "{}", published),
    "standby copies": (lambda paths: paths.standby_sent, '{"bundles": {"alice": {"to": "b", "epoch": 1}}}', sent),
}


@pytest.fixture(params=READERS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str, Callable[[], object]]:
    """A file, its usual content, and a function that reads it."""
    paths = Paths(tmp_path / "root")
    file, content, read = READERS[request.param]
    file(paths).parent.mkdir(parents=True)
    return file(paths), content, lambda: read(paths)


def test_plain_file_is_read(place: tuple[Path, str, Callable[[], object]]) -> None:
    file, content, read = place
    file.write_text(content)
    assert read()


@pytest.mark.timeout(PATIENCE)
@pytest.mark.parametrize("kind", ["link", "pipe", "huge"])
def test_other_files_are_refused(place: tuple[Path, str, Callable[[], object]], tmp_path: Path, kind: str) -> None:
    file, content, read = place
    if kind == "link":
        (tmp_path / "secret").write_text(content)
        file.symlink_to(tmp_path / "secret")
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        file.write_text(content)
        os.truncate(file, 1 << 40)
    with pytest.raises((OSError, WxError)):
        read()


def test_lock_of_the_registry_is_no_way_to_another_file(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "root")
    paths.accounts.mkdir(parents=True)
    paths.account_file("alice").write_text(_ACCOUNT)
    (tmp_path / "secret").write_text("secret")
    (paths.accounts / ".lock").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        Materialiser(paths, Settings()).desire("alice", Desired.STOPPED)
    assert (tmp_path / "secret").read_text() == "secret"
