"""The shipped settings file shows every option with its default, and nothing else."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

from wxcontroller.core.paths import Paths
from wxcontroller.core.settings import Settings, load_settings

CONFFILE = Path(__file__).parents[3] / "etc/wxcontroller.toml"


def uncommented() -> str:
    return re.sub(r"^#(?=\[|\w+ = )", "", CONFFILE.read_text(), flags=re.MULTILINE)


def test_it_sets_nothing_as_shipped() -> None:
    assert tomllib.loads(CONFFILE.read_text()) == {}


def test_it_shows_every_option() -> None:
    shown = tomllib.loads(uncommented())
    assert set(shown) == {entry.name for entry in fields(Settings)}


def test_each_option_is_shown_with_its_default(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.settings_file.parent.mkdir(parents=True)
    # The examples under [client] are options with their defaults too; the table itself is empty by default.
    content = uncommented().partition("[client]")[0]
    paths.settings_file.write_text(content)
    loaded = load_settings(paths)
    assert loaded.settings == Settings()
    assert loaded.notices == ()


def test_the_examples_for_accounts_are_options(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    paths.settings_file.parent.mkdir(parents=True)
    paths.settings_file.write_text(uncommented())
    assert load_settings(paths).settings.client == {
        "send_interval": "3",
        "qrcode_count_max": "10",
        "download_media": "1",
    }
